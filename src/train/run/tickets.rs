//! The tickets of a training run: read, looked over and split.

use std::path::PathBuf;

use super::tell;
use crate::bundle::HeldOut;
use crate::train::audit::{self, Audit, duplicates};
use crate::train::data::{self, Data};
use crate::train::recipe::{Features, Recipe};
use crate::train::split::{self, Parts, Split, Summary};
use crate::train::{Progress, Step, TrainError, turns, vocabulary};

/// What is trained on and tested on.
pub struct Tickets {
    pub data: Data,
    pub audit: Audit,
    pub parts: Parts,
    pub summary: Summary,
    /// All tickets but those of the test, in ascending order.
    pub development: Vec<usize>,
    /// Places in `development` that are held out in turn while the rest is fitted on.
    pub rounds: Vec<Vec<usize>>,
}

impl Tickets {
    /// Reads all rows of all files, looks them over and splits them.
    ///
    /// # Errors
    /// When the files cannot be read, or what they hold cannot be split as the recipe asks.
    pub fn read(
        files: &[PathBuf],
        recipe: &Recipe,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, TrainError> {
        let data = data::read(files, recipe, progress)?;
        let examples = &data.examples;
        tell(progress, Step::Audit, 0, 2);
        let duplicates = duplicates::find(examples);
        tell(progress, Step::Audit, 1, 2);
        let Split { parts, summary } = split::split(examples, &duplicates.groups, &recipe.split)?;
        let audit = audit::audit(&data, duplicates, recipe.fit.min_tickets);
        tell(progress, Step::Audit, 2, 2);
        split::check(examples, &parts, &summary)?;

        let mut development = [parts.fit.as_slice(), parts.calibrate.as_slice()].concat();
        development.sort_unstable();
        let groups = &audit.duplicates.groups;
        let rounds = turns::rounds(&development, &parts, examples, groups, recipe.split.seed);
        let mut tickets = Self { data, audit, parts, summary, development, rounds };
        if tickets.in_turns() {
            turns::tell(&mut tickets.summary, &tickets.data.examples, &tickets.development);
        }
        Ok(tickets)
    }

    /// For each example, its group of equal and nearly equal texts.
    pub fn groups(&self) -> &[u32] {
        &self.audit.duplicates.groups
    }

    /// Whether the development tickets are held out in turns, not some of them at once.
    fn in_turns(&self) -> bool {
        self.rounds.len() > 1
    }

    /// How many categories have so many tickets or more.
    pub fn categories_with(&self, min_tickets: u64) -> usize {
        self.audit.labels.iter().filter(|size| size.tickets >= min_tickets).count()
    }

    /// The recipe's features, of which there are fewer where categories are many.
    pub fn features(&self, recipe: &Recipe) -> Features {
        let labels = self.categories_with(recipe.fit.min_tickets);
        Features { size: vocabulary::size_for(labels, recipe.features.size), ..recipe.features }
    }

    /// The ids of the tickets that were held out, as a bundle lists them.
    pub fn held_out(&self) -> HeldOut {
        let ids = |part: &[usize]| part.iter().map(|i| self.data.examples[*i].id.clone()).collect();
        let calibrate = if self.in_turns() { Vec::new() } else { ids(&self.parts.calibrate) };
        HeldOut { calibrate, test: ids(&self.parts.test) }
    }
}
