//! Tickets with the same or nearly the same text.
//!
//! Two texts are *equal* when their words are, numbers apart. They are *near* when the Jaccard
//! similarity of their sets of two-word shingles is [`SIMILAR`] or more (Broder 1997, "On the
//! resemblance and containment of documents"): one word changed in twenty. Texts of fewer than
//! [`WORDS`] words are too short to be near anything; only equal ones count.
//!
//! Pairs to compare come from MinHash signatures cut into bands (locality-sensitive hashing,
//! Indyk and Motwani 1998), one hash a shingle by one-permutation hashing with densification
//! (Li, Owen and Zhang 2012; Shrivastava and Li 2014). A pair of similarity 0.8 becomes a
//! candidate with a probability of 1 - (1 - 0.8^4)^16 = 0.9998. Every candidate is then compared
//! for real, so that a group never rests on a hash of a whole text. Groups are closed under
//! nearness: of a chain of texts, each near the next, all are in one group.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::train::data::Example;
use crate::triage::text::tokens::Words;
use crate::triage::text::window;

/// Least similarity of near texts.
pub const SIMILAR: f64 = 0.8;
/// Least number of words of a text that can be near another.
pub const WORDS: usize = 5;
/// A signature: bands, each of so many hashes.
const BANDS: usize = 16;
const ROWS: usize = 4;
const HASHES: usize = BANDS * ROWS;
/// Texts of one bucket that each other one is compared with. It bounds the work where very many
/// texts look alike and are not: such a bucket costs its size times this, not its square.
const LEADERS: usize = 16;

/// What is there more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Duplicates {
    /// For each example its group, numbered in order of first appearance.
    #[serde(skip)]
    pub groups: Vec<u32>,
    /// For each example the number of its normalised text: equal numbers, equal texts.
    #[serde(skip)]
    pub texts: Vec<u32>,
    /// Tickets whose text is equal to an earlier one's.
    pub equal: u64,
    /// Distinct texts that are near one that came before.
    pub near: u64,
    /// Groups of two or more tickets.
    pub repeated: u64,
    /// Tickets in the largest group.
    pub largest: u64,
    /// Pairs of texts that were compared in full: the work that finding them took.
    #[serde(skip)]
    pub compared: u64,
}

/// Finds equal and near texts. Time and memory are linear in the text, but for logarithms. The
/// groups do not depend on the order of the examples.
pub fn find(examples: &[Example]) -> Duplicates {
    // In the order of the keys, which is that of no file.
    let mut distinct: BTreeMap<[u8; 32], Text> = BTreeMap::new();
    let mut reader = Reader::default();
    for (i, example) in examples.iter().enumerate() {
        reader.read(example);
        let text = distinct.entry(reader.key()).or_insert_with(|| reader.text());
        text.examples.push(i as u32);
    }
    let distinct: Vec<Text> = distinct.into_values().collect();
    let mut sets = Sets::new(distinct.len());
    let compared = (0..BANDS).map(|band| join_band(band, &distinct, &mut sets)).sum();
    Duplicates { compared, ..summarise(&distinct, &mut sets, examples.len()) }
}

/// A distinct text.
struct Text {
    examples: Vec<u32>,
    /// Hashes of its shingles, distinct and in order; none for a text that is too short.
    shingles: Vec<u32>,
    /// One hash a band; none likewise.
    bands: Vec<u64>,
}

/// Normalises one ticket after the other in the same buffers.
#[derive(Default)]
struct Reader {
    /// The words, numbers replaced, with a blank after each.
    normal: String,
    hashes: Vec<u64>,
    words: Words,
}

impl Reader {
    fn read(&mut self, example: &Example) {
        let Self { normal, hashes, words } = self;
        normal.clear();
        hashes.clear();
        for text in [&example.subject, &example.body] {
            let (head, tail) = window(text);
            for part in [head, tail] {
                words.read(part);
                for word in words.iter() {
                    let start = normal.len();
                    push_without_numbers(normal, word);
                    hashes.push(fnv1a(&normal.as_bytes()[start..]));
                    normal.push(' ');
                }
            }
        }
    }

    fn key(&self) -> [u8; 32] {
        Sha256::digest(self.normal.as_bytes()).into()
    }

    fn text(&self) -> Text {
        if self.hashes.len() < WORDS {
            return Text { examples: Vec::new(), shingles: Vec::new(), bands: Vec::new() };
        }
        let pairs = self.hashes.windows(2);
        let mut shingles: Vec<u32> =
            pairs.map(|pair| mix(pair[0].rotate_left(1) ^ mix(pair[1])) as u32).collect();
        shingles.sort_unstable();
        shingles.dedup();
        Text { examples: Vec::new(), bands: bands(&shingles), shingles }
    }
}

