//! A model as a directory: `manifest.json`, `tokenizer.json`, `weights.safetensors`,
//! `probes.jsonl`, `split.csv` and a model card. Data only: nothing in it is executed, everything is checked
//! before it is used, and a directory that fails any check is refused whole.

mod folder;
pub mod manifest;
mod split;
mod tensors;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::files::whole;
use crate::triage::model::{Head, Model, ModelError, ModelId, Parts, Scratch, Target};
use crate::triage::text::Text;
use crate::triage::text::definition::{self, DefinitionError};

pub use folder::{place, write};
pub use manifest::{
    FORMAT, FileSum, HeadEntry, HeadMetrics, Manifest, Omitted, SplitFacts, TrainingFacts,
};
pub use split::HeldOut;

pub const MANIFEST: &str = "manifest.json";
pub const TOKENIZER: &str = "tokenizer.json";
pub const WEIGHTS: &str = "weights.safetensors";
pub const PROBES: &str = "probes.jsonl";
pub const SPLIT: &str = "split.csv";
pub const CARD: &str = "README.md";

/// No file of a bundle may be larger: a damaged or hostile manifest cannot fill the memory.
const MAX_FILE: u64 = 1 << 30;
const MAX_MANIFEST: u64 = 1 << 24;
/// A probe's confidence must come out this close to what training wrote down.
const PROBE_TOLERANCE: f64 = 1e-5;

/// Why a bundle is refused, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    #[error(
        "cannot read {path}: {source}; set model.dir (resolve.model for known requests) or give --model, \
         a directory that `triaged train` wrote",
        path = whole(path).display()
    )]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write {path}: {source}", path = path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("manifest.json cannot be understood: {0}; train the model again")]
    Manifest(serde_json::Error),
    #[error("what {file} is to hold cannot be written as JSON: {source}")]
    NotJson { file: &'static str, source: serde_json::Error },
    #[error(
        "the bundle has format {found}, this version reads {FORMAT}; train the model with this \
         version, or run the version that wrote it"
    )]
    Format { found: u64 },
    #[error("manifest.json does not list {file}; train the model again")]
    Unlisted { file: &'static str },
    #[error(
        "{file} has {found} bytes where the manifest says {expected}; copy the bundle again, whole"
    )]
    Size { file: String, expected: u64, found: u64 },
    #[error(
        "{path} has more than {limit} bytes, which no such file of a bundle has; name a directory that \
         `triaged train` wrote",
        path = path.display()
    )]
    Oversized { path: PathBuf, limit: u64 },
    #[error(
        "{file} would have {bytes} bytes, and no bundle with more than {MAX_FILE} in a file is opened; \
         make features.size smaller, or put labels together"
    )]
    TooLarge { file: &'static str, bytes: u64 },
    #[error(
        "{file} is not the file that the manifest was written for (its SHA-256 differs); copy the bundle again, whole"
    )]
    Checksum { file: String },
    #[error("{file} is not text (UTF-8), and its SHA-256 is right; train the model again")]
    NotText { file: &'static str },
    #[error(transparent)]
    Tokenizer(#[from] DefinitionError),
    #[error("weights.safetensors cannot be used: {0}; train the model again")]
    Weights(String),
    #[error("the parts of the bundle do not fit each other: {0}; train the model again")]
    Parts(#[from] ModelError),
    #[error("probes.jsonl, line {line}: {problem}; train the model again")]
    Probes { line: usize, problem: String },
    #[error("split.csv, record {record}: {problem}; train the model again")]
    Split { record: usize, problem: String },
    #[error(
        "the model does not repeat what training wrote down: probe {probe} expects {expected}, \
         found {found}; do not serve it: train it again, or run the version that trained it"
    )]
    ProbeFailed { probe: usize, expected: String, found: String },
    #[error(
        "{dir} exists and is not a model bundle; name another directory, or remove it yourself",
        dir = dir.display()
    )]
    NotABundle { dir: PathBuf },
    #[error("{dir} cannot be replaced as a whole; name a directory within it", dir = dir.display())]
    Unnamed { dir: PathBuf },
    #[error(
        "{file} is no part of a model and would be lost with the old one: move it, or name another \
         directory",
        file = file.display()
    )]
    Foreign { file: PathBuf },
    #[error(
        "{dir} is not there, but {old} is, which stood there before: a `triaged train` was cut off \
         as it put the new model in its place; rename it back, or train again",
        dir = dir.display(),
        old = old.display()
    )]
    CutOff { dir: PathBuf, old: PathBuf },
}

