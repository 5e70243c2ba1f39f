//! The vocabulary: words, pairs of neighbouring words, and character n-grams within words, each
//! with the id of its weights.
//!
//! One list holds all three, told apart by their form: `vpn` is a word, `vpn error` a pair,
//! `#<vp` an n-gram, where `<` and `>` stand for a word's beginning and end. Words come first,
//! then n-grams, then pairs; id 0 is [`UNKNOWN`] and no feature.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Words longer than this, in characters, are unknown as a whole.
pub const MAX_WORD_CHARS: usize = 100;
/// Stands for every unknown word in the vocabulary. It is no feature.
pub const UNKNOWN: &str = "[UNK]";
/// Marks an n-gram in the vocabulary.
pub const GRAM: char = '#';
/// The shortest and the longest n-gram, in characters, the marks of a word's ends included.
pub const GRAM_CHARS: std::ops::RangeInclusive<usize> = 2..=5;

const NO_WORD: u32 = 0;

/// Why a list is no vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    #[error("the first entry is not {UNKNOWN}")]
    NoUnknown,
    #[error("entry {0} is empty or out of place: words come first, then n-grams, then pairs")]
    Order(usize),
    #[error("entry {0} is a pair of words that are not in the vocabulary")]
    Pair(usize),
    #[error("entry {0} is there twice")]
    Twice(usize),
}

/// What kind of feature an entry of the vocabulary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Word,
    Gram,
    Pair,
}

impl Kind {
    /// By the entry's form.
    pub fn of(entry: &str) -> Self {
        if entry.starts_with(GRAM) {
            Self::Gram
        } else if entry.contains(' ') {
            Self::Pair
        } else {
            Self::Word
        }
    }
}

/// A compiled vocabulary.
#[derive(Clone)]
pub struct Lexicon {
    hasher: RandomState,
    /// All words and n-grams, without `#`.
    text: Box<[u8]>,
    /// For each id below the first pair's, where its text is.
    spans: Vec<(u32, u32)>,
    words: HashTable<u32>,
    grams: HashTable<u32>,
    /// Two words' ids, and the pair's own.
    pairs: HashTable<(u64, u32)>,
    first_gram: u32,
    len: usize,
}

