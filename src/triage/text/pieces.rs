//! Word pieces: a word is covered from the left by the longest piece of the vocabulary, the rest
//! by continuation pieces (`##`), or it is unknown as a whole. The greedy longest match of
//! WordPiece as BERT uses it (Devlin et al. 2019), compiled for look-ups without copying.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Words longer than this, in characters, are unknown.
pub const MAX_WORD_CHARS: usize = 100;
/// Stands for every unknown word in the vocabulary. It is no feature.
pub const UNKNOWN: &str = "[UNK]";
/// Marks a piece that continues a word.
pub const CONTINUATION: &str = "##";

/// A compiled vocabulary.
#[derive(Clone)]
pub struct WordPieces {
    hasher: RandomState,
    /// All pieces' bytes, without `##`.
    text: Box<[u8]>,
    starts: Table,
    continuations: Table,
    len: usize,
}

#[derive(Clone, Default)]
struct Table {
    pieces: HashTable<Piece>,
    /// The longest piece in bytes.
    longest: usize,
}

#[derive(Clone, Copy)]
struct Piece {
    start: u32,
    len: u32,
    id: u32,
}

impl WordPieces {
    /// Compiles a vocabulary whose piece number `i` has the id `i`.
    pub fn new<'a>(vocabulary: impl IntoIterator<Item = &'a str>) -> Self {
        let hasher = RandomState::default();
        let mut text = Vec::new();
        let (mut starts, mut continuations) = (Table::default(), Table::default());
        let mut len = 0;
        for (id, piece) in vocabulary.into_iter().enumerate() {
            len = id + 1;
            if piece == UNKNOWN {
                continue;
            }
            let (table, piece) = match piece.strip_prefix(CONTINUATION) {
                Some(rest) => (&mut continuations, rest),
                None => (&mut starts, piece),
            };
            let start = text.len() as u32;
            text.extend_from_slice(piece.as_bytes());
            table.longest = table.longest.max(piece.len());
            let entry = Piece { start, len: piece.len() as u32, id: id as u32 };
            table.pieces.insert_unique(hash(&hasher, piece.as_bytes()), entry, |p| {
                hash(&hasher, &text[p.range()])
            });
        }
        Self { hasher, text: text.into(), starts, continuations, len }
    }

    /// How many ids there are, that of [`UNKNOWN`] included.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn hash(&self, word: &str) -> u64 {
        hash(&self.hasher, word.as_bytes())
    }

    /// Appends the ids of `word`'s pieces to `ids`; `false`, and nothing appended, when the word
    /// is unknown. `hash` is the word's [`Self::hash`].
    pub(crate) fn encode(&self, word: &str, word_hash: u64, ids: &mut Vec<u32>) -> bool {
        let bytes = word.as_bytes();
        if bytes.len() > MAX_WORD_CHARS && word.chars().count() > MAX_WORD_CHARS {
            return false;
        }
        // Most words are one piece.
        if let Some(id) = self.get(&self.starts, word_hash, bytes) {
            ids.push(id);
            return true;
        }
        let before = ids.len();
        let mut start = 0;
        while start < bytes.len() {
            let table = if start == 0 { &self.starts } else { &self.continuations };
            let Some((id, end)) = self.longest(table, word, start) else {
                ids.truncate(before);
                return false;
            };
            ids.push(id);
            start = end;
        }
        true
    }

    /// The longest piece of `table` at `start`, and where it ends.
    fn longest(&self, table: &Table, word: &str, start: usize) -> Option<(u32, usize)> {
        let bytes = word.as_bytes();
        let mut end = bytes.len().min(start + table.longest);
        while end > start {
            if word.is_char_boundary(end) {
                let piece = &bytes[start..end];
                if let Some(id) = self.get(table, hash(&self.hasher, piece), piece) {
                    return Some((id, end));
                }
            }
            end -= 1;
        }
        None
    }

    fn get(&self, table: &Table, hash: u64, bytes: &[u8]) -> Option<u32> {
        table.pieces.find(hash, |p| &self.text[p.range()] == bytes).map(|p| p.id)
    }
}

