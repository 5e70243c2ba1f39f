//! The compiled text path against the `tokenizers` crate, which runs the same definition.

use proptest::prelude::*;
use tokenizers::{
    NormalizedString, Normalizer as _, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer as _, Tokenizer,
};
use triaged::triage::text::definition;
use triaged::triage::text::tokens::Words;

/// The words of a text by both ways.
struct Both {
    reference: Tokenizer,
    words: Words,
}

impl Both {
    fn new() -> Self {
        let vocabulary = ["[UNK]", "the", "vpn", "메일", "#<vp", "the vpn"].map(String::from);
        let json = definition::write(&vocabulary);
        definition::parse(json.as_bytes()).expect("what is written can be read");
        let reference = json.parse().expect("and the reference reads it too");
        Self { reference, words: Words::default() }
    }

    #[track_caller]
    fn check(&mut self, text: &str) {
        let mut normalized = NormalizedString::from(text);
        let normalizer = self.reference.get_normalizer().expect("the definition has one");
        normalizer.normalize(&mut normalized).expect("normalizes");
        let mut split = PreTokenizedString::from(normalized);
        let pre_tokenizer = self.reference.get_pre_tokenizer().expect("the definition has one");
        pre_tokenizer.pre_tokenize(&mut split).expect("splits");
        let splits = split.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        let expected: Vec<&str> = splits.iter().map(|(word, _, _)| *word).collect();
        self.words.read(text);
        let found: Vec<&str> = self.words.iter().collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn every_character() {
    let mut both = Both::new();
    // Each character alone, inside a word and after a letter that it may combine with; in debug
    // builds every 7th beyond the first plane's busy parts.
    let step = if cfg!(debug_assertions) { 7 } else { 1 };
    let busy = ('\0'..='\u{33ff}').chain('\u{a960}'..='\u{a97f}').chain('\u{d7a0}'..='\u{d7ff}');
    let all = busy.chain('\u{f900}'..='\u{ffff}').chain(('\u{3400}'..=char::MAX).step_by(step));
    let mut text = String::new();
    for c in all {
        text.clear();
        text.extend([c, ' ', 'a', c, 'e', ' ', '가', c]);
        both.check(&text);
    }
}

#[test]
fn tickets_and_traps() {
    let mut both = Both::new();
    for text in [
        "",
        " \n\t\u{b}\u{c}\r",
        "The VPN keeps disconnecting since 09:00 (error 0x80070005)!",
        "Outlook이 안 열립니다. 메일 전송 실패 [EMAIL]로 연락",
        "[UNK] [unk] [EMAIL]x[IP][CARD] [EM\u{200b}AIL] [email] [[PHONE]] [KR_RRN",
        "e\u{301}e\u{301} cafe\u{301} ÉÉ ẞ İstanbul ΣΑΣ ﬁle ＶＰＮ ½ ① ㎏ ㈜ ﷺ",
        "[EMAIL]\u{301}a a\u{301}[IP]\u{302}",
        "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} 가\u{11a8} ㅎㅏㄴ ﾡ",
        "a\0b\u{7f}c\u{85}d\u{ad}e\u{feff}f\u{202e}g\u{a0}h\u{2028}i",
        "👩‍💻 🇰🇷 x\u{fe0f}y हिन्दी ไทย עברית",
    ] {
        both.check(text);
    }
    both.check(&"a".repeat(100));
    both.check(&"a".repeat(101));
    both.check(&"가".repeat(100));
    both.check(&"가".repeat(101));
}

/// Characters that meet in tickets and that the rules treat apart, mixed without mercy.
fn mixed() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[a-zA-Z0-9]{1,8}",
        "[가-힣]{1,4}",
        "[ \t\n.,:;\\[\\]()#-]{1,2}",
        "[\u{1100}-\u{11ff}]{1,3}",
        "[\u{300}-\u{30f}\u{200b}-\u{200f}\u{fe0f}\u{ad}]{1,2}",
        "[\u{c0}-\u{24f}]{1,3}",
        "[\u{ff01}-\u{ffdc}]{1,3}",
        "\\PC{1,3}",
        "[\u{0}-\u{ff}]{1,3}",
        Just("[EMAIL]".to_owned()),
        Just("[SECRET]".to_owned()),
    ];
    prop::collection::vec(part, 0..16).prop_map(|parts| parts.concat())
}

