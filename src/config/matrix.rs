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
            priority_aliases: BTreeMap::new(),
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
    let aliases_path = format!("{path}.priority_aliases");
    let priority_aliases = aliases(&aliases_path, &written.priority_aliases, &priorities, p);
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
    Matrix { name: name.to_owned(), priorities, priority_aliases, impact, urgency, cells }
}

fn scale(
    path: &str,
    side: &str,
    values: Vec<String>,
    written: BTreeMap<String, String>,
    default: &str,
    p: &mut Problems,
) -> Scale {
    let values: Vec<Arc<str>> = values.into_iter().map(Arc::from).collect();
    let default = values.iter().position(|v| &**v == default).unwrap_or_else(|| {
        p.add(format!("{path}.default_{side}"), "is not one of the values");
        0
    });
    let aliases = aliases(&format!("{path}.{side}_aliases"), &written, &values, p);
    Scale { values, aliases, default }
}

/// The aliases as they are looked up: in lower case, with the index of what they stand for.
fn aliases(
    path: &str,
    written: &BTreeMap<String, String>,
    values: &[Arc<str>],
    p: &mut Problems,
) -> BTreeMap<String, usize> {
    let mut aliases = BTreeMap::new();
    for (alias, value) in written {
        let Some(index) = values.iter().position(|v| &**v == value.as_str()) else {
            p.add(format!("{path}.{alias}"), format!("{value} is not one of the values"));
            continue;
        };
        // A layer that writes it in other letters adds to the one below instead of replacing it.
        if aliases.insert(alias.to_lowercase(), index).is_some_and(|other| other != index) {
            let what = "stands for two values: write it in lower case to replace the one below";
            p.add(format!("{path}.{alias}"), what);
        }
    }
    aliases
}
