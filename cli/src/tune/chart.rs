//! A plot of something by chunk size, as SVG.

use std::fmt::Write;

use super::model::float;
use crate::html::escaped;

/// Size of a plot, and what is left of it for the curves.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 54.0;
const BOTTOM: f64 = HEIGHT - 42.0;

/// Lines across, that of zero aside.
const STEPS: u32 = 4;

/// Something by chunk size.
#[derive(Debug)]
pub(super) struct Chart<'a> {
    pub(super) title: &'a str,
    /// The chunk sizes, and whether the numbers of each are predicted.
    pub(super) sizes: &'a [(u64, bool)],
    pub(super) curves: Vec<Curve>,
}

/// A curve: a name, and a value for each size; none where it is not known.
#[derive(Debug)]
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) values: Vec<Option<f64>>,
}

impl Chart<'_> {
    /// The plot as an `svg` element; colours are up to the page's classes `curve0`, `curve1` and so on.
    pub(super) fn svg(&self) -> String {
        let known = self.curves.iter().flat_map(|curve| curve.values.iter().flatten());
        let top = round_up(known.copied().fold(0.0, f64::max));
        let title = escaped(self.title);
        let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n");
        let _ = writeln!(svg, "<text class=\"title\" x=\"8\" y=\"18\">{title}</text>");
        self.add_grid(&mut svg, top);
        for (place, curve) in self.curves.iter().enumerate() {
            self.add_curve(&mut svg, place, curve, top);
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn add_grid(&self, svg: &mut String, top: f64) {
        for step in 0..=STEPS {
            let value = top * f64::from(step) / f64::from(STEPS);
            let y = y(value, top);
            let _ = writeln!(svg, "<line class=\"grid\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>");
            let (x, y, value) = (LEFT - 8.0, y + 4.0, short(value, top));
            let _ = writeln!(svg, "<text class=\"end\" x=\"{x}\" y=\"{y:.1}\">{value}</text>");
        }
        for (place, (size, _)) in self.sizes.iter().enumerate() {
            let (x, y) = (self.x(place), BOTTOM + 18.0);
            let _ = writeln!(svg, "<text class=\"middle\" x=\"{x:.1}\" y=\"{y}\">{size}</text>");
        }
        let (x, y) = (f64::midpoint(LEFT, RIGHT), HEIGHT - 6.0);
        let _ = writeln!(svg, "<text class=\"middle\" x=\"{x}\" y=\"{y}\">CHUNK_SIZE_MB</text>");
    }

    fn add_curve(&self, svg: &mut String, place: usize, curve: &Curve, top: f64) {
        let class = format!("curve{place}");
        let key = float(u64::try_from(place).unwrap_or_default()).mul_add(130.0, LEFT);
        let (text, name) = (key + 22.0, curve.name);
        let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{key}\" y1=\"36\" x2=\"{}\" y2=\"36\"/>", key + 16.0);
        let _ = writeln!(svg, "<text x=\"{text}\" y=\"40\">{name}</text>");
        let points = curve.values.iter().zip(self.sizes).enumerate();
        let points: Vec<(f64, f64, bool, String)> = points
            .filter_map(|(place, (value, (size, is_predicted)))| {
                let value = (*value)?;
                let said = format!("{size} MiB: {}", short(value, top));
                Some((self.x(place), y(value, top), *is_predicted, said))
            })
            .collect();
        let line: Vec<String> = points.iter().map(|(x, y, ..)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<polyline class=\"{class}\" points=\"{}\"/>", line.join(" "));
        for (x, y, is_predicted, said) in points {
            let predicted = if is_predicted { " predicted" } else { "" };
            let _ = writeln!(
                svg,
                "<circle class=\"{class}{predicted}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"><title>{said}</title></circle>"
            );
        }
    }

    /// Where a size stands: all as far apart, since each is about twice the one before.
    fn x(&self, place: usize) -> f64 {
        let count = |count: usize| float(u64::try_from(count).unwrap_or_default());
        LEFT + (RIGHT - LEFT) * (count(place) + 0.5) / count(self.sizes.len().max(1))
    }
}

fn y(value: f64, top: f64) -> f64 {
    BOTTOM - (BOTTOM - TOP) * value / top
}

/// The least of 1, 2, 4 and 8 times a power of ten that is not below.
fn round_up(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    [1.0, 2.0, 4.0, 8.0, 10.0].map(|times| times * power).into_iter().find(|top| *top >= most).unwrap_or(most)
}

/// A number with as many digits as tell on an axis that ends there.
fn short(value: f64, top: f64) -> String {
    let digits = match top {
        top if top < 0.1 => 4,
        top if top < 1.0 => 3,
        top if top < 10.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (most, top) in [(0.0, 1.0), (0.000_7, 0.000_8), (1.0, 1.0), (3.1, 4.0), (8.5, 10.0), (171.0, 200.0)] {
            assert!((round_up(most) - top).abs() < 1e-9, "{most} {}", round_up(most));
        }
    }

    #[test]
    fn numbers_have_the_digits_that_tell() {
        for (value, top, text) in
            [(0.0, 8.0, "0.0"), (0.001_23, 0.04, "0.0012"), (0.5, 0.8, "0.500"), (2.0, 8.0, "2.0"), (12.3, 20.0, "12")]
        {
            assert_eq!(short(value, top), text);
        }
    }
}
