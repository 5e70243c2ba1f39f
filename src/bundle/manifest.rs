//! `manifest.json`: what a bundle is, where it comes from and how good it was.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::BundleError;
use crate::train::method::Method;
use crate::train::recipe::By;
use crate::triage::model::scope::Scope;
use crate::triage::model::{Calibrations, Target};
use crate::triage::text::fields::Source;

/// The format of bundles that this version writes: what an earlier version would pass over in
/// silence gets a new number, and so does a change of how texts are read: 5 reads hexadecimal numbers by
/// their shape, 6 has a scope.
pub const FORMAT: u64 = 6;

/// What is written in `manifest.json`. It holds no time of day: the same data, recipe and
/// version give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u64,
    /// The name that people gave this model.
    pub version: String,
    /// How often a word of the subject counts, where one of the body counts once.
    pub subject_weight: f32,
    /// What it reads of a ticket beside subject and body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Source>,
    /// Which tickets it was made for.
    #[serde(default, skip_serializing_if = "Scope::is_empty")]
    pub scope: Scope,
    pub heads: Vec<HeadEntry>,
    /// Targets that the data has labels for and the model does not tell, with the reason.
    pub omitted: Vec<Omitted>,
    pub training: TrainingFacts,
    /// Of the test tickets, which neither fitting nor calibrating saw.
    pub metrics: BTreeMap<Target, HeadMetrics>,
    pub files: BTreeMap<String, FileSum>,
}

/// One head: lists are by label, in the order of `labels`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadEntry {
    pub target: Target,
    pub labels: Vec<String>,
    /// Tickets that the head was fitted on.
    pub tickets: Vec<u64>,
    pub thresholds: Vec<f64>,
    pub calibration: Calibrations,
    /// How the weights were learnt.
    pub method: Method,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omitted {
    pub target: Target,
    pub why: String,
}

/// Where the model comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainingFacts {
    /// Of the data files one after the other, in the order given.
    pub data_sha256: String,
    pub rows: u64,
    /// Rows that could not be used, by reason.
    pub rejected: BTreeMap<String, u64>,
    /// Tickets that the model was fitted on when its numbers were taken.
    pub fitted_on: u64,
    /// Those of them that were held out, at once or in turns, while it was chosen and calibrated.
    pub calibrated_on: u64,
    /// Tickets that it had not seen, of which its numbers are.
    pub tested_on: u64,
    /// Which of them were held out; none in bundles from before it was recorded.
    pub split: Option<SplitFacts>,
    /// Labels with too few tickets to learn, with their tickets.
    pub too_small: BTreeMap<Target, BTreeMap<String, u64>>,
    /// All settings, those left to their defaults included.
    pub recipe: serde_json::Value,
}

/// How the held-out tickets were chosen. `split.csv` has their ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitFacts {
    /// Time or random.
    pub by: By,
    pub seed: u64,
    /// By time: the first moment of the calibration tickets, RFC 3339 in UTC.
    pub calibrate_from: Option<String>,
    /// By time: the first moment of the test tickets.
    pub test_from: Option<String>,
}

/// How good a head was on test tickets. Shares are from 0 to 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeadMetrics {
    pub tickets: u64,
    pub accuracy: f64,
    /// What always saying the most frequent label would reach.
    pub majority: f64,
    pub macro_f1: f64,
    pub calibration_error: f64,
    /// Over the test tickets whose label it knows, as the one below; none without any.
    pub log_loss: Option<f64>,
    pub brier: Option<f64>,
    /// Share of the tickets that it decides alone by the default policy, and how many of those were
    /// right.
    pub coverage: f64,
    pub precision: f64,
    /// The same of the labels' first level, where they have two (`Network/VPN`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_level: Option<Box<HeadMetrics>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    pub sha256: String,
    pub size: u64,
}

impl FileSum {
    pub fn of(bytes: &[u8]) -> Self {
        Self { sha256: format!("{:x}", Sha256::digest(bytes)), size: bytes.len() as u64 }
    }
}

impl Manifest {
    /// Reads a manifest; its format is looked at before anything else.
    ///
    /// # Errors
    /// When it is damaged or of another format.
    pub fn parse(bytes: &[u8]) -> Result<Self, BundleError> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let Format { format } = serde_json::from_slice(bytes).map_err(BundleError::Manifest)?;
        if format != FORMAT {
            return Err(BundleError::Format { found: format });
        }
        serde_json::from_slice(bytes).map_err(BundleError::Manifest)
    }
}
