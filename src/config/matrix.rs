//! The priority matrices as written, checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::check::Problems;
use super::{MatrixSection, PrioritySection};
use crate::triage::priority::{Matrix, Scale};

/// The chosen matrix; all that are written are checked.
pub(super) fn matrix(section: PrioritySection, p: &mut Problems) -> Matrix {
    let mut chosen = None;
    for (name, written) in section.matrices {
        let checked = one_matrix(&name, written, p);
        if name == section.matrix {
            chosen = Some(checked);
        }
    }
    chosen.unwrap_or_else(|| {
        p.add("priority.matrix", format!("there is no matrix {:?}", section.matrix));
        let empty = || Scale { values: Vec::new(), aliases: BTreeMap::new(), default: 0 };
        Matrix {
            name: String::new(),
            priorities: Vec::new(),
            impact: empty(),
            urgency: empty(),
            cells: Vec::new(),
        }
    })
}

fn one_matrix(name: &str, written: MatrixSection, p: &mut Problems) -> Matrix {
    let path = format!("priority.matrices.{name}");
    let priorities: Vec<Arc<str>> = written.priorities.into_iter().map(Arc::from).collect();
    if priorities.is_empty() {
        p.add(format!("{path}.priorities"), "must not be empty");
    }
    let mut scale = |side: &str, values: Vec<String>, aliases, default: &str| {
        scale(&path, side, values, aliases, default, p)
    };
    let impact = scale("impact", written.impacts, written.impact_aliases, &written.default_impact);
    let urgency =
        scale("urgency", written.urgencies, written.urgency_aliases, &written.default_urgency);
    if written.rows.len() != impact.values.len() {
        p.add(format!("{path}.rows"), "must have one row for each impact");
    }
    let mut cells = Vec::new();
    for (i, row) in written.rows.iter().enumerate() {
        if row.len() != urgency.values.len() {
            p.add(format!("{path}.rows[{i}]"), "must have one entry for each urgency");
        }
        let mut indices = Vec::new();
        for cell in row {
            match priorities.iter().position(|known| &**known == cell.as_str()) {
                Some(index) => indices.push(index),
                None => p.add(format!("{path}.rows[{i}]"), format!("{cell} is not a priority")),
            }
        }
        cells.push(indices);
    }
    Matrix { name: name.to_owned(), priorities, impact, urgency, cells }
}

fn scale(
    path: &str,
    side: &str,
    values: Vec<String>,
    aliases: BTreeMap<String, String>,
    default: &str,
    p: &mut Problems,
) -> Scale {
    let values: Vec<Arc<str>> = values.into_iter().map(Arc::from).collect();
    let index = |text: &str| values.iter().position(|v| &**v == text);
    let default = index(default).unwrap_or_else(|| {
        p.add(format!("{path}.default_{side}"), "is not one of the values");
        0
    });
    let mut by_alias = BTreeMap::new();
    for (alias, value) in &aliases {
        match index(value) {
            Some(i) => {
                by_alias.insert(alias.to_lowercase(), i);
            }
            None => {
                let what = format!("{value} is not one of the values");
                p.add(format!("{path}.{side}_aliases.{alias}"), what);
            }
        }
    }
    Scale { values, aliases: by_alias, default }
}