impl Piece {
    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..(self.start + self.len) as usize
    }
}

fn hash(hasher: &RandomState, bytes: &[u8]) -> u64 {
    // Not `hash_one`: the length need not be hashed apart for lone strings.
    let mut state = hasher.build_hasher();
    state.write(bytes);
    state.finish()
}

/// The distinct words of one text with their counts and pieces. Buffers are kept between texts.
#[derive(Default)]
pub struct Bag {
    text: String,
    words: Vec<Entry>,
    ids: Vec<u32>,
    index: HashTable<u32>,
    buffer: String,
    features: u32,
    occurrences: u32,
    unknown: u32,
    spelt: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    hash: u64,
    text: (u32, u32),
    ids: (u32, u32),
    count: u32,
    /// Three characters or more, and every piece is but one of them.
    spelt: bool,
}

impl Bag {
    pub fn clear(&mut self) {
        self.text.clear();
        self.words.clear();
        self.ids.clear();
        self.index.clear();
        self.features = 0;
        self.occurrences = 0;
        self.unknown = 0;
        self.spelt = 0;
    }

    /// Adds the words of `text`.
    pub fn add(&mut self, pieces: &WordPieces, text: &str) {
        let mut buffer = std::mem::take(&mut self.buffer);
        super::tokens::words(text, &mut buffer, |word| self.add_word(pieces, word));
        self.buffer = buffer;
    }

    fn add_word(&mut self, pieces: &WordPieces, word: &str) {
        let hash = pieces.hash(word);
        let (words, all) = (&mut self.words, &self.text);
        let same = |i: &u32| {
            let entry = &words[*i as usize];
            entry.hash == hash && &all[entry.text.0 as usize..entry.text.1 as usize] == word
        };
        if let Some(&i) = self.index.find(hash, same) {
            let entry = &mut words[i as usize];
            entry.count += 1;
            let entry = *entry;
            self.count(entry);
            return;
        }
        let text = self.text.len() as u32;
        let ids = self.ids.len() as u32;
        self.text.push_str(word);
        pieces.encode(word, hash, &mut self.ids);
        let found = self.ids.len() - ids as usize;
        let entry = Entry {
            hash,
            text: (text, self.text.len() as u32),
            ids: (ids, self.ids.len() as u32),
            count: 1,
            spelt: found >= 3 && found == word.chars().count(),
        };
        let i = self.words.len() as u32;
        self.words.push(entry);
        self.index.insert_unique(hash, i, |i| self.words[*i as usize].hash);
        self.count(entry);
    }

    fn count(&mut self, entry: Entry) {
        let pieces = entry.ids.1 - entry.ids.0;
        self.features += pieces;
        self.occurrences += 1;
        self.unknown += u32::from(pieces == 0);
        self.spelt += u32::from(entry.spelt);
    }

    /// Pieces counted, repetitions included.
    pub fn features(&self) -> u32 {
        self.features
    }

    /// Words that no pieces cover, repetitions included.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Words that had to be spelt letter by letter, repetitions included: their pieces are
    /// counted, but the model has never seen the word or a part of it.
    pub fn spelt(&self) -> u32 {
        self.spelt
    }

    /// All words, repetitions included.
    pub fn occurrences(&self) -> u32 {
        self.occurrences
    }

    /// Every distinct word in the order of its first occurrence.
    pub fn words(&self) -> impl Iterator<Item = BagWord<'_>> {
        self.words.iter().map(|w| BagWord {
            word: &self.text[w.text.0 as usize..w.text.1 as usize],
            ids: &self.ids[w.ids.0 as usize..w.ids.1 as usize],
            count: w.count,
        })
    }
}

/// One distinct word of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BagWord<'a> {
    pub word: &'a str,
    /// The ids of its pieces; none when it is unknown.
    pub ids: &'a [u32],
    pub count: u32,
}