/// Files with their names.
type NamedFiles = Vec<(&'static str, Vec<u8>)>;

/// A ticket that the model must judge as it did when it was trained. The text is redacted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    pub subject: String,
    pub body: String,
    /// Entries of the vocabulary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    pub expect: Vec<Expected>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    pub target: Target,
    pub label: String,
    pub confidence: f64,
}

/// All of a bundle, in memory.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Its `files` are filled in by [`Bundle::files`].
    pub manifest: Manifest,
    /// `tokenizer.json` as it stands in the file.
    pub tokenizer: String,
    /// By entry of the vocabulary, as in [`Parts::scales`].
    pub scales: Vec<f32>,
    /// `[entry][label]`, as in [`Parts::weights`].
    pub weights: Vec<f32>,
    /// For each head, in the manifest's order, the bias of each label.
    pub biases: Vec<Vec<f64>>,
    pub probes: Vec<Probe>,
    pub held_out: HeldOut,
    /// The model card, Markdown.
    pub card: String,
}

impl Bundle {
    /// Builds the model and runs the probes.
    ///
    /// # Errors
    /// When the parts do not fit each other or a probe fails.
    pub fn model(&self) -> Result<Model, BundleError> {
        let id = model_id(&self.files()?.0);
        let model = self.assemble(id)?;
        run_probes(&model, &self.probes)?;
        Ok(model)
    }

    /// As [`Self::model`] while there are no probes yet.
    pub(crate) fn model_without_probes(&self) -> Result<Model, BundleError> {
        self.assemble(ModelId::new("in training"))
    }

    fn assemble(&self, id: ModelId) -> Result<Model, BundleError> {
        let heads = self.manifest.heads.iter().zip(&self.biases).map(|(entry, bias)| Head {
            target: entry.target,
            labels: entry.labels.iter().map(|l| Arc::from(l.as_str())).collect(),
            thresholds: entry.thresholds.clone(),
            calibration: entry.calibration.clone(),
            bias: bias.clone(),
        });
        let model = Model::new(Parts {
            id,
            version: self.manifest.version.clone(),
            lexicon: definition::parse(self.tokenizer.as_bytes())?,
            subject_weight: self.manifest.subject_weight,
            heads: heads.collect(),
            scales: self.scales.clone(),
            weights: self.weights.clone(),
        })?;
        let model = model.with_fields(self.manifest.fields.clone());
        Ok(model.with_scope(self.manifest.scope.clone())?)
    }

    /// The bytes of the manifest and of all other files. Equal bundles give equal bytes.
    ///
    /// # Errors
    /// When the weights do not have the shape that the manifest's labels ask for.
    pub fn files(&self) -> Result<(Vec<u8>, NamedFiles), BundleError> {
        let mut probes = Vec::new();
        for probe in &self.probes {
            serde_json::to_writer(&mut probes, probe).map_err(not_json(PROBES))?;
            probes.push(b'\n');
        }
        let files = vec![
            (CARD, self.card.clone().into_bytes()),
            (PROBES, probes),
            (SPLIT, self.held_out.write().into_bytes()),
            (TOKENIZER, self.tokenizer.clone().into_bytes()),
            (
                WEIGHTS,
                tensors::write(&self.manifest.heads, &self.scales, &self.weights, &self.biases)?,
            ),
        ];
        let mut manifest = self.manifest.clone();
        manifest.files =
            files.iter().map(|(name, bytes)| ((*name).to_owned(), FileSum::of(bytes))).collect();
        let mut bytes = serde_json::to_vec_pretty(&manifest).map_err(not_json(MANIFEST))?;
        bytes.push(b'\n');
        Ok((bytes, files))
    }
}

fn not_json(file: &'static str) -> impl FnOnce(serde_json::Error) -> BundleError {
    move |source| BundleError::NotJson { file, source }
}

/// The id of a model: the beginning of the SHA-256 of its manifest, which holds those of the
/// other files.
fn model_id(manifest: &[u8]) -> ModelId {
    let hex = format!("{:x}", Sha256::digest(manifest));
    ModelId::new(&hex[..12])
}

/// Reads a bundle, checks all of it and runs its probes.
///
/// # Errors
/// [`BundleError`] names the first check that fails.
pub fn open(dir: &Path) -> Result<Model, BundleError> {
    let (bundle, id) = read(dir)?;
    let model = bundle.assemble(id)?;
    run_probes(&model, &bundle.probes)?;
    Ok(model)
}

