//! A recipe: how a table of labelled tickets becomes a model.

mod columns;
mod fields;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dates;
use crate::triage::model::Target;

pub use columns::Columns;
pub use fields::Field;

/// All settings of a training run. Every one has a default; a key that is not known is refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// The name of the model that comes out.
    pub version: String,
    /// What the tickets are, for the model card: one or two sentences.
    pub about: String,
    /// What the labels are; left out of manifests where it is the usual.
    #[serde(skip_serializing_if = "Purpose::is_triage")]
    pub purpose: Purpose,
    pub columns: Columns,
    /// What the model reads beside subject and body; left out of manifests where it is nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    pub labels: Labels,
    pub features: Features,
    pub fit: Fit,
    pub split: Split,
    pub threshold: Threshold,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Labels are categories.
    #[default]
    Triage,
    /// Labels are known requests. A ticket without one is `other`, and nothing else is told.
    Requests,
}

impl Purpose {
    fn is_triage(&self) -> bool {
        *self == Self::Triage
    }
}

/// What is done to categories as they are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Labels {
    /// Old name to new name, for groups that were renamed or joined. Whole labels, all levels.
    pub aliases: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Words, n-grams, pairs and values of fields at most.
    pub size: usize,
    /// A word, n-gram, pair or value of a field is a feature if so many tickets have it.
    pub min_tickets: u32,
    /// How much the n-grams of a word count beside the word itself.
    pub gram_weight: f32,
    /// How often a word of the subject counts, where one of the body counts once.
    pub subject_weight: f32,
}

/// What kind of model is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Whichever is best on held-out tickets.
    Auto,
    NaiveBayes,
    /// Complement naive Bayes.
    Complement,
    /// A linear layer over features scaled by naive Bayes.
    Sharpened,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fit {
    pub kind: Kind,
    /// Additive smoothing of naive Bayes, above 0; of several the best on held-out tickets.
    pub alpha: Vec<f64>,
    /// Penalties of the sharpened model, above 0; of several the best on held-out tickets.
    pub lambda: Vec<f64>,
    /// A label needs this many tickets to be learnt.
    pub min_tickets: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Split {
    pub by: By,
    pub seed: u64,
    /// Share of the tickets kept for calibration and thresholds.
    pub calibrate: f64,
    /// Share of the tickets kept for the final numbers.
    pub test: f64,
    /// Whether the model that is written is fitted once more, on all tickets, after the numbers
    /// were taken from one that had not seen the test tickets.
    pub refit: bool,
}

/// What decides which tickets are held out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// By time where the tickets have dates, at random otherwise.
    #[default]
    Auto,
    /// The newest tickets are held out.
    Time,
    /// The seed and the text.
    Random,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Threshold {
    /// Of the tickets at or above a head's threshold, this share must be right.
    pub precision: f64,
    /// A threshold needs this many tickets at or above it to count as shown.
    pub min_tickets: u64,
    /// Share of tickets like those of the data that may be held back as out of scope, for having
    /// more new words than the others. 0: none is.
    pub out_of_scope: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            version: "unnamed".to_owned(),
            about: String::new(),
            purpose: Purpose::default(),
            columns: Columns::default(),
            fields: Vec::new(),
            labels: Labels::default(),
            features: Features::default(),
            fit: Fit::default(),
            split: Split::default(),
            threshold: Threshold::default(),
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self { size: 300_000, min_tickets: 2, gram_weight: 2.5, subject_weight: 2.0 }
    }
}

impl Default for Fit {
    fn default() -> Self {
        Self {
            kind: Kind::Auto,
            alpha: vec![0.03, 0.1, 0.3, 1.0],
            lambda: vec![0.3, 0.1, 0.03, 1.0],
            min_tickets: 2,
        }
    }
}

impl Default for Split {
    fn default() -> Self {
        Self { by: By::Auto, seed: 7, calibrate: 0.1, test: 0.1, refit: true }
    }
}

impl Default for Threshold {
    fn default() -> Self {
        Self { precision: 0.9, min_tickets: 30, out_of_scope: 0.01 }
    }
}

/// Why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecipeError {
    #[error("cannot read the recipe {path}: {source}", path = path.display())]
    Read { path: std::path::PathBuf, source: std::io::Error },
    #[error("the recipe cannot be understood: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("the recipe's {key} is {found}: {wanted}")]
    Value { key: &'static str, found: String, wanted: &'static str },
}

impl Recipe {
    /// Reads a recipe from a TOML file.
    ///
    /// # Errors
    /// When it cannot be read or says something that cannot be done.
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| RecipeError::Read { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// As [`Self::read`], from the text.
    ///
    /// # Errors
    /// When it says something that cannot be done.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        let mut recipe: Self = toml::from_str(text)?;
        recipe.columns.switch_off();
        recipe.check()?;
        Ok(recipe)
    }

