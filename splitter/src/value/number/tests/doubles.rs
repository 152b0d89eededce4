//! The fast way to read doubles and the slow one, which prints them, on texts that a seed decides.

use super::*;
use crate::dice::{Dice, cases};

/// Texts that are compared.
const TEXTS: u64 = 20_000;

/// Numbers and texts of them.
struct Numbers(Dice);

impl Numbers {
    /// A number from zero to one.
    fn fraction(&mut self) -> f64 {
        f64::from_bits(0x3ff0_0000_0000_0000 | self.0.roll() >> 12) - 1.0
    }

    /// A double of one of the kinds that files have, or that are hard to read.
    fn double(&mut self) -> f64 {
        let (near, fraction) = (self.0.roll() % 15, self.fraction());
        match self.0.below(8) {
            0 => f64::from_bits(self.0.roll()),
            1 => fraction,
            2 => fraction * 200.0 - 100.0,
            3 => fraction * 1e-9,
            4 => fraction * 1e18,
            // Near a power of two, whose neighbours are not equally far away.
            5 => f64::from_bits(((1023 + self.0.roll() % 120 - 60) << 52) + near - 7),
            6 => f64::from_bits(((self.0.roll() % 2046 + 1) << 52) - 7 + near),
            // Exactly in the middle between two numbers of fewer digits.
            _ => f64::from_bits(0x4320_0000_0000_0000 + (self.0.roll() >> 20)) / 8.0,
        }
    }

    /// A number as programs print it, or nearly so.
    fn text(&mut self) -> String {
        let value = self.double();
        let places = self.0.below(22);
        let text = match self.0.below(11) {
            0 => format!("{value:?}"),
            1 => format!("{value}"),
            2 => format!("{value:e}"),
            3 => format!("{value:.15e}"),
            4 => format!("{value:.16e}"),
            5 => format!("{value:.18e}"),
            6 => format!("{value:.17}"),
            7 => format!("{value:.places$}"),
            8 => format!("{value:.places$e}"),
            9 => self.digits(),
            // With an exponent as C prints it.
            _ => format!("{value:.16e}").replace('e', "e+").replace("e+-", "e-0"),
        };
        if self.0.one_in(8) {
            String::from_utf8(self.0.mutated(text.as_bytes(), b"0123456789.,eE+-x \0")).unwrap()
        } else {
            text
        }
    }

    /// Any digits, with a point among them and an exponent after them.
    fn digits(&mut self) -> String {
        let count = 1 + self.0.below(24);
        let mut text: String = (0..count).map(|_| char::from(b'0' + u8::try_from(self.0.below(10)).unwrap())).collect();
        text.insert(self.0.below(count + 1), '.');
        match self.0.below(3) {
            0 => text,
            1 => format!("{text}e{}", self.0.below(700)),
            _ => format!("{text}E-{}", self.0.below(700)),
        }
    }
}

/// `SLUICE_SEEDS=5000000` compares so many. Where the fast way cannot tell, it asks the slow one, so that it must tell nearly always.
#[test]
fn doubles_are_read_as_if_they_were_printed() {
    let mut numbers = Numbers(Dice(0));
    for _ in 0..cases(TEXTS) {
        let text = numbers.text();
        let dice = &mut numbers.0;
        let behind = dice.roll() % 1_000_000_000_000;
        let (text, point) = if dice.one_in(8) { (text.replace('.', ","), b',') } else { (text, b'.') };
        let within = format!("{text}{behind:024}.{behind:024}");
        let notation = Notation { point, bare_exponents: dice.one_in(2) };
        let expected = printed_float64(text.as_bytes(), notation).map(f64::to_bits);
        let told = |nearest: Nearest| (nearest.value.to_bits(), nearest.is_shortened);
        let expected_told = printed_lenient_float64(text.as_bytes(), point).map(told);
        for field in [Field::from(text.as_bytes()), Field::at(within.as_bytes(), Span::new(0, text.len()))] {
            assert_eq!(float64(field, notation).map(f64::to_bits), expected, "{text}");
            assert_eq!(lenient_float64(field, point).map(told), expected_told, "{text}");
        }
    }
}

/// The shortest text of a power of two need not be the nearest of as many digits: 5.684341886080802e-14 is one.
#[test]
fn powers_of_two_are_read() {
    for exponent in 1..2047 {
        let value = f64::from_bits(exponent << 52);
        for text in [format!("{value:e}"), format!("{value}")] {
            assert_eq!(float64(text.as_bytes().into(), JSON), Some(value), "{text}");
        }
    }
}

#[test]
fn most_doubles_are_read_fast() {
    type Print = fn(f64) -> String;
    let mut numbers = Numbers(Dice(1));
    let kinds: [(usize, Print); 6] = [
        (0, |value| format!("{:?}", value * 100.0)),
        (0, |value| format!("{:e}", value / 1e30)),
        (0, |value| format!("{value:.17}")),
        (0, |value| format!("{:.16e}", value * 1e40)),
        // A digit too few is no number again, and a last zero does not count.
        (1100, |value| format!("-{:.17}", value / 7.0)),
        (1100, |value| format!("{value:.18e}")),
    ];
    for (most_slow, print) in kinds {
        let texts: Vec<String> = std::iter::repeat_with(|| print(numbers.fraction())).take(10_000).collect();
        let is_slow = |text: &&String| Printed::of(text.as_bytes().into(), b'.').and_then(Printed::nearest).is_none();
        let slow: Vec<&String> = texts.iter().filter(|text| text.contains('.')).filter(is_slow).collect();
        assert!(slow.len() <= most_slow, "{} of 10,000 as {:?}", slow.len(), slow.first());
    }
}
