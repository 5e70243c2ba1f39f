//! Which topics each stage reads and writes, and under which names: for its worker, for the metrics and
//! for `triaged check`.

use std::sync::Arc;

use crate::config::Config;
use crate::playbook::Library;

/// Where a stage reads and writes.
pub struct Ends {
    pub inputs: Vec<Arc<str>>,
    pub outputs: Vec<Arc<str>>,
    /// What every process reads as a whole, in no group.
    pub state: Vec<Arc<str>>,
    /// What is added to the consumer group's name.
    pub group: &'static str,
    /// What is added to the process' name.
    pub name: String,
}

impl Ends {
    /// Those of each stage that runs; `library` are the playbooks, if there are any.
    pub fn all(config: &Config, library: Option<&Library>) -> Vec<Self> {
        let routes = config.stages.route.then(|| Self::route(config, 0));
        let resolves = config.stages.resolve.then(|| Self::resolve(config, library));
        routes.into_iter().chain(resolves).collect()
    }

    /// Tickets in; decisions, dead letters and actions out.
    pub fn route(config: &Config, worker: usize) -> Self {
        Self {
            inputs: config.inputs.clone(),
            outputs: config.route.output_topics(&config.policy.queues()),
            state: Vec::new(),
            group: "",
            name: format!("-{worker}"),
        }
    }

    /// Actions and feedback in; outcomes, lines of the ledger, and tickets for every queue that one
    /// can be handed back to.
    pub fn resolve(config: &Config, library: Option<&Library>) -> Self {
        let topics = &config.resolve.topics;
        let mut queues = config.policy.queues();
        let playbooks = library.into_iter().flat_map(Library::iter);
        queues.extend(playbooks.map(|playbook| playbook.fallback_queue.clone()));
        queues.sort();
        queues.dedup();
        let mut outputs = config.route.output_topics(&queues);
        outputs.retain(|topic| *topic != topics.actions);
        outputs.extend([&topics.outcomes, &topics.ledger].map(Arc::clone));
        Self {
            inputs: [&topics.actions, &topics.feedback].map(Arc::clone).into(),
            outputs,
            state: [&topics.ledger, &topics.control].map(Arc::clone).into(),
            group: "-resolve",
            name: String::from("-resolve"),
        }
    }
}
