//! The distinct words of one ticket and the pairs of neighbours among them, with how often they
//! occur, and its fields. Buffers are kept between tickets.

use std::hash::BuildHasher;

use hashbrown::HashTable;

use super::lexicon::{Lexicon, Marked, shape};
use super::tokens;

/// What a ticket says: [`Self::words`], [`Self::pairs`] and [`Self::fields`].
#[derive(Default)]
pub struct Bag {
    words: Vec<Word>,
    pairs: Vec<Pair>,
    fields: Vec<u32>,
    /// By id of a word: its place, if it was seen in this ticket.
    seen: Vec<Seen>,
    /// Ids of this ticket's pairs with their places: small, and so always at hand.
    seen_pairs: HashTable<(u32, u32)>,
    ticket: u32,
    /// Texts and known n-grams of the words that the vocabulary does not hold.
    text: String,
    grams: Vec<u32>,
    strangers: HashTable<(u64, u32)>,
    hasher: foldhash::fast::FixedState,
    marked: Marked,
    buffer: String,
    previous: Option<Previous>,
    occurrences: u32,
    unknown: u32,
}

/// The word before: its place and id, and whether the ticket had it for the first time.
#[derive(Clone, Copy)]
struct Previous {
    place: u32,
    id: u32,
    first: bool,
}

/// A place, and the ticket that it is of.
#[derive(Clone, Copy, Default)]
struct Seen {
    ticket: u32,
    place: u32,
}

/// One distinct word of a ticket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Word {
    /// Its id in the vocabulary.
    pub id: Option<u32>,
    /// Occurrences, each by the weight of the part that it stands in.
    pub weight: f32,
    pub count: u32,
    /// Where text and n-grams are, of a word that has no id.
    text: (u32, u32),
    grams: (u32, u32),
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

impl Bag {
    /// Forgets the last ticket.
    pub fn clear(&mut self) {
        self.words.clear();
        self.pairs.clear();
        self.fields.clear();
        self.text.clear();
        self.grams.clear();
        self.strangers.clear();
        self.seen_pairs.clear();
        self.previous = None;
        self.occurrences = 0;
        self.unknown = 0;
        self.ticket = self.ticket.wrapping_add(1);
        if self.ticket == 0 {
            // The numbers begin again: what is left of the first round must not look new.
            self.seen.fill(Seen::default());
            self.ticket = 1;
        }
    }

    /// Adds the words of `text`, each occurrence counted as `weight`. No pair reaches from one
    /// text into the next. All texts of a ticket need the same lexicon.
    pub fn add(&mut self, lexicon: &Lexicon, text: &str, weight: f32) {
        let ids = lexicon.word_ids().end as usize;
        if self.seen.len() != ids {
            self.seen = vec![Seen::default(); ids];
            self.ticket = self.ticket.max(1);
        }
        self.previous = None;
        let mut buffer = std::mem::take(&mut self.buffer);
        tokens::words(text, &mut buffer, |word| self.add_word(lexicon, word, weight));
        self.buffer = buffer;
    }

    /// Adds a field with its value, given as an entry, if the vocabulary holds it.
    pub fn add_field(&mut self, lexicon: &Lexicon, entry: &str) {
        let id = lexicon.field(entry);
        self.fields.extend(id.filter(|id| !self.fields.contains(id)));
    }

    fn add_word(&mut self, lexicon: &Lexicon, word: &str, weight: f32) {
        let place = match lexicon.word(word) {
            Some(id) => self.known(id),
            None => match shape(word) {
                None => self.stranger(lexicon, word),
                Some(shape) => match lexicon.word(&shape) {
                    Some(id) => self.known(id),
                    None => self.stranger(lexicon, &shape),
                },
            },
        };
        let word = &mut self.words[place as usize];
        word.weight += weight;
        word.count += 1;
        self.occurrences += 1;
        self.unknown += u32::from(word.unknown);
        let now = word.id.map(|id| Previous { place, id, first: word.count == 1 });
        if let (Some(first), Some(second)) = (self.previous, now)
            && let Some(pair) = lexicon.pair(first.id, second.id)
        {
            // Two words of which one is new here have not met before.
            let met = !first.first && !second.first;
            self.add_pair(pair, (first.place, second.place), weight, met);
        }
        self.previous = now;
    }

