//! Whether the digits of a decimal number come back from a binary one.

/// Most significant digits that a double has when it is written out.
const MOST_DIGITS: usize = 767;

/// Powers of five that 64 bits hold.
const FIVES: [u64; 28] = {
    let mut fives = [1; 28];
    let mut power = 1;
    while power < fives.len() {
        fives[power] = fives[power - 1] * 5;
        power += 1;
    }
    fives
};

/// Whether a number, printed with as many significant digits as a text has, is the number of the text. Zeros at the end do not count, nor
/// does the sign.
///
/// The text is a decimal number, with an exponent or without; `point` stands before its fraction. It is not asked for others: infinities
/// and NaN come back.
pub fn prints_back(text: &[u8], point: u8, value: f64) -> bool {
    if !value.is_finite() {
        return true;
    }
    let Some(Digits { significant, power }) = Digits::of(text, point) else { return false };
    if significant.is_empty() {
        return value == 0.0;
    }
    if significant.len() > MOST_DIGITS {
        return false;
    }
    match is_within_half_a_unit(&significant, power, value.abs()) {
        Some(true) => true,
        // The shortest text of a power of two need not be the nearest of as many digits.
        Some(false) if !is_power_of_two(value) => false,
        _ => {
            let places = significant.len() - 1;
            [format!("{:.places$e}", value.abs()), format!("{:e}", value.abs())].iter().any(|printed| {
                let printed = Digits::of(printed.as_bytes(), b'.');
                printed.is_some_and(|printed| printed.significant == significant && printed.power == power)
            })
        }
    }
}

/// As [`prints_back`], for a `float` that a double became, which is taken for the number that it prints as.
pub fn float_prints_back(value: f64, float: f32) -> bool {
    /// Powers of ten; a float gives any six digits back.
    const TENS: [f64; 7] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6];
    let nearest = f64::from(float);
    let has_few_digits = |ten: &f64| {
        let digits = (value * ten).round();
        digits.abs() < 1e6 && digits.abs() >= 1.0 && (digits / ten).to_bits() == value.to_bits()
    };
    nearest.to_bits() == value.to_bits()
        || value.is_nan()
        || TENS.iter().any(has_few_digits)
        || prints_back(format!("{value:e}").as_bytes(), b'.', nearest)
}

/// A decimal number: its digits without zeros at either end, and the power of ten that the last of them counts.
#[derive(Debug)]
struct Digits {
    significant: Vec<u8>,
    power: i64,
}

impl Digits {
    fn of(text: &[u8], point: u8) -> Option<Self> {
        let end = text.iter().position(|byte| byte.eq_ignore_ascii_case(&b'e')).unwrap_or(text.len());
        let (mantissa, exponent) = text.split_at(end);
        let mut power = match exponent {
            [] => 0,
            [_, digits @ ..] => exponent_of(digits)?,
        };
        let mut digits = Vec::with_capacity(mantissa.len());
        let mut is_behind = false;
        for byte in mantissa.trim_ascii() {
            match byte {
                b'0'..=b'9' => {
                    power -= i64::from(is_behind);
                    if *byte != b'0' || !digits.is_empty() {
                        digits.push(*byte);
                    }
                }
                byte if *byte == point => is_behind = true,
                _ => {}
            }
        }
        while digits.pop_if(|last| *last == b'0').is_some() {
            power += 1;
        }
        Some(Self { significant: digits, power })
    }
}

/// An exponent. One that is beyond all bounds is the last within, which no number comes near to either.
fn exponent_of(text: &[u8]) -> Option<i64> {
    const BEYOND: i64 = 1 << 40;
    let text = std::str::from_utf8(text).ok()?.trim();
    let digits = text.trim_start_matches(['+', '-']);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let size = digits.parse().unwrap_or(BEYOND).min(BEYOND);
    Some(if text.starts_with('-') { -size } else { size })
}

