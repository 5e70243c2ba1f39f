//! Triage: ticket, model and policy in, decision out. Pure: no network, clock, file, thread or
//! metric, so that the same ticket, model and policy always give the same decision.

pub mod change;
pub mod decision;
pub mod model;
pub mod playbooks;
pub mod policy;
pub mod priority;
pub mod requests;
pub mod text;
pub mod ticket;

use std::sync::Arc;

use crate::playbook::Facts;
use decision::{
    Category, Decision, Explanation, Likely, ModelRef, Outcome, PolicyRef, Priority, Review,
    Rounded, Side, Word,
};
use model::{Model, Scratch, Target};
use playbooks::Playbooks;
use policy::{Policy, Table};
use priority::{Mapping, Proposal};
use text::{Text, fields};
use ticket::Ticket;

/// A model and a policy that fit each other.
#[derive(Clone)]
pub struct Triage {
    model: Arc<Model>,
    policy: Arc<Policy>,
    table: Table,
    mapping: Mapping,
    /// For each category.
    thresholds: Vec<f64>,
    playbooks: Option<Playbooks>,
}

/// Where models, policy and playbooks do not fit each other.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    #[error("the model has no category head")]
    NoCategory,
    #[error(
        "no rule of the policy takes in: {}; name them in [[policy.routes]], or let the last rule \
         have category = [\"*\"]",
        .0.join(", ")
    )]
    Uncovered(Vec<String>),
    #[error("rules of the policy name categories that the model does not have: {}", .0.join(", "))]
    UnknownCategories(Vec<String>),
    #[error("[policy.thresholds] names categories that the model does not have: {}", .0.join(", "))]
    UnknownThresholds(Vec<String>),
    #[error(
        "the priority matrix does not know these labels of the model: {}; name them in a \
         [priority.matrices.NAME] of your own, or in the aliases of the one in use",
        .0.join(", ")
    )]
    UnknownLevels(Vec<String>),
    #[error("playbook {playbook}: the known-request model has no request {}", .requests.join(", "))]
    UnknownRequests { playbook: String, requests: Vec<String> },
    #[error("playbook {playbook}: no category of the model fits {}", .categories.join(", "))]
    PlaybookCategories { playbook: String, categories: Vec<String> },
    #[error("playbook {playbook}: priorities_below: the matrix has no priority {priority}")]
    UnknownPriority { playbook: String, priority: String },
    #[error("playbook {0} can never act: it has no rules, and resolve.model names no model")]
    NeverActs(String),
    #[error("resolve.security_categories: no category of the model fits {}", .0.join(", "))]
    SecurityCategories(Vec<String>),
}

impl Mismatch {
    /// Whether rules are made for other categories, no more.
    pub fn is_of_routes(&self) -> bool {
        matches!(self, Self::Uncovered(_) | Self::UnknownCategories(_))
    }
}

impl Triage {
    /// Brings a model and a policy together.
    ///
    /// # Errors
    /// Every [`Mismatch`] between the two, all at once.
    pub fn new(model: Arc<Model>, policy: Arc<Policy>) -> Result<Self, Vec<Mismatch>> {
        let Some(head) = model.head(Target::Category) else {
            return Err(vec![Mismatch::NoCategory]);
        };
        let mut mismatches = Vec::new();
        let uncovered = policy.uncovered(&head.labels);
        if !uncovered.is_empty() {
            mismatches
                .push(Mismatch::Uncovered(uncovered.into_iter().map(str::to_owned).collect()));
        }
        let unknown = policy.unknown_categories(&head.labels);
        if !unknown.is_empty() {
            mismatches.push(Mismatch::UnknownCategories(unknown));
        }
        let unknown = policy.unknown_thresholds(&head.labels);
        if !unknown.is_empty() {
            mismatches.push(Mismatch::UnknownThresholds(unknown));
        }
        let thresholds = policy.thresholds(head);
        let table = Table::new(&policy, &head.labels);
        match Mapping::new(&model, &policy.matrix) {
            Ok(mapping) if mismatches.is_empty() => {
                Ok(Self { model, policy, table, mapping, thresholds, playbooks: None })
            }
            Ok(_) => Err(mismatches),
            Err(unknown) => {
                mismatches.push(Mismatch::UnknownLevels(unknown));
                Err(mismatches)
            }
        }
    }

    /// The same, with playbooks for known requests.
    #[must_use]
    pub fn with_playbooks(self, playbooks: Playbooks) -> Self {
        Self { playbooks: Some(playbooks), ..self }
    }

    pub fn playbooks(&self) -> Option<&Playbooks> {
        self.playbooks.as_ref()
    }

