//! Results as a part of `benches/README.md`.

use std::fs;

use crate::support::jars;

const PAGE: &str = "benches/README.md";

/// Puts `text` between the two markers that have this name.
pub fn rewrite(name: &str, text: &str) {
    let page = jars::root().join(PAGE);
    let old = fs::read_to_string(&page).expect("the page can be read");
    let (begin, end) = (format!("<!-- {name}:begin -->"), format!("<!-- {name}:end -->"));
    let (before, rest) = old.split_once(&begin).expect("the page has the first marker");
    let (_, after) = rest.split_once(&end).expect("the page has the second marker");
    let new = format!("{before}{begin}\n{text}{end}{after}");
    fs::write(&page, new).expect("the page can be written");
}

pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
