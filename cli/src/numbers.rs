//! Numbers, for people.

/// A number with its thousands parted: 27,004.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in MiB with one decimal.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// A size in its largest unit with one decimal: `17 B`, `1.5 MiB`.
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "one decimal is shown")]
pub(crate) fn size(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.into_iter().find(|(unit, _)| bytes >= *unit) {
        Some((unit, name)) => format!("{:.1} {name}", bytes as f64 / unit as f64),
        None => format!("{bytes} B"),
    }
}

/// A time in milliseconds, in its two largest units: `0.3 s`, `2 min 5 s`, `3 h 0 min`.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// A time in seconds that is left, in its two largest units: `45 s`, `2 min 5 s`.
pub(crate) fn remaining(seconds: u64) -> String {
    if seconds < 60 { format!("{seconds} s") } else { span(seconds.saturating_mul(1000)) }
}

/// `1 chunk`, `2 chunks`.
pub(crate) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        assert_eq!([0, 999, 1000, 27_004, 1_234_567].map(grouped), ["0", "999", "1,000", "27,004", "1,234,567"]);
        assert_eq!(mebibytes(1_572_864), "1.5 MiB");
        assert_eq!([0, 1023, 1024, 1_572_864, 1 << 40].map(size), ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "1.0 TiB"]);
        let spans = [0, 349, 59_999, 60_000, 3_599_999, 3_600_000, 172_800_000].map(span);
        assert_eq!(spans, ["0.0 s", "0.3 s", "59.9 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "2 d 0 h"]);
        assert_eq!([counted(1, "chunk"), counted(2, "chunk")], ["1 chunk", "2 chunks"]);
    }
}
