//! The vocabulary: words, pairs of neighbouring words, character n-grams within words, and values
//! of fields, each with the id of its weights.
//!
//! One list holds all four, told apart by their form: `vpn` is a word, `vpn error` a pair,
//! `#<vp` an n-gram, where `<` and `>` stand for a word's beginning and end, and `@source=email` a
//! field with its value. Words come first, then n-grams, then pairs, then fields in byte order; id
//! 0 is [`UNKNOWN`] and no feature.

use std::cmp::Ordering;

use hashbrown::HashTable;

use super::fields::{self, FIELD};
use super::keys::{Keys, Padded};

/// Words longer than this, in characters, are unknown as a whole.
pub const MAX_WORD_CHARS: usize = 100;
/// Stands for every unknown word in the vocabulary. It is no feature.
pub const UNKNOWN: &str = "[UNK]";
/// A word of so many hexadecimal digits is a number, whatever stands before it.
const HEX_DIGITS: usize = 8;
/// Marks an n-gram in the vocabulary.
pub const GRAM: char = '#';
/// The shortest and the longest n-gram, in characters, the marks of a word's ends included.
pub const GRAM_CHARS: std::ops::RangeInclusive<usize> = 2..=5;

/// Why a list is no vocabulary.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LexiconError {
    #[error("the first entry is not {UNKNOWN}")]
    NoUnknown,
    #[error(
        "entry {0} is empty or out of place: words come first, then n-grams, then pairs, then \
         fields in byte order"
    )]
    Order(usize),
    #[error("entry {0} is a pair of words that are not in the vocabulary")]
    Pair(usize),
    #[error("entry {0} is a field without a name or a value")]
    Field(usize),
    #[error("entry {0} is there twice")]
    Twice(usize),
}

/// What kind of feature an entry of the vocabulary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Word,
    Gram,
    Pair,
    Field,
}

impl Kind {
    /// By the entry's form.
    pub fn of(entry: &str) -> Self {
        if entry.starts_with(GRAM) {
            Self::Gram
        } else if entry.starts_with(FIELD) {
            Self::Field
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
    words: Keys,
    grams: Keys,
    /// Two words' ids, and the pair's own.
    pairs: HashTable<[u32; 3]>,
    /// In byte order: the last ids.
    fields: Vec<Box<str>>,
    /// The words, and for each id below the first n-gram's where its word is.
    text: String,
    spans: Vec<(u32, u32)>,
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
            words: Keys::default(),
            grams: Keys::default(),
            pairs: HashTable::new(),
            fields: Vec::new(),
            text: String::new(),
            spans: vec![(0, 0)],
            len: 1,
        };
        let mut last = Kind::Word;
        for entry in entries {
            let kind = Kind::of(entry);
            let key = entry.trim_start_matches(GRAM);
            let id = u32::try_from(new.len).map_err(|_| LexiconError::Order(new.len))?;
            if kind < last || key.is_empty() {
                return Err(LexiconError::Order(new.len));
            }
            last = kind;
            let found = match kind {
                Kind::Word => {
                    new.spans.push((new.text.len() as u32, key.len() as u32));
                    new.text.push_str(key);
                    new.words.insert(key.as_bytes(), id)
                }
                Kind::Gram => new.grams.insert(key.as_bytes(), id),
                Kind::Pair => new.insert_pair(entry, id).ok_or(LexiconError::Pair(new.len))?,
                Kind::Field => new.insert_field(entry)?,
            };
            if found {
                return Err(LexiconError::Twice(new.len));
            }
            new.len += 1;
        }
        Ok(new)
    }

    /// Whether it was there already; none where it is no pair of words.
    fn insert_pair(&mut self, entry: &str, id: u32) -> Option<bool> {
        let (first, second) = entry.split_once(' ')?;
        let (first, second) = (self.word(first)?, self.word(second)?);
        let hash = pair_hash(first, second);
        let same = |[a, b, _]: &[u32; 3]| (*a, *b) == (first, second);
        if self.pairs.find(hash, same).is_some() {
            return Some(true);
        }
        self.pairs.insert_unique(hash, [first, second, id], |[a, b, _]| pair_hash(*a, *b));
        Some(false)
    }