impl Lexicon {
    /// Compiles a vocabulary whose entry number `i` has the id `i`.
    ///
    /// # Errors
    /// When the entries are not in the order that the module describes, or one is there twice.
    pub fn new<'a>(vocabulary: impl IntoIterator<Item = &'a str>) -> Result<Self, LexiconError> {
        let mut entries = vocabulary.into_iter();
        if entries.next() != Some(UNKNOWN) {
            return Err(LexiconError::NoUnknown);
        }
        let mut new = Self {
            hasher: RandomState::default(),
            text: Box::default(),
            spans: vec![(0, 0)],
            words: HashTable::new(),
            grams: HashTable::new(),
            pairs: HashTable::new(),
            first_gram: 1,
            len: 1,
        };
        let mut text = Vec::new();
        let mut last = Kind::Word;
        for entry in entries {
            let id = new.len;
            let kind = Kind::of(entry);
            let key = entry.trim_start_matches(GRAM);
            if kind < last || key.is_empty() || u32::try_from(id).is_err() {
                return Err(LexiconError::Order(id));
            }
            last = kind;
            new.len += 1;
            let found = match kind {
                Kind::Word => {
                    new.first_gram = new.len as u32;
                    new.insert_text(&mut text, key, Kind::Word)
                }
                Kind::Gram => new.insert_text(&mut text, key, Kind::Gram),
                Kind::Pair => new.insert_pair(&text, entry).ok_or(LexiconError::Pair(id))?,
            };
            if found {
                return Err(LexiconError::Twice(id));
            }
        }
        new.text = text.into();
        Ok(new)
    }

    /// Whether it was there already.
    fn insert_text(&mut self, text: &mut Vec<u8>, key: &str, kind: Kind) -> bool {
        let id = self.spans.len() as u32;
        let start = text.len();
        text.extend_from_slice(key.as_bytes());
        self.spans.push((start as u32, key.len() as u32));
        let (hasher, spans) = (&self.hasher, &self.spans);
        let bytes = |id: u32| &text[range(spans[id as usize])];
        let table = if kind == Kind::Word { &mut self.words } else { &mut self.grams };
        let code = hash(hasher, key.as_bytes());
        if table.find(code, |other| bytes(*other) == key.as_bytes()).is_some() {
            return true;
        }
        table.insert_unique(code, id, |other| hash(hasher, bytes(*other)));
        false
    }

    fn insert_pair(&mut self, text: &[u8], entry: &str) -> Option<bool> {
        let id = (self.len - 1) as u32;
        let (first, second) = entry.split_once(' ')?;
        let find = |word: &str| {
            let code = hash(&self.hasher, word.as_bytes());
            let same = |id: &u32| &text[range(self.spans[*id as usize])] == word.as_bytes();
            self.words.find(code, same).copied()
        };
        let key = pair_key(find(first)?, find(second)?);
        if self.pairs.find(pair_hash(key), |(other, _)| *other == key).is_some() {
            return Some(true);
        }
        self.pairs.insert_unique(pair_hash(key), (key, id), |(other, _)| pair_hash(*other));
        Some(false)
    }

    /// How many ids there are, that of [`UNKNOWN`] included.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len <= 1
    }

    /// The ids of words.
    pub fn word_ids(&self) -> std::ops::Range<u32> {
        1..self.first_gram
    }

    /// The word with an id of [`Self::word_ids`].
    pub fn word_text(&self, id: u32) -> &str {
        let bytes = self.spans.get(id as usize).map_or(&[][..], |span| &self.text[range(*span)]);
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    pub(crate) fn hash(&self, word: &str) -> u64 {
        hash(&self.hasher, word.as_bytes())
    }

    /// The id of a word; `hash` is its [`Self::hash`].
    pub(crate) fn word(&self, word: &str, hash: u64) -> Option<u32> {
        self.words.find(hash, |id| self.bytes(*id) == word.as_bytes()).copied()
    }

    /// The id of the pair of two words, given by their ids.
    pub(crate) fn pair(&self, first: u32, second: u32) -> Option<u32> {
        debug_assert!(first != NO_WORD && second != NO_WORD);
        let key = pair_key(first, second);
        self.pairs.find(pair_hash(key), |(other, _)| *other == key).map(|(_, id)| *id)
    }

    /// Appends the ids of the distinct known n-grams of `word` to `ids`, in ascending order.
    /// Whether at least half of its n-grams are known.
    pub(crate) fn grams(&self, word: &str, ids: &mut Vec<u32>) -> bool {
        let before = ids.len();
        let mut all = 0;
        each_gram(word, |gram| {
            all += 1;
            let code = hash(&self.hasher, gram.as_bytes());
            ids.extend(self.grams.find(code, |id| self.bytes(*id) == gram.as_bytes()));
        });
        let known = half_known(ids.len() - before, all);
        ids[before..].sort_unstable();
        let mut kept = before;
        for i in before..ids.len() {
            if kept == before || ids[kept - 1] != ids[i] {
                ids[kept] = ids[i];
                kept += 1;
            }
        }
        ids.truncate(kept);
        known
    }

    fn bytes(&self, id: u32) -> &[u8] {
        &self.text[range(self.spans[id as usize])]
    }
}

/// Calls `each` with every n-gram of a word as the vocabulary writes it, but for the mark
/// [`GRAM`]: repetitions come more than once, the whole word with both its ends not at all.
pub fn each_gram(word: &str, mut each: impl FnMut(&str)) {
    let marked = format!("<{word}>");
    // Where each character begins, and the end.
    let mut starts: Vec<usize> = marked.char_indices().map(|(i, _)| i).collect();
    starts.push(marked.len());
    let chars = starts.len() - 1;
    if chars > MAX_WORD_CHARS + 2 {
        return;
    }
    for n in GRAM_CHARS {
        for i in 0..(chars + 1).saturating_sub(n) {
            if n < chars {
                each(&marked[starts[i]..starts[i + n]]);
            }
        }
    }
}