    /// Every [`Mismatch`] between its playbooks and model and policy.
    pub fn playbook_mismatches(&self) -> Vec<Mismatch> {
        let categories = self.model.head(Target::Category).map_or(&[][..], |head| &head.labels);
        let priorities = &self.policy.matrix.priorities;
        let playbooks = self.playbooks.as_ref();
        playbooks.map_or_else(Vec::new, |p| p.mismatches(categories, priorities))
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Decides one ticket. `scratch` holds buffers between calls and never changes the outcome.
    pub fn decide<'a>(&'a self, scratch: &mut Scratch, ticket: &'a Ticket<'_>) -> Decision<'a> {
        self.decide_with(self.playbooks.as_ref(), scratch, ticket)
    }

    /// The same for a ticket that no playbook may answer.
    pub fn decide_unaided<'a>(
        &'a self,
        scratch: &mut Scratch,
        ticket: &'a Ticket<'_>,
    ) -> Decision<'a> {
        self.decide_with(None, scratch, ticket)
    }

    fn decide_with<'a>(
        &'a self,
        playbooks: Option<&'a Playbooks>,
        scratch: &mut Scratch,
        ticket: &'a Ticket<'_>,
    ) -> Decision<'a> {
        let fields = fields::read(self.model.fields(), &ticket.original);
        let text = Text { subject: &ticket.subject, body: &ticket.body, fields: &fields };
        let judgement = self.model.judge(scratch, &text);
        let none = Proposal { best: 0, confidence: 0.0, threshold: 1.0, runner_up: None };
        let proposal = Proposal::of(&self.model, &judgement, Target::Category)
            .map_or(none, |p| Proposal { threshold: self.thresholds[p.best], ..p });
        let matrix = &self.policy.matrix;
        let priority = priority::decide(&self.model, &judgement, &self.mapping, matrix, ticket);
        let language = ticket.language.as_deref().unwrap_or_else(|| judgement.language.as_str());
        let queue = self.table.queue(
            &self.policy,
            proposal.best,
            priority.priority,
            &ticket.source,
            language,
        );
        let doubt = self.policy.doubt(&judgement, &proposal);
        let known_request = playbooks.and_then(|playbooks| {
            let facts = Facts {
                category: Some(self.label(Target::Category, proposal.best)),
                priority: Some(priority.priority),
                priorities: &matrix.priorities,
                now: None,
            };
            playbooks.known_request(scratch, ticket, &facts)
        });
        let acts = known_request.as_ref().is_some_and(|known| known.held_by.is_none());
        let masked = judgement.masks.iter().map(|(kind, n)| (kind.as_str(), n));
        Decision {
            ticket_id: &ticket.id,
            outcome: match doubt {
                _ if acts => Outcome::Resolve,
                Some(_) => Outcome::Review,
                None => Outcome::Routed,
            },
            review: doubt
                .filter(|_| !acts)
                .map(|reason| Review { reason, detail: reason.detail() }),
            queue,
            category: self.category(Target::Category, &proposal),
            priority: self.priority(&priority),
            language,
            explanation: explanation(judgement.explanation),
            known_request,
            masked: masked.filter(|(_, n)| *n > 0).collect(),
            model: ModelRef { id: self.model.id.as_str(), version: &self.model.version },
            policy: PolicyRef { version: &self.policy.version },
        }
    }

    fn label(&self, target: Target, index: usize) -> &str {
        self.model.head(target).and_then(|h| h.labels.get(index)).map_or("", |l| l)
    }

    fn category(&self, target: Target, proposal: &Proposal) -> Category<'_> {
        Category {
            label: self.label(target, proposal.best),
            confidence: Rounded(proposal.confidence),
            threshold: Rounded(proposal.threshold),
            runner_up: proposal
                .runner_up
                .map(|(i, p)| Likely { label: self.label(target, i), confidence: Rounded(p) }),
        }
    }

    fn priority<'a>(&'a self, decided: &priority::Decided) -> Priority<'a> {
        let matrix = &self.policy.matrix;
        let side = |target, side: &priority::Side, scale: &'a priority::Scale| Side {
            value: &scale.values[side.value],
            by: side.by,
            model: side.proposal.as_ref().map(|p| self.category(target, p)),
        };
        Priority {
            label: &matrix.priorities[decided.priority],
            decided_by: decided.by,
            confidence: decided.confidence.map(Rounded),
            threshold: decided.threshold.map(Rounded),
            runner_up: decided
                .runner_up
                .map(|(i, p)| Likely { label: &matrix.priorities[i], confidence: Rounded(p) }),
            matrix: &matrix.name,
            impact: side(Target::Impact, &decided.impact, &matrix.impact),
            urgency: side(Target::Urgency, &decided.urgency, &matrix.urgency),
        }
    }
}

fn explanation(found: model::Explanation) -> Explanation {
    let words = found.words.into_iter();
    Explanation {
        words: words
            .map(|w| Word { word: w.word, weight: Rounded(w.weight), count: w.count })
            .collect(),
        other: Rounded(found.other),
        prior: Rounded(found.prior),
        total: Rounded(found.total),
    }
}
