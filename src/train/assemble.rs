//! From fitted heads to what a bundle holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Counts;
use super::data::{Data, Example};
use super::evaluate::{Evaluation, HeadEvaluation};
use super::head::Trained;
use super::recipe::{Field, Recipe};
use super::split;
use super::vocabulary::Vocabulary;
use crate::bundle::{
    Bundle, Expected, FORMAT, HeadEntry, HeadMetrics, HeldOut, Manifest, Omitted, Probe,
    SplitFacts, TrainingFacts,
};
use crate::triage::model::scope::Scope;
use crate::triage::model::{Model, Scratch, Target};
use crate::triage::text::definition;

/// Tickets in `probes.jsonl`.
const PROBES: usize = 12;

/// The bundle of some heads over one vocabulary, without metrics and probes.
pub fn assemble(
    data: &Data,
    counts: Counts,
    heads: &[Trained],
    omitted: &[(Target, String)],
    too_small: &BTreeMap<Target, BTreeMap<String, u64>>,
    vocabulary: &Vocabulary,
    recipe: &Recipe,
) -> Bundle {
    let row = |entry: usize| {
        heads.iter().flat_map(move |h| {
            let labels = h.choice.labels.len();
            h.fit.weights.weights[entry * labels..][..labels].iter().copied()
        })
    };
    Bundle {
        manifest: manifest(data, counts, heads, omitted, too_small, recipe),
        tokenizer: definition::write(&vocabulary.entries),
        scales: vocabulary.scales.clone(),
        weights: (0..vocabulary.entries.len()).flat_map(row).collect(),
        biases: heads.iter().map(|h| h.fit.weights.biases.clone()).collect(),
        probes: Vec::new(),
        held_out: HeldOut::default(),
        card: String::new(),
    }
}

fn manifest(
    data: &Data,
    counts: Counts,
    heads: &[Trained],
    omitted: &[(Target, String)],
    too_small: &BTreeMap<Target, BTreeMap<String, u64>>,
    recipe: &Recipe,
) -> Manifest {
    let entry = |h: &Trained| HeadEntry {
        target: h.choice.target,
        labels: h.choice.labels.iter().map(std::string::ToString::to_string).collect(),
        tickets: h.tickets.clone(),
        thresholds: h.choice.thresholds.clone(),
        calibration: h.choice.calibration.clone(),
        method: h.choice.method,
    };
    let rejected = data.rejected.iter().map(|(why, n)| (why.as_str().to_owned(), *n));
    Manifest {
        format: FORMAT,
        version: recipe.version.clone(),
        subject_weight: recipe.features.subject_weight,
        fields: recipe.fields.iter().map(Field::source).collect(),
        scope: Scope::default(),
        heads: heads.iter().map(entry).collect(),
        omitted: omitted
            .iter()
            .map(|(target, why)| Omitted { target: *target, why: why.clone() })
            .collect(),
        training: TrainingFacts {
            data_sha256: data.sha256.clone(),
            rows: data.rows,
            rejected: rejected.collect(),
            fitted_on: counts.fitted_on,
            calibrated_on: counts.calibrated_on,
            tested_on: counts.tested_on,
            split: None,
            too_small: too_small.clone(),
            recipe: serde_json::to_value(recipe).unwrap_or_default(),
        },
        metrics: BTreeMap::new(),
        files: BTreeMap::new(),
    }
}

/// What the manifest says of the split.
pub fn split_facts(summary: &split::Summary) -> SplitFacts {
    SplitFacts {
        by: summary.by,
        seed: summary.seed,
        calibrate_from: summary.calibrate_from.clone(),
        test_from: summary.test_from.clone(),
    }
}

/// What the manifest says of how good the heads were.
pub fn metrics(evaluation: &Evaluation) -> BTreeMap<Target, HeadMetrics> {
    let heads = || evaluation.heads.iter();
    let first_level = |target: Target| heads().find(|h| h.first_level && h.target == target);
    let of = |h: &HeadEvaluation| {
        let first_level = first_level(h.target).map(|first| Box::new(head_metrics(first, None)));
        (h.target, head_metrics(h, first_level))
    };
    heads().filter(|h| !h.first_level).map(of).collect()
}

fn head_metrics(h: &HeadEvaluation, first_level: Option<Box<HeadMetrics>>) -> HeadMetrics {
    HeadMetrics {
        tickets: h.tickets,
        accuracy: h.accuracy,
        majority: h.majority,
        macro_f1: h.macro_f1,
        calibration_error: h.calibration_error,
        log_loss: h.log_loss,
        brier: h.brier,
        coverage: h.coverage,
        precision: h.precision,
        first_level,
    }
}

/// A dozen test tickets that the model gets right, in turn from every label.
pub fn probes(model: &Model, test: &[Example]) -> Vec<Probe> {
    let mut scratch = Scratch::default();
    let mut by_label: BTreeMap<Arc<str>, Vec<Probe>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for example in test {
        let judgement = model.judge(&mut scratch, &example.text());
        let expect: Vec<Expected> = model
            .heads()
            .iter()
            .filter_map(|head| {
                let judged = judgement.head(head.target)?;
                let label = head.labels.get(judged.best)?.to_string();
                Some(Expected { target: head.target, label, confidence: judged.confidence() })
            })
            .collect();
        let right =
            expect.first().is_some_and(|e| example.label(e.target) == Some(e.label.as_str()));
        // A value that is not in the vocabulary changes nothing: it need not be written down.
        let fields = example.fields.iter().filter(|entry| model.lexicon().has_field(entry));
        let fields = fields.cloned().collect();
        let (subject, body) = (example.subject.clone(), example.body.clone());
        let probe = Probe { subject, body, fields, expect };
        match &example.labels[Target::Category as usize] {
            Some(label) if right => by_label.entry(Arc::clone(label)).or_default().push(probe),
            _ => wrong.push(probe),
        }
    }
    let rounds = by_label.values().map(Vec::len).max().unwrap_or(0);
    let mut chosen: Vec<Probe> = (0..rounds)
        .flat_map(|i| by_label.values().filter_map(move |probes| probes.get(i)))
        .take(PROBES)
        .cloned()
        .collect();
    if chosen.is_empty() {
        chosen.extend(wrong.into_iter().take(PROBES));
    }
    chosen
}