/// `word` with every run of digits as one zero: numbers tell tickets apart, not what they say.
fn push_without_numbers(out: &mut String, word: &str) {
    if !word.bytes().any(|b| b.is_ascii_digit()) {
        return out.push_str(word);
    }
    let mut in_number = false;
    for c in word.chars() {
        if !c.is_ascii_digit() {
            out.push(c);
        } else if !in_number {
            out.push('0');
        }
        in_number = c.is_ascii_digit();
    }
}

/// FNV-1a (Fowler, Noll and Vo): the same on every machine and in every version.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Spreads the bits of a number: the finaliser of SplitMix64 (Steele, Lea and Flood 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The bands of a signature. Each shingle falls into one of the signature's bins, where the least
/// hash stays; an empty bin borrows from others, in an order of its own that is the same for every
/// text. `shingles` is not empty.
fn bands(shingles: &[u32]) -> Vec<u64> {
    const EMPTY: u32 = u32::MAX;
    let mut bins = [EMPTY; HASHES];
    for shingle in shingles {
        let hash = mix(u64::from(*shingle) + 1);
        let bin = &mut bins[(hash >> 32) as usize % HASHES];
        *bin = (hash as u32).min(*bin);
    }
    let filled = |i: usize| {
        // An odd stride visits every bin, as their number is a power of two.
        let stride = (mix(i as u64 + 1) as usize) | 1;
        let bin = (0..HASHES).map(|n| (i + n.wrapping_mul(stride)) % HASHES);
        bin.map(|at| bins[at]).find(|hash| *hash != EMPTY).unwrap_or(EMPTY)
    };
    let band = |band: usize| {
        let rows = band * ROWS..(band + 1) * ROWS;
        rows.fold(0u64, |hash, i| mix(hash.rotate_left(7) ^ u64::from(filled(i))))
    };
    (0..BANDS).map(band).collect()
}

/// Joins the near texts among those with the same hash in one band. Gives the number of pairs that
/// were compared.
fn join_band(band: usize, distinct: &[Text], sets: &mut Sets) -> u64 {
    let hash = |(i, text): (usize, &Text)| text.bands.get(band).map(|hash| (*hash, i));
    let mut buckets: Vec<(u64, usize)> = distinct.iter().enumerate().filter_map(hash).collect();
    buckets.sort_unstable();
    let mut compared = 0;
    for bucket in buckets.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
        let (leaders, _) = bucket.split_at(bucket.len().min(LEADERS));
        for (n, (_, i)) in bucket.iter().enumerate() {
            for (_, leader) in leaders.iter().take(n) {
                if sets.root(*leader) == sets.root(*i) {
                    continue;
                }
                compared += 1;
                if near(&distinct[*leader].shingles, &distinct[*i].shingles) {
                    sets.join(*leader, *i);
                }
            }
        }
    }
    compared
}

/// Whether two ordered sets have a Jaccard similarity of [`SIMILAR`] or more.
fn near(a: &[u32], b: &[u32]) -> bool {
    let sum = (a.len() + b.len()) as f64;
    // In one set and not in the other: more than this, and the similarity is too low.
    let allowed = sum * (1.0 - SIMILAR) / (1.0 + SIMILAR) + 1e-9;
    let (mut i, mut j, mut apart) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        let order = a[i].cmp(&b[j]);
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
        apart += usize::from(order.is_ne());
        if apart as f64 > allowed {
            return false;
        }
    }
    (apart + (a.len() - i) + (b.len() - j)) as f64 <= allowed
}

/// Disjoint sets (Galler and Fischer 1964), with path halving.
struct Sets(Vec<usize>);

impl Sets {
    fn new(n: usize) -> Self {
        Self((0..n).collect())
    }

    fn root(&mut self, mut i: usize) -> usize {
        while self.0[i] != i {
            self.0[i] = self.0[self.0[i]];
            i = self.0[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

fn summarise(distinct: &[Text], sets: &mut Sets, examples: usize) -> Duplicates {
    let mut texts = vec![0u32; examples];
    let mut groups = vec![0u32; examples];
    let mut sizes = vec![0u64; distinct.len()];
    for (number, text) in distinct.iter().enumerate() {
        let root = sets.root(number);
        sizes[root] += text.examples.len() as u64;
        for i in &text.examples {
            texts[*i as usize] = number as u32;
            groups[*i as usize] = root as u32;
        }
    }
    let used = sizes.iter().filter(|size| **size > 0).count();
    renumber(&mut texts);
    renumber(&mut groups);
    Duplicates {
        groups,
        texts,
        equal: (examples - distinct.len()) as u64,
        near: (distinct.len() - used) as u64,
        repeated: sizes.iter().filter(|size| **size > 1).count() as u64,
        largest: sizes.iter().copied().max().unwrap_or(0),
        compared: 0,
    }
}

/// Numbers in order of first appearance.
fn renumber(numbers: &mut [u32]) {
    let mut new = BTreeMap::new();
    for number in numbers {
        let next = new.len() as u32;
        *number = *new.entry(*number).or_insert(next);
    }
}
