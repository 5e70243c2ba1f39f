//! What the test tickets say of a model that has not seen them.

use super::{Tickets, tell};
use crate::bundle::BundleError;
use crate::train::data::Example;
use crate::train::evaluate::{Evaluation, predict};
use crate::train::recipe::{Purpose, Recipe};
use crate::train::report::{self, Mistake};
use crate::train::{Progress, Step, TrainError, scope};
use crate::triage::model::scope::Scope;
use crate::triage::model::{Model, Target};

/// The test tickets and what was measured on them.
pub struct Tested {
    pub examples: Vec<Example>,
    pub scope: Scope,
    pub evaluation: Evaluation,
    /// Of the category, the surest first.
    pub mistakes: Vec<Mistake>,
}

impl Tested {
    /// Bounds the model's scope by the test tickets, and asks it about them.
    ///
    /// # Errors
    /// When the model does not take the scope.
    pub fn new(
        model: Model,
        tickets: &Tickets,
        recipe: &Recipe,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, TrainError> {
        let test = &tickets.parts.test;
        let examples: Vec<Example> =
            test.iter().map(|i| tickets.data.examples[*i].clone()).collect();
        // What else the matcher of requests is asked about, it knows as `other`.
        let held_back = match recipe.purpose {
            Purpose::Triage => recipe.threshold.out_of_scope,
            Purpose::Requests => 0.0,
        };
        let scope = scope::bounds(&model, &examples, held_back);
        let model = model.with_scope(scope.clone()).map_err(BundleError::Parts)?;
        let (mut asked, total) = (0, examples.len());
        tell(progress, Step::Evaluate, asked, total);
        // A group is never in two parts, so those of the test are what they would be by themselves.
        let groups: Vec<u32> = test.iter().map(|i| tickets.groups()[*i]).collect();
        let predictions = predict(&model, &examples, &groups, || {
            asked += 1;
            if asked % 100 == 0 || asked == total {
                tell(progress, Step::Evaluate, asked, total);
            }
        });
        let evaluation = predictions.evaluation(model.id.as_str(), &model.version);
        let category = predictions.head(Target::Category);
        let mistakes = category.map(|c| report::mistakes(c, &examples)).unwrap_or_default();
        Ok(Self { examples, scope, evaluation, mistakes })
    }
}
