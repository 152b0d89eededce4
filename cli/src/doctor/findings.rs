//! What the doctor says.

use serde::Serialize;

use crate::numbers::counted;

/// How it stands with what was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    /// Works, and is not as it should be.
    Warning,
    /// Loses, doubles or stops something.
    Problem,
    /// Could not be looked into.
    Unknown,
}

/// What came out of one check of one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    check: &'static str,
    object: String,
    pub(super) status: Status,
    says: String,
    hint: Option<String>,
}

/// What is checked: the check, and the object that it is made on.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    check: &'static str,
    object: String,
}

impl Subject {
    pub(super) fn new(check: &'static str, object: impl Into<String>) -> Self {
        Self { check, object: object.into() }
    }

    pub(super) fn ok(&self, says: impl Into<String>) -> Finding {
        self.finding(Status::Ok, says.into(), None)
    }

    pub(super) fn warning(&self, says: impl Into<String>, hint: impl Into<String>) -> Finding {
        self.finding(Status::Warning, says.into(), Some(hint.into()))
    }

    pub(super) fn problem(&self, says: impl Into<String>, hint: impl Into<String>) -> Finding {
        self.finding(Status::Problem, says.into(), Some(hint.into()))
    }

    pub(super) fn unknown(&self, says: impl Into<String>, hint: impl Into<String>) -> Finding {
        self.finding(Status::Unknown, says.into(), Some(hint.into()))
    }

    fn finding(&self, status: Status, says: String, hint: Option<String>) -> Finding {
        Finding { check: self.check, object: self.object.clone(), status, says, hint }
    }
}

impl Finding {
    /// For people: what is found, and in a second line what helps.
    pub(super) fn text(&self) -> String {
        let status = match self.status {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Problem => "problem",
            Status::Unknown => "unknown",
        };
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("\n         hint: {hint}"));
        // What AWS says may be pages of XML.
        let says = self.says.replace(char::is_control, " ");
        format!("{status:<7}  {} of {}: {says}{hint}", self.check, self.object)
    }
}

/// All findings on a deployment.
#[derive(Debug, Serialize)]
pub(super) struct Diagnosis<'a> {
    name: &'a str,
    problems: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

impl<'a> Diagnosis<'a> {
    /// The worst comes first.
    pub(super) fn new(name: &'a str, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| match finding.status {
            Status::Problem => 0,
            Status::Warning => 1,
            Status::Unknown => 2,
            Status::Ok => 3,
        });
        let mut diagnosis = Self { name, problems: 0, warnings: 0, findings };
        diagnosis.problems = diagnosis.count(Status::Problem);
        diagnosis.warnings = diagnosis.count(Status::Warning);
        diagnosis
    }

    pub(super) fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// For people; what is as it should be only when all is wanted.
    pub(super) fn text(&self, with_all: bool) -> String {
        let shown = self.findings.iter().filter(|finding| with_all || finding.status != Status::Ok);
        let passed = u64::try_from(self.count(Status::Ok)).unwrap_or_default();
        let passed = format!("{} passed", counted(passed, "check"));
        shown.map(Finding::text).chain([passed]).collect::<Vec<_>>().join("\n")
    }
}