    /// Whether it was there already.
    fn insert_field(&mut self, entry: &str) -> Result<bool, LexiconError> {
        if fields::parts(entry).is_none() {
            return Err(LexiconError::Field(self.len));
        }
        let order = self.fields.last().map_or(Ordering::Less, |last| (**last).cmp(entry));
        self.fields.push(entry.into());
        match order {
            Ordering::Less => Ok(false),
            Ordering::Equal => Ok(true),
            Ordering::Greater => Err(LexiconError::Order(self.len)),
        }
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
        1..self.spans.len() as u32
    }

    /// The word with an id of [`Self::word_ids`].
    pub fn word_text(&self, id: u32) -> &str {
        let (start, len) = self.spans.get(id as usize).copied().unwrap_or_default();
        self.text.get(start as usize..(start + len) as usize).unwrap_or_default()
    }

    /// The id of a word.
    pub(crate) fn word(&self, word: &str) -> Option<u32> {
        self.words.find(word.as_bytes())
    }

    /// As [`Self::word`], of the word at a place of a text.
    pub(crate) fn word_at(&self, text: &Padded, span: (u32, u32)) -> Option<u32> {
        self.words.find_within(text, span)
    }

    /// The id of the pair of two words, given by their ids.
    pub(crate) fn pair(&self, first: u32, second: u32) -> Option<u32> {
        let same = |[a, b, _]: &[u32; 3]| (*a, *b) == (first, second);
        self.pairs.find(pair_hash(first, second), same).map(|[.., id]| *id)
    }

    /// The id of a field with its value.
    pub(crate) fn field(&self, entry: &str) -> Option<u32> {
        let place = self.fields.binary_search_by(|known| (**known).cmp(entry)).ok()?;
        Some((self.len - self.fields.len() + place) as u32)
    }

    /// Whether a field with its value is in the vocabulary.
    pub fn has_field(&self, entry: &str) -> bool {
        self.field(entry).is_some()
    }

    /// The entry of an id of [`Self::field`].
    pub(crate) fn field_text(&self, id: u32) -> &str {
        let first = self.len - self.fields.len();
        let place = (id as usize).checked_sub(first);
        place.and_then(|place| self.fields.get(place)).map_or("", |entry| entry)
    }

    /// Appends the ids of the distinct known n-grams of `word` to `ids`, in the order of their
    /// first occurrence. Whether at least half of its n-grams are known.
    pub(crate) fn grams(&self, word: &str, marked: &mut Marked, ids: &mut Vec<u32>) -> bool {
        let before = ids.len();
        marked.set(word);
        let (mut all, mut known) = (0, 0);
        // A bit for each id modulo 64: where it is not set, the id is new.
        let mut seen = 0u64;
        for span in marked.spans() {
            all += 1;
            let Some(id) = self.grams.find_within(&marked.text, span) else { continue };
            known += 1;
            let bit = 1 << (id % 64);
            if seen & bit == 0 || !ids[before..].contains(&id) {
                ids.push(id);
            }
            seen |= bit;
        }
        half_known(known, all)
    }
}

/// A word with the marks of its ends, to be cut into n-grams. Buffers are kept between words.
#[derive(Default)]
pub struct Marked {
    text: Padded,
    /// Where each character begins, and the end.
    starts: Vec<u32>,
}

impl Marked {
    fn set(&mut self, word: &str) {
        self.text.set(&["<", word, ">"]);
        self.starts.clear();
        self.starts.push(0);
        self.starts.extend(word.char_indices().map(|(i, _)| i as u32 + 1));
        self.starts.extend([word.len() as u32 + 1, word.len() as u32 + 2]);
        if self.starts.len() > MAX_WORD_CHARS + 3 {
            self.starts.clear();
        }
    }

    /// Where each n-gram is: shorter ones first, repetitions more than once, the whole word with
    /// both its ends not at all.
    fn spans(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let chars = self.starts.len().saturating_sub(1);
        GRAM_CHARS.filter(move |n| *n < chars).flat_map(move |n| {
            self.starts.iter().zip(&self.starts[n..]).map(|(start, end)| (*start, *end))
        })
    }
}

/// Calls `each` with every n-gram of a word as the vocabulary writes it, but for the mark
/// [`GRAM`]; repetitions come more than once.
pub fn each_gram(word: &str, mut each: impl FnMut(&str)) {
    let mut marked = Marked::default();
    marked.set(word);
    marked.spans().for_each(|span| each(marked.text.text(span)));
}

/// Whether a word of which so many n-grams are in the vocabulary counts as known.
pub fn half_known(known: usize, all: usize) -> bool {
    known > 0 && known * 2 >= all
}