    /// The place of a word of the vocabulary.
    fn known(&mut self, id: u32) -> u32 {
        let seen = &mut self.seen[id as usize];
        if seen.ticket != self.ticket {
            *seen = Seen { ticket: self.ticket, place: self.words.len() as u32 };
            let (text, grams) = ((0, 0), (0, 0));
            let id = Some(id);
            self.words.push(Word { id, weight: 0.0, count: 0, text, grams, unknown: false });
        }
        seen.place
    }

    /// The place of a word that is not in the vocabulary.
    fn stranger(&mut self, lexicon: &Lexicon, word: &str) -> u32 {
        let hash = self.hasher.hash_one(word);
        let same = |(other, place): &(u64, u32)| {
            *other == hash && text(&self.text, &self.words[*place as usize]) == word
        };
        if let Some((_, place)) = self.strangers.find(hash, same) {
            return *place;
        }
        let (start, first) = (self.text.len() as u32, self.grams.len() as u32);
        self.text.push_str(word);
        let unknown = !lexicon.grams(word, &mut self.marked, &mut self.grams);
        let place = self.words.len() as u32;
        self.words.push(Word {
            id: None,
            weight: 0.0,
            count: 0,
            text: (start, self.text.len() as u32),
            grams: (first, self.grams.len() as u32),
            unknown,
        });
        self.strangers.insert_unique(hash, (hash, place), |(hash, _)| *hash);
        place
    }

    /// `maybe_seen` is whether the ticket can have had the pair before.
    fn add_pair(&mut self, id: u32, words: (u32, u32), weight: f32, maybe_seen: bool) {
        // Ids are distinct and few: one multiplication spreads them (Knuth, TAOCP 3, 6.4).
        let hash = |id: u32| u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let seen = match maybe_seen {
            true => self.seen_pairs.find(hash(id), |(other, _)| *other == id),
            false => None,
        };
        let place = match seen {
            Some((_, place)) => *place,
            None => {
                let place = self.pairs.len() as u32;
                self.seen_pairs.insert_unique(hash(id), (id, place), |(id, _)| hash(*id));
                self.pairs.push(Pair { id, words, weight: 0.0, count: 0 });
                place
            }
        };
        let pair = &mut self.pairs[place as usize];
        pair.weight += weight;
        pair.count += 1;
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
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// Ids of the known n-grams of a word that has no id itself.
    pub fn grams(&self, word: &Word) -> &[u32] {
        &self.grams[word.grams.0 as usize..word.grams.1 as usize]
    }

    /// A word's text: lower-cased; a number or code that the vocabulary does not hold has its
    /// digits as `0`.
    pub fn text<'a>(&'a self, lexicon: &'a Lexicon, word: &Word) -> &'a str {
        match word.id {
            Some(id) => lexicon.word_text(id),
            None => text(&self.text, word),
        }
    }

    /// Every distinct known pair in the order of its first occurrence.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// Ids of the distinct known fields in the order in which they were added.
    pub fn fields(&self) -> &[u32] {
        &self.fields
    }
}

fn text<'a>(all: &'a str, word: &Word) -> &'a str {
    &all[word.text.0 as usize..word.text.1 as usize]
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
        let words = bag.words().iter();
        let words: Vec<_> =
            words.map(|w| (bag.text(&lexicon, w), w.id, w.weight, w.count)).collect();
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
        assert_eq!(bag.grams(&bag.words()[3]), [4, 5]);
        assert_eq!(bag.pairs(), [Pair { id: 7, words: (0, 1), weight: 2.0, count: 2 }]);
        // Of "con"'s nine n-grams two are known.
        assert_eq!((bag.occurrences(), bag.unknown()), (9, 2));
        assert_eq!(bag.fields(), [0; 0]);
        bag.clear();
        assert_eq!((bag.words().len(), bag.pairs().len(), bag.unknown()), (0, 0, 0));
    }

    #[test]
    fn known_fields_once_each() {
        let lexicon = Lexicon::new(["[UNK]", "email", "@from=email", "@from=portal"]).unwrap();
        let mut bag = Bag::default();
        for entry in ["@from=portal", "@from=fax", "email", "@from=email", "@from=portal"] {
            bag.add_field(&lexicon, entry);
        }
        assert_eq!((bag.fields(), bag.words().len(), bag.occurrences()), (&[3, 2][..], 0, 0));
        bag.clear();
        assert_eq!(bag.fields(), [0; 0]);
    }
}
