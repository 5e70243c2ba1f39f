//! Charts as inline SVG. Colours come from the page's style sheet, by class.

use maud::{Markup, html};

const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 18.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// One axis: the values it spans and those that are written beside it.
#[derive(Clone, Debug)]
pub struct Axis<'a> {
    pub name: &'a str,
    pub from: f64,
    pub to: f64,
    pub ticks: Vec<(f64, String)>,
}

impl<'a> Axis<'a> {
    /// Shares from `from` to 1, a tick at every 10 or 20 %.
    pub fn shares(name: &'a str, from: f64) -> Self {
        let step = if from < 0.45 { 20 } else { 10 };
        let first = (from * 100.0).round() as u32;
        let ticks = (0..=100u32).filter(|p| *p >= first && p % step == 0);
        let ticks = ticks.map(|p| (f64::from(p) / 100.0, format!("{p}\u{a0}%")));
        Self { name, from, to: 1.0, ticks: ticks.collect() }
    }

    /// Where a value lies, 0 at the beginning of the axis and 1 at its end.
    fn place(&self, value: f64) -> f64 {
        let span = self.to - self.from;
        if span > 0.0 { ((value - self.from) / span).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// What is drawn, in the axes' values; values beyond an axis are drawn at its end.
#[derive(Clone, Debug)]
pub enum Mark<'a> {
    Line {
        points: Vec<(f64, f64)>,
        class: &'a str,
    },
    /// The radius is in hundredths of the chart's width, `tip` shows on hovering.
    Dot {
        at: (f64, f64),
        radius: f64,
        class: &'a str,
        tip: String,
    },
    /// From low to high, upright.
    Whisker {
        x: f64,
        low: f64,
        high: f64,
    },
    /// Text that ends at a point.
    Note {
        at: (f64, f64),
        text: String,
    },
}

/// Draws `marks` in order over the axes' grid. `title` is what a screen reader says.
pub fn chart(title: &str, x: &Axis<'_>, y: &Axis<'_>, marks: &[Mark<'_>]) -> Markup {
    let across = |v: f64| number(LEFT + x.place(v) * (WIDTH - LEFT - RIGHT));
    let up = |v: f64| number(HEIGHT - BOTTOM - y.place(v) * (HEIGHT - TOP - BOTTOM));
    let (floor, right) = (number(HEIGHT - BOTTOM), number(WIDTH - RIGHT));
    let middle = number((HEIGHT - BOTTOM + TOP) / 2.0);
    html! {
        svg class="chart" viewBox={ "0 0 " (number(WIDTH)) " " (number(HEIGHT)) } role="img" aria-label=(title) {
            @for (v, text) in &y.ticks {
                line class="grid" x1=(number(LEFT)) x2=(right) y1=(up(*v)) y2=(up(*v)) {}
                text x=(number(LEFT - 6.0)) y=(up(*v)) dy="4" text-anchor="end" { (text) }
            }
            @for (v, text) in &x.ticks {
                line class="grid" x1=(across(*v)) x2=(across(*v)) y1=(number(TOP)) y2=(floor) {}
                text x=(across(*v)) y=(floor) dy="16" text-anchor="middle" { (text) }
            }
            text x=(number((LEFT + WIDTH - RIGHT) / 2.0)) y=(number(HEIGHT - 8.0)) text-anchor="middle" { (x.name) }
            text transform={ "translate(13 " (middle) ") rotate(-90)" } text-anchor="middle" { (y.name) }
            @for mark in marks {
                @match mark {
                    Mark::Line { points, class } => {
                        @let path: Vec<String> = points.iter().map(|(x, y)| format!("{},{}", across(*x), up(*y))).collect();
                        polyline class=(class) points=(path.join(" ")) {}
                    }
                    Mark::Dot { at, radius, class, tip } => {
                        circle class={ "dot " (class) } cx=(across(at.0)) cy=(up(at.1)) r=(number(radius * WIDTH / 100.0)) {
                            title { (tip) }
                        }
                    }
                    Mark::Whisker { x, low, high } => {
                        line class="whisker" x1=(across(*x)) x2=(across(*x)) y1=(up(*low)) y2=(up(*high)) {}
                    }
                    Mark::Note { at, text } => {
                        text x=(across(at.0)) y=(up(at.1)) dy="-6" text-anchor="end" { (text) }
                    }
                }
            }
        }
    }
}

/// A share and its interval on a small line from 0 to 1, for a table's cell.
pub fn range(share: f64, (low, high): (f64, f64)) -> Markup {
    let at = |v: f64| number(2.0 + v.clamp(0.0, 1.0) * 96.0);
    html! {
        svg class="range" viewBox="0 0 100 12" aria-hidden="true" {
            line class="base" x1="2" x2="98" y1="6" y2="6" {}
            line class="span" x1=(at(low)) x2=(at(high)) y1="6" y2="6" {}
            circle class="at" cx=(at(share)) cy="6" r="3.2" {}
        }
    }
}

/// A coordinate; one decimal is finer than a pixel. What is not a number is drawn at 0.
fn number(value: f64) -> String {
    format!("{:.1}", if value.is_finite() { value } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_land_where_they_belong() {
        let (x, y) = (Axis::shares("sure", 0.0), Axis::shares("right", 0.5));
        let marks = [
            Mark::Line { points: vec![(0.0, 0.5), (1.0, 1.0)], class: "main" },
            Mark::Dot { at: (0.5, 0.2), radius: 1.0, class: "", tip: "<b>".into() },
        ];
        let svg = chart("a \"chart\"", &x, &y, &marks).into_string();
        assert!(svg.contains(r#"points="58.0,284.0 462.0,14.0""#), "{svg}");
        // Below the axis: at its end.
        assert!(svg.contains(r#"cx="260.0" cy="284.0" r="4.8""#), "{svg}");
        assert!(svg.contains("&lt;b&gt;") && svg.contains("a &quot;chart&quot;"));
        assert_eq!(x.ticks.len(), 6);
        assert_eq!(y.ticks.len(), 6);
    }

    #[test]
    fn no_axis_and_no_number_break_a_chart() {
        let axis = Axis { name: "", from: 1.0, to: 1.0, ticks: vec![] };
        let marks = [Mark::Line { points: vec![(f64::NAN, f64::INFINITY)], class: "main" }];
        let svg = chart("", &axis, &axis, &marks).into_string();
        assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{svg}");
        assert!(!range(f64::NAN, (0.0, 1.0)).into_string().contains("NaN"));
    }
}
