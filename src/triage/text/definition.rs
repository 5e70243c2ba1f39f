//! `tokenizer.json`: the text rules and the vocabulary in the format of the `tokenizers`
//! libraries, so that Python reads the same words from the same file. This version runs one set
//! of rules, compiled in [`super::tokens`] and [`super::lexicon`]; a file that asks for any other
//! is refused.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::{Value, json};

use super::lexicon::{Lexicon, LexiconError, UNKNOWN};
use super::redact::MaskKind;
use super::tokens::{INVISIBLE, WORD};

/// Why a `tokenizer.json` cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    #[error("tokenizer.json is not a tokenizer definition: {0}; train the model again")]
    NotADefinition(#[from] serde_json::Error),
    #[error(
        "tokenizer.json has a `{part}` that this version does not run; train the model with this \
         version, or run the version that it was trained with"
    )]
    Unsupported { part: &'static str },
    #[error("tokenizer.json has no usable vocabulary: {problem}; train the model again")]
    Vocabulary { problem: String },
    #[error("tokenizer.json has no usable vocabulary: {0}; train the model again")]
    Lexicon(#[from] LexiconError),
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    truncation: Value,
    #[serde(default)]
    padding: Value,
    #[serde(default)]
    added_tokens: Vec<Value>,
    normalizer: Value,
    pre_tokenizer: Value,
    #[serde(default)]
    post_processor: Value,
    model: ModelPart,
}

#[derive(Deserialize)]
struct ModelPart {
    #[serde(rename = "type")]
    kind: String,
    unk_token: String,
    vocab: std::collections::HashMap<String, u32>,
}

/// Reads a definition and compiles it.
///
/// # Errors
/// [`DefinitionError`] when the file is damaged or asks for rules that this version does not run.
pub fn parse(json: &[u8]) -> Result<Lexicon, DefinitionError> {
    let file: File = serde_json::from_slice(json)?;
    let unsupported = |part| Err(DefinitionError::Unsupported { part });
    if !file.truncation.is_null() {
        return unsupported("truncation");
    }
    if !file.padding.is_null() {
        return unsupported("padding");
    }
    if !file.added_tokens.is_empty() {
        return unsupported("added_tokens");
    }
    if !file.post_processor.is_null() {
        return unsupported("post_processor");
    }
    if file.normalizer != normalizer() {
        return unsupported("normalizer");
    }
    if file.pre_tokenizer != pre_tokenizer() {
        return unsupported("pre_tokenizer");
    }
    let model = file.model;
    if model.kind != "WordLevel" || model.unk_token != UNKNOWN {
        return unsupported("model");
    }
    let problem = |problem: String| Err(DefinitionError::Vocabulary { problem });
    let mut ordered = vec![None; model.vocab.len()];
    for (entry, id) in &model.vocab {
        match ordered.get_mut(*id as usize) {
            Some(slot @ None) => *slot = Some(entry.as_str()),
            Some(Some(_)) => return problem(format!("the id {id} is there twice")),
            None => return problem(format!("the id {id} is beyond the {} entries", ordered.len())),
        }
    }
    Ok(Lexicon::new(ordered.into_iter().flatten())?)
}

/// The definition of this version's rules over a vocabulary in the order of its ids. The bytes
/// depend on the vocabulary alone.
pub fn write(vocabulary: &[String]) -> String {
    let mut vocab = String::new();
    for (id, entry) in vocabulary.iter().enumerate() {
        let comma = if id == 0 { "" } else { "," };
        let _ = write!(vocab, "{comma}\n      {}: {id}", json!(entry));
    }
    let pretty = |value: Value| format!("{value:#}").replace('\n', "\n  ");
    format!(
        r#"{{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [],
  "normalizer": {},
  "pre_tokenizer": {},
  "post_processor": null,
  "decoder": null,
  "model": {{
    "type": "WordLevel",
    "unk_token": {},
    "vocab": {{{vocab}
    }}
  }}
}}
"#,
        pretty(normalizer()),
        pretty(pre_tokenizer()),
        json!(UNKNOWN),
    )
}

fn normalizer() -> Value {
    let masks: Vec<String> = MaskKind::ALL.iter().map(|k| regex_syntax::escape(k.mask())).collect();
    let mut invisible = String::new();
    for (from, to) in INVISIBLE {
        let _ = write!(invisible, r"\x{{{:04x}}}", from as u32);
        if from != to {
            let _ = write!(invisible, r"-\x{{{:04x}}}", to as u32);
        }
    }
    json!({
        "type": "Sequence",
        "normalizers": [
            {"type": "Replace", "pattern": {"Regex": masks.join("|")}, "content": " "},
            {"type": "Replace", "pattern": {"Regex": format!("[{invisible}]")}, "content": ""},
            {"type": "NFKC"},
            {"type": "Lowercase"},
        ],
    })
}

fn pre_tokenizer() -> Value {
    json!({
        "type": "Split",
        "pattern": {"Regex": WORD},
        "behavior": "Removed",
        "invert": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary() -> Vec<String> {
        ["[UNK]", "a", "b", "#ab", "#\"quoted\u{7f}", "a b"].map(String::from).to_vec()
    }

    #[test]
    fn what_is_written_is_read_and_runs() {
        let json = write(&vocabulary());
        let lexicon = parse(json.as_bytes()).unwrap();
        assert_eq!(lexicon.len(), 6);
        assert_eq!(lexicon.word("b"), Some(2));
        assert_eq!(lexicon.pair(1, 2), Some(5));
    }

    #[test]
    fn other_rules_are_refused_by_name() {
        let json = write(&vocabulary());
        for (from, to, part) in [
            ("\"NFKC\"", "\"NFC\"", "normalizer"),
            ("\"invert\": true", "\"invert\": false", "pre_tokenizer"),
            ("\"unk_token\": \"[UNK]\"", "\"unk_token\": \"a\"", "model"),
            ("\"added_tokens\": []", "\"added_tokens\": [{\"id\": 0}]", "added_tokens"),
            ("\"truncation\": null", "\"truncation\": {}", "truncation"),
        ] {
            let changed = json.replace(from, to);
            assert_ne!(changed, json, "{from}");
            match parse(changed.as_bytes()) {
                Err(DefinitionError::Unsupported { part: found }) => assert_eq!(found, part),
                other => panic!("{part}: {:?}", other.map(|p| p.len())),
            }
        }
    }

    #[test]
    fn a_damaged_vocabulary_is_refused() {
        let json = write(&vocabulary());
        for (from, to) in [("\"a\": 1", "\"a\": 2"), ("\"a\": 1", "\"a\": 77")] {
            let changed = json.replace(from, to);
            assert!(matches!(parse(changed.as_bytes()), Err(DefinitionError::Vocabulary { .. })));
        }
        let changed = json.replace("[UNK]\": 0", "[U]\": 0");
        assert!(matches!(parse(changed.as_bytes()), Err(DefinitionError::Lexicon(_))));
        assert!(matches!(parse(b"{}"), Err(DefinitionError::NotADefinition(_))));
    }
}