#[test]
fn mixed_scripts() {
    let both = std::cell::RefCell::new(Both::new());
    let cases = if cfg!(debug_assertions) { 4_000 } else { 40_000 };
    proptest!(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }, |(text in mixed())| {
        both.borrow_mut().check(&text);
    });
}

/// Rows of a table of feature values, with a label each.
fn table() -> impl Strategy<Value = (Vec<Vec<f64>>, Vec<usize>)> {
    (2usize..12, 2usize..30).prop_flat_map(|(features, rows)| {
        let value = prop_oneof![Just(0.0), 0.0f64..4.0];
        (
            prop::collection::vec(prop::collection::vec(value, features), rows),
            prop::collection::vec(0usize..4, rows),
        )
    })
}

/// The fit from counts equals linfa's fit of the same rows, and scores equal linfa's.
#[test]
fn fit_and_scores_equal_linfa() {
    use std::sync::Arc;

    use linfa::traits::Fit;
    use linfa_bayes::{MultinomialNb, NaiveBayes};
    use ndarray::Array2;
    use triaged::train::fit::{Counts, Sparse};

    let config =
        ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |((rows, labels) in table(), alpha in 0.01f64..2.0)| {
        let features = rows[0].len();
        let mut present: Vec<usize> = labels.clone();
        present.sort_unstable();
        present.dedup();
        let names = present.iter().map(|l| Arc::from(l.to_string())).collect();
        let mut counts = Counts::new(names, features);
        let sparse = |row: &Vec<f64>| -> Sparse {
            let with_id = row.iter().enumerate().map(|(i, n)| (i as u32, *n));
            with_id.filter(|(_, n)| *n > 0.0).collect()
        };
        for (row, label) in rows.iter().zip(&labels) {
            counts.add(present.binary_search(label).unwrap(), &sparse(row));
        }
        let fitted = counts.fit(alpha);

        let dense = Array2::from_shape_fn((rows.len(), features), |(i, j)| rows[i][j]);
        let targets: ndarray::Array1<usize> =
            labels.iter().map(|l| present.binary_search(l).unwrap()).collect();
        let theirs = MultinomialNb::params()
            .alpha(alpha)
            .fit(&linfa::DatasetBase::new(dense.view(), targets))
            .unwrap();
        let all: Vec<u32> = (0..features as u32).collect();
        let handed_over = fitted.to_linfa(&all).unwrap();
        let (expected, found) =
            (theirs.joint_log_likelihood(dense.view()), handed_over.joint_log_likelihood(dense.view()));
        for (i, row) in rows.iter().enumerate() {
            let ours = fitted.joint_log_likelihood(&sparse(row));
            for (class, score) in ours.iter().enumerate() {
                let near = |other: f64| (score - other).abs() <= 1e-10 * score.abs().max(1.0);
                prop_assert!(near(expected[&class][i]), "{} {}", score, expected[&class][i]);
                prop_assert!(near(found[&class][i]));
            }
        }
        // The log probabilities themselves, read through serde.
        let json = serde_json::to_value(&theirs).unwrap();
        for (class, row) in fitted.log_probabilities.iter().enumerate() {
            let theirs = &json["class_info"][class.to_string()]["feature_log_prob"]["data"];
            for (ours, theirs) in row.iter().zip(theirs.as_array().unwrap()) {
                prop_assert!((ours - theirs.as_f64().unwrap()).abs() <= 1e-12);
            }
        }
    });
}