/// Whether a number is as near to so many units of a power of ten as to no others; none where that takes longer numbers than there are.
fn is_within_half_a_unit(significant: &[u8], power: i64, value: f64) -> Option<bool> {
    const FRACTION: u32 = 52;
    let (bits, places) = (value.to_bits(), usize::try_from(-power).ok()?);
    let (fraction, exponent) = (bits & ((1 << FRACTION) - 1), i64::try_from(bits >> FRACTION).ok()?);
    // The number is so many of a power of two.
    let (count, exponent) = if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << FRACTION, exponent - 1075) };
    let digits = std::str::from_utf8(significant).ok()?.parse::<u64>().ok()?;
    // In units of the power of ten, it is so many of another power of two.
    let units = u128::from(count) * u128::from(*FIVES.get(places)?);
    let shift = exponent - power;
    if shift >= 0 {
        let shift = u32::try_from(shift).ok()?;
        return Some(units.leading_zeros() >= shift && units << shift == u128::from(digits));
    }
    let shift = u32::try_from(-shift).ok()?;
    if shift >= u128::BITS {
        return Some(false);
    }
    let (whole, rest, half) = (units >> shift, units << (u128::BITS - shift), 1 << (u128::BITS - 1));
    let digits = u128::from(digits);
    Some((whole == digits && rest <= half) || (whole + 1 == digits && rest >= half))
}

fn is_power_of_two(value: f64) -> bool {
    value.to_bits().trailing_zeros() >= 52
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_come_back_or_not() {
        for (text, comes_back) in [
            ("0.1", true),
            ("-0.10000", true),
            ("1.000000000000000056e-01", true),
            ("0.1000000000000000055511151231257827", true),
            ("0.1000000000000000055511151231257828", false),
            ("0.30000000000000004", true),
            ("0.300000000000000041", false),
            ("1.23456789012345678901", false),
            ("0.333333333333333333333333333333333333333", false),
            ("9007199254740992", true),
            ("9007199254740993", false),
            ("12345678901234567000", true),
            ("12345678901234567890", false),
            ("1e308", true),
            ("5e-324", true),
            ("4.9e-324", true),
            ("4.8e-324", false),
            ("1e-400", false),
            ("0e5", true),
            ("-0", true),
            ("9.5367431640625e-07", true),
            ("1e23", true),
            ("inf", true),
            ("NaN", true),
        ] {
            assert_eq!(prints_back(text.as_bytes(), b'.', text.parse().unwrap()), comes_back, "{text}");
            let with_comma = text.replace('.', ",");
            assert_eq!(prints_back(with_comma.as_bytes(), b',', text.parse().unwrap()), comes_back, "{text}");
        }
        let long = format!("0.{}1", "3".repeat(70_000));
        assert!(!prints_back(long.as_bytes(), b'.', long.parse().unwrap()));
    }

    #[test]
    fn digits_of_doubles_come_back_from_floats_or_not() {
        for (value, comes_back) in [
            (0.1, true),
            (-16.25, true),
            (0.123_456_7, true),
            (0.123_456_789, false),
            (f64::from(0.1_f32), true),
            (0.300_000_000_000_000_04, false),
            (16_777_217.0, false),
            (123_456.0, true),
            (1e-50, false),
            (0.0, true),
            (-0.0, true),
            (f64::NAN, true),
            (f64::INFINITY, true),
        ] {
            #[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "what is tested")]
            let float = value as f32;
            assert_eq!(float_prints_back(value, float), comes_back, "{value}");
        }
    }

    proptest::proptest! {
        /// What a double or a float prints, in any number of digits that tells it from others, comes back.
        #[test]
        fn printed_numbers_come_back(bits: u64, places in 16_usize..40) {
            let value = f64::from_bits(bits);
            if value.is_finite() {
                for text in [format!("{value:.places$e}"), format!("{value:e}"), value.to_string()] {
                    proptest::prop_assert!(prints_back(text.as_bytes(), b'.', value), "{}", text);
                }
            }
        }

        /// The quick way says what the slow one does, but for what is in the middle.
        #[test]
        fn the_quick_way_is_right(digits in 1_u64..=u64::MAX, places in 0_usize..=27) {
            let text = format!("{digits}e-{places}");
            let value: f64 = text.parse().unwrap();
            let Digits { significant, power } = Digits::of(text.as_bytes(), b'.').unwrap();
            if let Some(quick) = is_within_half_a_unit(&significant, power, value) {
                let printed = format!("{value:.0$e}", significant.len() - 1);
                let slow = Digits::of(printed.as_bytes(), b'.').unwrap();
                let exact = format!("{value:.780e}").replace('.', "");
                let (_, rest) = exact.split_once('e').unwrap().0.split_at(significant.len());
                let is_in_the_middle = rest.trim_end_matches('0') == "5";
                let same = slow.significant == significant && slow.power == power;
                proptest::prop_assert!(quick == same || (quick && is_in_the_middle), "{}", text);
            }
        }
    }
}
