//! The distinct words of one ticket and the pairs of neighbours among them, with how often they
//! occur. Buffers are kept between tickets.

use hashbrown::HashTable;

use super::lexicon::{Lexicon, shape};
use super::tokens;

/// What a ticket says: [`Self::words`] and [`Self::pairs`].
#[derive(Default)]
pub struct Bag {
    text: String,
    words: Vec<Word>,
    grams: Vec<u32>,
    word_index: HashTable<u32>,
    pairs: Vec<Pair>,
    pair_index: HashTable<u32>,
    buffer: String,
    previous: Option<u32>,
    occurrences: u32,
    unknown: u32,
}

#[derive(Clone, Copy)]
struct Word {
    hash: u64,
    text: (u32, u32),
    id: Option<u32>,
    grams: (u32, u32),
    weight: f32,
    count: u32,
    unknown: bool,
}

/// A pair of neighbouring words that the vocabulary holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Its id in the vocabulary.
    pub id: u32,
    /// Places of the two words in [`Bag::words`].
    pub words: (u32, u32),
    pub weight: f32,
    pub count: u32,
}

/// One distinct word of a ticket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BagWord<'a> {
    /// Lower-cased; a number or code that the vocabulary does not hold has its digits as `0`.
    pub word: &'a str,
    /// Its id in the vocabulary.
    pub id: Option<u32>,
    /// Ids of its known n-grams, where the word itself has none.
    pub grams: &'a [u32],
    /// Occurrences, each by the weight of the part that it stands in.
    pub weight: f32,
    pub count: u32,
}

impl Bag {
    pub fn clear(&mut self) {
        self.text.clear();
        self.words.clear();
        self.grams.clear();
        self.word_index.clear();
        self.pairs.clear();
        self.pair_index.clear();
        self.previous = None;
        self.occurrences = 0;
        self.unknown = 0;
    }

    /// Adds the words of `text`, each occurrence counted as `weight`. No pair reaches from one
    /// text into the next.
    pub fn add(&mut self, lexicon: &Lexicon, text: &str, weight: f32) {
        self.previous = None;
        let mut buffer = std::mem::take(&mut self.buffer);
        tokens::words(text, &mut buffer, |word| self.add_word(lexicon, word, weight));
        self.buffer = buffer;
    }

    fn add_word(&mut self, lexicon: &Lexicon, word: &str, weight: f32) {
        let hash = lexicon.hash(word);
        let place = self.find(word, hash).unwrap_or_else(|| {
            let id = lexicon.word(word, hash);
            let shape = if id.is_none() { shape(word) } else { None };
            match shape {
                None => self.insert(lexicon, word, hash, id),
                Some(shape) => {
                    let hash = lexicon.hash(&shape);
                    self.find(&shape, hash).unwrap_or_else(|| {
                        self.insert(lexicon, &shape, hash, lexicon.word(&shape, hash))
                    })
                }
            }
        });
        let word = &mut self.words[place as usize];
        word.weight += weight;
        word.count += 1;
        self.occurrences += 1;
        self.unknown += u32::from(word.unknown);
        let id = word.id;
        if let Some(previous) = self.previous
            && let (Some(first), Some(second)) = (self.words[previous as usize].id, id)
            && let Some(pair) = lexicon.pair(first, second)
        {
            self.add_pair(pair, (previous, place), weight);
        }
        self.previous = Some(place);
    }

    fn find(&self, word: &str, hash: u64) -> Option<u32> {
        let same = |i: &u32| {
            let entry = &self.words[*i as usize];
            entry.hash == hash && &self.text[entry.text.0 as usize..entry.text.1 as usize] == word
        };
        self.word_index.find(hash, same).copied()
    }

    fn insert(&mut self, lexicon: &Lexicon, word: &str, hash: u64, id: Option<u32>) -> u32 {
        let start = self.text.len() as u32;
        self.text.push_str(word);
        let first = self.grams.len() as u32;
        let mut unknown = false;
        if id.is_none() {
            unknown = !lexicon.grams(word, &mut self.grams);
        }
        let place = self.words.len() as u32;
        self.words.push(Word {
            hash,
            text: (start, self.text.len() as u32),
            id,
            grams: (first, self.grams.len() as u32),
            weight: 0.0,
            count: 0,
            unknown,
        });
        self.word_index.insert_unique(hash, place, |i| self.words[*i as usize].hash);
        place
    }

    fn add_pair(&mut self, id: u32, words: (u32, u32), weight: f32) {
        // Ids are distinct and few: they are their own hash, spread over the high bits too.
        let hash = |id: u32| u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if let Some(&place) = self.pair_index.find(hash(id), |i| self.pairs[*i as usize].id == id) {
            let pair = &mut self.pairs[place as usize];
            pair.weight += weight;
            pair.count += 1;
            return;
        }
        let place = self.pairs.len() as u32;
        self.pairs.push(Pair { id, words, weight, count: 1 });
        self.pair_index.insert_unique(hash(id), place, |i| hash(self.pairs[*i as usize].id));
    }

    /// All words, repetitions included.
    pub fn occurrences(&self) -> u32 {
        self.occurrences
    }

    /// Words among [`Self::occurrences`] that are not in the vocabulary and of whose n-grams
    /// fewer than half are.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// Every distinct word in the order of its first occurrence.
    pub fn words(&self) -> impl Iterator<Item = BagWord<'_>> {
        self.words.iter().map(|w| self.view(w))
    }

    /// The word at a place in [`Self::words`].
    pub fn word(&self, place: u32) -> Option<BagWord<'_>> {
        self.words.get(place as usize).map(|w| self.view(w))
    }

    fn view(&self, w: &Word) -> BagWord<'_> {
        BagWord {
            word: &self.text[w.text.0 as usize..w.text.1 as usize],
            id: w.id,
            grams: &self.grams[w.grams.0 as usize..w.grams.1 as usize],
            weight: w.weight,
            count: w.count,
        }
    }

    /// Every distinct known pair in the order of its first occurrence.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_pairs_shapes_and_n_grams() {
        let lexicon =
            Lexicon::new(["[UNK]", "000", "error", "vpn", "#<co", "#con", "#onn", "vpn error"])
                .unwrap();
        let mut bag = Bag::default();
        bag.add(&lexicon, "VPN error 691, vpn ERROR 812", 1.0);
        bag.add(&lexicon, "error con zzz", 2.0);
        let words: Vec<_> = bag.words().map(|w| (w.word, w.id, w.weight, w.count)).collect();
        assert_eq!(
            words,
            [
                ("vpn", Some(3), 2.0, 2),
                ("error", Some(2), 4.0, 3),
                ("000", Some(1), 2.0, 2),
                ("con", None, 2.0, 1),
                ("zzz", None, 2.0, 1),
            ]
        );
        assert_eq!(bag.word(3).unwrap().grams, [4, 5]);
        assert_eq!(bag.pairs(), [Pair { id: 7, words: (0, 1), weight: 2.0, count: 2 }]);
        // Of "con"'s nine n-grams two are known.
        assert_eq!((bag.occurrences(), bag.unknown()), (9, 2));
        bag.clear();
        assert_eq!((bag.words().count(), bag.pairs().len(), bag.unknown()), (0, 0, 0));
    }
}
