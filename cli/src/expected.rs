//! What came of rows by the expectations of a contract, as people read it.

use shared::{ExpectationResult, ExpectationResults, Rows, Settings};
use splitter::Plan;
use worker::Shaping;

use crate::error::CliError;
use crate::numbers::{counted, grouped};

/// What comes of the first rows by what the contract expects; none if it expects nothing.
pub(crate) fn tried(
    settings: &Settings,
    plan: &Plan,
    shaping: &Shaping,
) -> Result<Option<ExpectationResults>, CliError> {
    let Some(expectations) = settings.expectations().filter(|_| !plan.examination.is_empty) else { return Ok(None) };
    let results = worker::try_expectations(&expectations, shaping, &plan.examination.schema, &plan.sample);
    results.map(Some).map_err(CliError::Expectations)
}

/// A line for each expectation: how many rows are against it, and what became of them.
pub(crate) fn expected(results: &ExpectationResults) -> Vec<String> {
    let line = |ExpectationResult { name, on, violations, nulls }: &ExpectationResult| {
        if *violations == 0 {
            // Of a file that was refused nothing is in the table, and nothing was added up.
            return format!("  expected     {name}: {}", if results.rows == 0 { "no rows judged" } else { "met" });
        }
        let by_nulls = if *nulls > 0 { format!(", {} by nulls", grouped(*nulls)) } else { String::new() };
        format!("  expected     {name}: {} against it{by_nulls} ({})", counted(*violations, "row"), on.word())
    };
    results.all.iter().map(line).collect()
}

/// How many rows were left out, and how many of them by expectations.
pub(crate) fn filtered(rows: &Rows) -> String {
    match rows.dropped {
        0 => grouped(rows.filtered),
        dropped => format!("{} ({} by expectations)", grouped(rows.filtered), grouped(dropped)),
    }
}

#[cfg(test)]
mod tests {
    use shared::OnViolation;

    use super::*;

    #[test]
    fn lines() {
        let result =
            |name: &str, on, violations, nulls| ExpectationResult { name: name.to_owned(), on, violations, nulls };
        let all = vec![
            result("a", OnViolation::Fail, 0, 0),
            result("b", OnViolation::Drop, 1200, 0),
            result("c", OnViolation::Quarantine, 1, 1),
            result("d", OnViolation::Warn, 2, 0),
        ];
        let lines = expected(&ExpectationResults { digest: String::new(), rows: 9, all }).join("\n");
        let none = vec![result("e", OnViolation::Fail, 0, 0)];
        let none = ExpectationResults { digest: String::new(), rows: 0, all: none };
        assert_eq!(expected(&none), ["  expected     e: no rows judged"]);
        insta::assert_snapshot!(lines, @r"
          expected     a: met
          expected     b: 1,200 rows against it (drop)
          expected     c: 1 row against it, 1 by nulls (quarantine)
          expected     d: 2 rows against it (warn)
        ");
    }
}
