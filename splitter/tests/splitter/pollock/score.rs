//! The ten measures.

use std::collections::BTreeMap;
use std::fmt;

/// What was loaded of a file.
pub(super) struct Loaded {
    /// Names of columns as they stand in the source.
    pub(super) header: Vec<String>,
    pub(super) records: Vec<Vec<String>>,
}

/// What should be loaded of a file.
pub(super) struct Clean {
    /// None when the file has no header.
    pub(super) header: Option<Vec<String>>,
    pub(super) records: Vec<Vec<String>>,
}

/// Success, then precision, recall and F1 of header, records and cells.
#[derive(Clone, Copy, Default)]
pub(super) struct Measures([f64; 10]);

impl Measures {
    /// From 0 to 10.
    pub(super) fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The mean of measures with a weight each.
    pub(super) fn mean(of: &[(f64, Self)]) -> Self {
        let weights: f64 = of.iter().map(|(weight, _)| weight).sum();
        let mean = |index: usize| of.iter().map(|(weight, measures)| weight * measures.0[index]).sum::<f64>() / weights;
        Self(std::array::from_fn(mean))
    }
}

/// Names of what a line of measures shows.
pub(super) fn head() -> String {
    let names =
        ["sum", "success", "head P", "head R", "head F1", "rec P", "rec R", "rec F1", "cell P", "cell R", "cell F1"];
    format!("{:24} {}", "", names.map(|name| format!("{name:>8}")).join(""))
}

impl fmt::Display for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>8.3}", self.sum())?;
        self.0.iter().try_for_each(|measure| write!(f, "{measure:>8.3}"))
    }
}

/// Measures one file. Cells and records are bags: their order does not count, and a record is its cells one behind the
/// other, so that a cell too many that is empty does no harm.
pub(super) fn measures(clean: &Clean, loaded: Option<&Loaded>) -> Measures {
    let Some(loaded) = loaded else { return Measures::default() };
    if clean.header.is_none() && clean.records.is_empty() {
        return Measures([1.0; 10]);
    }
    let header = match &clean.header {
        Some(header) => overlap(header, &loaded.header),
        None if loaded.header.iter().all(String::is_empty) => [1.0; 3],
        None => [0.0; 3],
    };
    let joined = |records: &[Vec<String>]| records.iter().map(|cells| cells.concat()).collect::<Vec<_>>();
    let cells = |header: Option<&Vec<String>>, records: &[Vec<String>]| {
        header.into_iter().chain(records).flatten().cloned().collect::<Vec<_>>()
    };
    let records = overlap(&joined(&clean.records), &joined(&loaded.records));
    let loaded_header = clean.header.as_ref().map(|_| &loaded.header);
    let cells = overlap(&cells(clean.header.as_ref(), &clean.records), &cells(loaded_header, &loaded.records));
    let mut all = [1.0; 10];
    for (measure, value) in all.iter_mut().skip(1).zip([header, records, cells].into_iter().flatten()) {
        *measure = value;
    }
    Measures(all)
}

/// Precision, recall and F1 of what was loaded.
fn overlap(clean: &[String], loaded: &[String]) -> [f64; 3] {
    if clean.is_empty() {
        return [1.0; 3];
    }
    let mut left = BTreeMap::<&str, usize>::new();
    for text in clean {
        *left.entry(text).or_default() += 1;
    }
    let found = loaded.iter().filter(|text| match left.get_mut(text.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    });
    let found = float(found.count());
    if found < 1.0 {
        return [0.0; 3];
    }
    let (precision, recall) = (found / float(loaded.len()), found / float(clean.len()));
    [precision, recall, 2.0 * precision * recall / (precision + recall)]
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "counts of cells")]
fn float(count: usize) -> f64 {
    count as f64
}

#[test]
fn measures_of_a_record_that_is_missing() {
    let header = vec!["a".to_owned(), "b".to_owned()];
    let record = |text: &str| vec![text.to_owned(), "x".to_owned()];
    let clean = Clean { header: Some(header.clone()), records: vec![record("1"), record("2")] };
    let loaded = Loaded { header, records: vec![record("1")] };
    // Success, three of the header; a record of two, and four cells of six.
    let expected = 4.0 + (1.0 + 0.5 + 2.0 / 3.0) + (1.0 + 2.0 / 3.0 + 0.8);
    assert!((measures(&clean, Some(&loaded)).sum() - expected).abs() < 1e-9);
    assert!(measures(&clean, None).sum() < f64::EPSILON);
}