/// Reads a bundle and checks its files, without building the model.
///
/// # Errors
/// [`BundleError`] names the first check that fails.
pub fn read(dir: &Path) -> Result<(Bundle, ModelId), BundleError> {
    let (manifest, bytes) = read_manifest(dir)?;
    let load = |file| load(dir, &manifest, file);
    let tokenizer = text(TOKENIZER, load(TOKENIZER)?)?;
    let card = text(CARD, load(CARD)?)?;
    let probes = parse_probes(&text(PROBES, load(PROBES)?)?)?;
    let held_out = HeldOut::parse(&text(SPLIT, load(SPLIT)?)?)?;
    let tensors::Read { scales, weights, biases } =
        tensors::read(&manifest.heads, &load(WEIGHTS)?)?;
    let id = model_id(&bytes);
    Ok((Bundle { manifest, tokenizer, scales, weights, biases, probes, held_out, card }, id))
}

/// One of a bundle's files, checked against its manifest.
fn load(dir: &Path, manifest: &Manifest, file: &'static str) -> Result<Vec<u8>, BundleError> {
    let sum = manifest.files.get(file).ok_or(BundleError::Unlisted { file })?;
    let path = dir.join(file);
    let found = fs::metadata(&path)
        .map_err(|source| BundleError::Read { path: path.clone(), source })?
        .len();
    if found != sum.size {
        return Err(BundleError::Size { file: file.to_owned(), expected: sum.size, found });
    }
    if found > MAX_FILE {
        return Err(BundleError::Oversized { path, limit: MAX_FILE });
    }
    let bytes = read_file(&path, MAX_FILE)?;
    if FileSum::of(&bytes) != *sum {
        return Err(BundleError::Checksum { file: file.to_owned() });
    }
    Ok(bytes)
}

/// What a bundle knows of the tickets that it was trained on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainedOn {
    /// Of the data files, one after the other.
    pub data_sha256: String,
    /// Ids of tickets that it was fitted on: of those that were held out before, and that only.
    pub ids: Vec<String>,
}

/// What a bundle was trained on; its weights are not read.
///
/// # Errors
/// When there is no such bundle, or what it says of this cannot be understood.
pub fn trained_on(dir: &Path) -> Result<TrainedOn, BundleError> {
    let (manifest, _) = read_manifest(dir)?;
    let held_out = HeldOut::parse(&text(SPLIT, load(dir, &manifest, SPLIT)?)?)?;
    let mut ids = held_out.calibrate;
    // Fitted once more, on all: so those that tested it are among them.
    if manifest.training.recipe["split"]["refit"].as_bool() == Some(true) {
        ids.extend(held_out.test);
    }
    Ok(TrainedOn { data_sha256: manifest.training.data_sha256, ids })
}

fn read_manifest(dir: &Path) -> Result<(Manifest, Vec<u8>), BundleError> {
    if let Some(old) = folder::cut_off(dir) {
        return Err(BundleError::CutOff { dir: dir.to_owned(), old });
    }
    let bytes = read_file(&dir.join(MANIFEST), MAX_MANIFEST)?;
    Ok((Manifest::parse(&bytes)?, bytes))
}

fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, BundleError> {
    use std::io::Read;
    let fail = |source| BundleError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let read = fs::File::open(path)
        .map_err(fail)?
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if read as u64 > limit {
        return Err(BundleError::Oversized { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn text(file: &'static str, bytes: Vec<u8>) -> Result<String, BundleError> {
    String::from_utf8(bytes).map_err(|_| BundleError::NotText { file })
}

fn parse_probes(text: &str) -> Result<Vec<Probe>, BundleError> {
    let parse = |(i, line)| {
        serde_json::from_str(line)
            .map_err(|e| BundleError::Probes { line: i + 1, problem: e.to_string() })
    };
    let probes: Vec<Probe> = text.lines().enumerate().map(parse).collect::<Result<_, _>>()?;
    if probes.is_empty() {
        return Err(BundleError::Probes { line: 1, problem: "there is no probe".to_owned() });
    }
    Ok(probes)
}

/// Whether the model still judges the probes as it did when it was trained.
fn run_probes(model: &Model, probes: &[Probe]) -> Result<(), BundleError> {
    let mut scratch = Scratch::default();
    for (i, probe) in probes.iter().enumerate() {
        let Probe { subject, body, fields, .. } = probe;
        let judgement = model.judge(&mut scratch, &Text { subject, body, fields });
        for expected in &probe.expect {
            let found = judgement.head(expected.target).zip(model.head(expected.target));
            let (label, confidence) = found
                .and_then(|(judged, head)| {
                    Some((head.labels.get(judged.best)?.as_ref(), judged.confidence()))
                })
                .unwrap_or(("nothing", 0.0));
            if label != expected.label || (confidence - expected.confidence).abs() > PROBE_TOLERANCE
            {
                return Err(BundleError::ProbeFailed {
                    probe: i + 1,
                    expected: format!("{} at {:.6}", expected.label, expected.confidence),
                    found: format!("{label} at {confidence:.6}"),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
