//! Which columns of training data hold what.

use serde::{Deserialize, Serialize};

/// Names of columns (CSV, Parquet) or keys (JSON lines); one that is `""` is switched off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    pub id: Option<String>,
    pub subject: Option<String>,
    pub body: Option<String>,
    /// Several are joined with `/`: levels of one taxonomy.
    pub category: Vec<String>,
    /// What tickets that are no known request are about: it sets them apart as `other/...`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    pub priority: Option<String>,
    pub impact: Option<String>,
    pub urgency: Option<String>,
    pub created_at: Option<String>,
    /// How the dates there are written, as a format of strptime; others are read as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at_format: Option<String>,
}

impl Default for Columns {
    fn default() -> Self {
        let named = |name: &str| Some(name.to_owned());
        Self {
            id: named("id"),
            subject: named("subject"),
            body: named("body"),
            category: vec!["category".to_owned()],
            other: None,
            priority: named("priority"),
            impact: named("impact"),
            urgency: named("urgency"),
            created_at: named("created_at"),
            created_at_format: None,
        }
    }
}

impl Columns {
    /// Takes columns that are named `""` for none; to be called again after changing some. The
    /// category has no such choice: without it nothing is learnt.
    pub fn switch_off(&mut self) {
        let Self {
            id,
            subject,
            body,
            category: _,
            other,
            priority,
            impact,
            urgency,
            created_at,
            created_at_format: _,
        } = self;
        for column in [id, subject, body, other, priority, impact, urgency, created_at] {
            if column.as_deref() == Some("") {
                *column = None;
            }
        }
    }

    /// Every column that is named, each once.
    pub(in crate::train) fn names(&self) -> Vec<&str> {
        let Self {
            id,
            subject,
            body,
            category,
            other,
            priority,
            impact,
            urgency,
            created_at,
            created_at_format: _,
        } = self;
        let single = [id, subject, body, other, priority, impact, urgency, created_at];
        let mut names: Vec<&str> =
            single.into_iter().flatten().chain(category).map(|c| &**c).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use crate::train::recipe::{Recipe, RecipeError};

    #[test]
    fn a_column_without_a_name_is_none() {
        let recipe = "[columns]\nid = \"\"\nimpact = \"\"\nurgency = \"\"\ncreated_at = \"\"";
        let columns = Recipe::parse(recipe).unwrap().columns;
        assert_eq!(columns.names(), ["body", "category", "priority", "subject"]);
        assert_eq!((columns.id, columns.impact, columns.created_at), (None, None, None));
        let blank = Recipe::parse("[columns]\nimpact = \" \"").unwrap().columns;
        assert_eq!(blank.impact.as_deref(), Some(" "), "a name all the same");
        let nothing = Recipe::parse("[columns]\nsubject = \"\"\nbody = \"\"").unwrap_err();
        assert!(matches!(nothing, RecipeError::Value { key: "columns.body", .. }), "{nothing}");
    }
}
