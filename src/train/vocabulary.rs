//! The vocabulary: word pieces learnt from the tickets that are fitted on, by the trainer of the
//! `tokenizers` crate.

use std::collections::BTreeMap;

use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::{AddedToken, Model as _, Trainer as _};

use super::TrainError;
use super::recipe;
use crate::triage::text::pieces::{CONTINUATION, UNKNOWN};
use crate::triage::text::tokens::words;

/// Pieces in the order of their ids. The same texts, in whatever order, give the same pieces.
///
/// The trainer numbers continuations (`##c`) as its hash map happens to hand them out, and breaks
/// ties between merges by those numbers. So the alphabet is given to it in order, with its
/// continuations, as leading special tokens; they stay plain pieces in the file.
///
/// # Errors
/// When the trainer fails.
pub fn learn(texts: &[String], settings: &recipe::Vocabulary) -> Result<Vec<String>, TrainError> {
    let mut buffer = String::new();
    let mut frequency: BTreeMap<char, u64> = BTreeMap::new();
    for text in texts {
        words(text, &mut buffer, |word| {
            for c in word.chars() {
                *frequency.entry(c).or_default() += 1;
            }
        });
    }
    let mut kept: Vec<(char, u64)> = frequency.into_iter().collect();
    kept.sort_by_key(|(c, n)| (std::cmp::Reverse(*n), *c));
    kept.truncate(settings.alphabet.min(settings.size / 3).max(1));
    let mut alphabet: Vec<char> = kept.into_iter().map(|(c, _)| c).collect();
    alphabet.sort_unstable();

    let leading = std::iter::once(UNKNOWN.to_owned())
        .chain(alphabet.iter().map(char::to_string))
        .chain(alphabet.iter().map(|c| format!("{CONTINUATION}{c}")));
    let mut trainer = WordPieceTrainer::builder()
        .show_progress(false)
        .vocab_size(settings.size)
        .min_frequency(settings.min_frequency)
        .special_tokens(leading.map(|piece| AddedToken::from(piece, true)).collect())
        .build();
    let split = |text: &str| {
        let mut found = Vec::new();
        words(text, &mut String::new(), |word| {
            // A word with a character outside the alphabet would bring the character in.
            if word.chars().all(|c| alphabet.binary_search(&c).is_ok()) {
                found.push(word.to_owned());
            }
        });
        Ok(found)
    };
    let fail = |e: tokenizers::Error| TrainError::Vocabulary(e.to_string());
    trainer.feed(texts.iter(), split).map_err(fail)?;
    let mut model = WordPiece::default();
    trainer.train(&mut model).map_err(fail)?;
    let mut pieces: Vec<(u32, String)> =
        model.get_vocab().into_iter().map(|(piece, id)| (id, piece)).collect();
    pieces.sort_unstable();
    Ok(pieces.into_iter().map(|(_, piece)| piece).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every run seeds its hash maps anew, so runs in one process differ as processes do.
    #[test]
    fn the_same_texts_give_the_same_pieces_every_time() {
        let mut state = 7u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % n
        };
        let letters: Vec<char> = "abc메일접속".chars().collect();
        for round in 0..200 {
            let mut texts: Vec<String> = (0..40)
                .map(|_| (0..2 + next(9)).map(|_| letters[next(7) as usize]).collect())
                .collect();
            let settings = recipe::Vocabulary { size: 70, min_frequency: 2, alphabet: 6 };
            let first = learn(&texts, &settings).unwrap();
            for _ in 0..4 {
                texts.rotate_left(7);
                assert_eq!(learn(&texts, &settings).unwrap(), first, "round {round}");
            }
        }
    }

    #[test]
    fn rare_characters_stay_out() {
        let texts = ["aab ab ab", "abz"].map(String::from);
        let settings = recipe::Vocabulary { size: 100, min_frequency: 2, alphabet: 2 };
        let pieces = learn(&texts, &settings).unwrap();
        assert_eq!(pieces, ["[UNK]", "a", "b", "##a", "##b", "ab"]);
    }
}