/// Whether a word of which so many n-grams are in the vocabulary counts as known.
pub fn half_known(known: usize, all: usize) -> bool {
    known > 0 && known * 2 >= all
}

/// A word with its digits as `0`: numbers, codes and ids that are not in the vocabulary are read
/// by their shape. None when it has no digit.
pub fn shape(word: &str) -> Option<String> {
    let digit = |c: char| c.is_ascii_digit();
    word.contains(digit).then(|| word.replace(digit, "0"))
}

fn range((start, len): (u32, u32)) -> std::ops::Range<usize> {
    start as usize..(start + len) as usize
}

fn pair_key(first: u32, second: u32) -> u64 {
    u64::from(first) << 32 | u64::from(second)
}

/// Ids are small and dense: one multiplication by an odd constant spreads them (Knuth, TAOCP 3,
/// 6.4), and the fold brings the high bits down.
fn pair_hash(key: u64) -> u64 {
    let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03;
    (product >> 64) as u64 ^ product as u64
}

fn hash(hasher: &RandomState, bytes: &[u8]) -> u64 {
    // Not `hash_one`: the length need not be hashed apart for lone strings.
    let mut state = hasher.build_hasher();
    state.write(bytes);
    state.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grams(word: &str) -> Vec<String> {
        let mut out = Vec::new();
        each_gram(word, |g| out.push(g.to_owned()));
        out
    }

    #[test]
    fn n_grams_stay_within_the_word() {
        assert_eq!(grams("ab"), ["<a", "ab", "b>", "<ab", "ab>"]);
        assert_eq!(grams("메일"), ["<메", "메일", "일>", "<메일", "메일>"]);
        assert_eq!(grams("a"), ["<a", "a>"]);
        assert!(grams("abcdef").iter().all(|g| g.chars().count() <= 5));
        assert!(!grams("abc").contains(&"<abc>".to_owned()));
        assert!(grams(&"a".repeat(MAX_WORD_CHARS + 1)).is_empty());
    }

    #[test]
    fn entries_are_found_by_kind() {
        let lexicon = Lexicon::new(["[UNK]", "ab", "c", "#ab", "#<a", "ab c"]).unwrap();
        let word = |w: &str| lexicon.word(w, lexicon.hash(w));
        assert_eq!(
            (word("ab"), word("c"), word("#ab"), word("ab c")),
            (Some(1), Some(2), None, None)
        );
        assert_eq!((lexicon.pair(1, 2), lexicon.pair(2, 1)), (Some(5), None));
        let mut ids = Vec::new();
        assert!(!lexicon.grams("aba", &mut ids));
        assert_eq!(ids, [3, 4]);
        assert_eq!((lexicon.word_ids(), lexicon.word_text(2)), (1..3, "c"));
    }

    #[test]
    fn a_list_out_of_order_is_refused() {
        use LexiconError::{NoUnknown, Order, Pair, Twice};
        for (list, error) in [
            (&["a"][..], NoUnknown),
            (&["[UNK]", "#a", "a"], Order(2)),
            (&["[UNK]", ""], Order(1)),
            (&["[UNK]", "a", "a b"], Pair(2)),
            (&["[UNK]", "a", "a"], Twice(2)),
            (&["[UNK]", "a", "a a", "a a"], Twice(3)),
        ] {
            assert_eq!(Lexicon::new(list.iter().copied()).err(), Some(error), "{list:?}");
        }
    }

    #[test]
    fn codes_have_a_shape() {
        assert_eq!(shape("0x80070005").as_deref(), Some("0x00000000"));
        assert_eq!(shape("vpn"), None);
    }
}