    /// Checks the values; to be called again after changing some.
    ///
    /// # Errors
    /// The first value that cannot be used.
    pub fn check(&self) -> Result<(), RecipeError> {
        let value = |key, found: &dyn std::fmt::Debug, wanted| {
            Err(RecipeError::Value { key, found: format!("{found:?}"), wanted })
        };
        if self.columns.subject.is_none() && self.columns.body.is_none() {
            return value("columns.body", &"missing", "name a column for subject or body");
        }
        if self.columns.category.is_empty() {
            return value("columns.category", &"empty", "name at least one column");
        }
        if self.columns.other.is_some() && self.purpose == Purpose::Triage {
            let wanted = "leave it out, or set purpose = \"requests\"";
            return value("columns.other", &self.columns.other, wanted);
        }
        let format = self.columns.created_at_format.as_ref();
        if let Some(format) = format.filter(|format| !dates::tells_a_day(format)) {
            let wanted = "give strptime's words for a whole date, such as \"%d.%m.%Y %H:%M\"";
            return value("columns.created_at_format", format, wanted);
        }
        self.check_fields()?;
        let aliases = &self.labels.aliases;
        let is_wrong = |new: &str| new.is_empty() || new.trim() != new || aliases.contains_key(new);
        if let Some(alias) = aliases.iter().find(|(_, new)| is_wrong(new)) {
            return value(
                "labels.aliases",
                &alias,
                "give a new name without blanks around it that is not itself an old name",
            );
        }
        if self.fit.alpha.is_empty() || !self.fit.alpha.iter().all(|a| (1e-6..=1e3).contains(a)) {
            return value("fit.alpha", &self.fit.alpha, "give one or more from 0.000001 to 1000");
        }
        let lambda = &self.fit.lambda;
        if lambda.is_empty() || !lambda.iter().all(|l| (1e-6..=1e6).contains(l)) {
            return value("fit.lambda", lambda, "give one or more from 0.000001 to 1000000");
        }
        let Features { size, min_tickets, gram_weight, subject_weight } = self.features;
        if !(16..=10_000_000).contains(&size) {
            return value("features.size", &size, "give 16 to 10000000");
        }
        if min_tickets == 0 {
            return value("features.min_tickets", &min_tickets, "give 1 or more");
        }
        if !(0.0..=100.0).contains(&gram_weight) {
            return value("features.gram_weight", &gram_weight, "give 0 to 100");
        }
        if !(0.0..=100.0).contains(&subject_weight) {
            return value("features.subject_weight", &subject_weight, "give 0 to 100");
        }
        let Split { calibrate, test, .. } = self.split;
        if !(0.01..=0.5).contains(&calibrate)
            || !(0.01..=0.5).contains(&test)
            || calibrate + test > 0.8
        {
            return value(
                "split",
                &(calibrate, test),
                "give calibrate and test from 0.01 to 0.5 that leave a fifth for fitting",
            );
        }
        let Threshold { precision, out_of_scope, .. } = self.threshold;
        for (name, share) in
            [("threshold.precision", precision), ("threshold.out_of_scope", out_of_scope)]
        {
            if !(0.0..=1.0).contains(&share) {
                return value(name, &share, "give a share from 0 to 1");
            }
        }
        Ok(())
    }

    /// The column of a target other than the category.
    pub(super) fn column(&self, target: Target) -> Option<&str> {
        match target {
            Target::Category => None,
            Target::Priority => self.columns.priority.as_deref(),
            Target::Impact => self.columns.impact.as_deref(),
            Target::Urgency => self.columns.urgency.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_hold_and_unknown_keys_do_not() {
        assert_eq!(Recipe::parse("").unwrap(), Recipe::default());
        let recipe =
            Recipe::parse("[columns]\ncategory = [\"a\", \"b\"]\n[split]\nseed = 1").unwrap();
        assert_eq!(recipe.columns.category, ["a", "b"]);
        assert_eq!(recipe.split.seed, 1);
        assert!(Recipe::parse("[columns]\ncreated_at_format = \"%d.%m.%Y\"").is_ok());
        assert!(matches!(Recipe::parse("sede = 1"), Err(RecipeError::Toml(_))));
        for bad in [
            "[fit]\nalpha = [0.0]",
            "[split]\ntest = 0.9",
            "[threshold]\nprecision = 1.5",
            "[threshold]\nout_of_scope = -0.1",
            "[columns]\ncategory = []",
            "[columns]\ncreated_at_format = \"%d.%m.\"",
            "[labels.aliases]\na = \"\"",
            "[labels.aliases]\na = \"b\"\nb = \"c\"",
        ] {
            assert!(matches!(Recipe::parse(bad), Err(RecipeError::Value { .. })), "{bad}");
        }
    }
}