/// A word with its digits as `0`: numbers, codes and ids that are not in the vocabulary are read
/// by their shape. The letters of a hexadecimal number are digits too: behind `0x`, and where a word has
/// eight or more such digits and nothing else. None when it has no digit.
pub fn shape(word: &str) -> Option<String> {
    let bytes = word.as_bytes();
    if !bytes.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let all_hex = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_hexdigit);
    let prefixed = bytes.strip_prefix(b"0x").is_some_and(|rest| !rest.is_empty() && all_hex(rest));
    if prefixed || bytes.len() >= HEX_DIGITS && all_hex(bytes) {
        return Some(word.replace(|c: char| c.is_ascii_hexdigit(), "0"));
    }
    Some(word.replace(|c: char| c.is_ascii_digit(), "0"))
}

/// Ids are small and dense: one multiplication by an odd constant spreads them (Knuth, TAOCP 3,
/// 6.4), and the fold brings the high bits down.
fn pair_hash(first: u32, second: u32) -> u64 {
    let key = u64::from(first) << 32 | u64::from(second);
    let product = u128::from(key ^ 0x9e37_79b9_7f4a_7c15) * 0xd1b5_4a32_d192_ed03;
    (product >> 64) as u64 ^ product as u64
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
        let word = |w: &str| lexicon.word(w);
        assert_eq!(
            (word("ab"), word("c"), word("#ab"), word("ab c")),
            (Some(1), Some(2), None, None)
        );
        assert_eq!((lexicon.pair(1, 2), lexicon.pair(2, 1)), (Some(5), None));
        let mut ids = Vec::new();
        assert!(!lexicon.grams("aba", &mut Marked::default(), &mut ids));
        assert_eq!(ids, [4, 3]);
        assert_eq!((lexicon.word_ids(), lexicon.word_text(2)), (1..3, "c"));
    }

    #[test]
    fn fields_are_no_pairs() {
        let entries = ["[UNK]", "a", "#a>", "a a", "@d=#a a", "@d=human resources", "@s=a"];
        let lexicon = Lexicon::new(entries).unwrap();
        for (id, entry) in (4..).zip(&entries[4..]) {
            assert_eq!(Kind::of(entry), Kind::Field);
            assert_eq!((lexicon.field(entry), lexicon.field_text(id)), (Some(id), *entry));
        }
        let unknown = ["@d=human", "d=human resources", "a", "a a", ""];
        assert!(unknown.iter().all(|entry| lexicon.field(entry).is_none()));
        assert_eq!((lexicon.field_text(3), lexicon.field_text(7)), ("", ""));
        assert_eq!((lexicon.word("@s=a"), lexicon.pair(1, 1)), (None, Some(3)));
    }

    #[test]
    fn a_list_out_of_order_is_refused() {
        use LexiconError::{Field, NoUnknown, Order, Pair, Twice};
        for (list, error) in [
            (&["a"][..], NoUnknown),
            (&["[UNK]", "#a", "a"], Order(2)),
            (&["[UNK]", ""], Order(1)),
            (&["[UNK]", "a", "a b"], Pair(2)),
            (&["[UNK]", "a", "a"], Twice(2)),
            (&["[UNK]", "a", "a a", "a a"], Twice(3)),
            (&["[UNK]", "@a=b", "a"], Order(2)),
            (&["[UNK]", "@a=c", "@a=b"], Order(2)),
            (&["[UNK]", "@a=b", "@a=b"], Twice(2)),
            (&["[UNK]", "@a"], Field(1)),
            (&["[UNK]", "@=b"], Field(1)),
            (&["[UNK]", "@a="], Field(1)),
        ] {
            assert_eq!(Lexicon::new(list.iter().copied()).err(), Some(error), "{list:?}");
        }
    }

    #[test]
    fn codes_have_a_shape() {
        for (word, expected) in [
            ("0x80070005", "0x00000000"),
            ("0x8007000e", "0x00000000"),
            ("0xf", "0x0"),
            ("0x", "0x"),
            ("0xyz1", "0xyz0"),
            ("446655440abc", "000000000000"),
            ("e29b", "e00b"),
            ("inc0012345", "inc0000000"),
            ("오류12a", "오류00a"),
        ] {
            assert_eq!(shape(word).as_deref(), Some(expected), "{word}");
        }
        assert_eq!([shape("vpn"), shape("defaced"), shape("effacedbead")], [None, None, None]);
    }
}
