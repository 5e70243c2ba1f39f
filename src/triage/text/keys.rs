//! Short texts as keys: up to 15 bytes are one number, so that finding one compares no text
//! elsewhere in memory.

use hashbrown::{HashMap, HashTable};

/// The longest text that is a number.
const SHORT: usize = 15;
/// Bytes that are read at once.
const WINDOW: usize = 16;

/// Texts with their ids.
#[derive(Clone, Default)]
pub struct Keys {
    /// Both halves of a number, and the id: in 24 bytes, where a `u128` would make them 32.
    short: HashTable<(u64, u64, u32)>,
    long: HashMap<Box<[u8]>, u32, foldhash::fast::FixedState>,
}

impl Keys {
    /// Whether it was there already.
    pub fn insert(&mut self, text: &[u8], id: u32) -> bool {
        let Some(key) = number(text) else { return self.long.insert(text.into(), id).is_some() };
        let there = self.find_number(key).is_some();
        if !there {
            let (low, high) = halves(key);
            self.short.insert_unique(fold(low, high), (low, high, id), |k| fold(k.0, k.1));
        }
        there
    }

    pub fn find(&self, text: &[u8]) -> Option<u32> {
        match number(text) {
            Some(key) => self.find_number(key),
            None => self.long.get(text).copied(),
        }
    }

    fn find_number(&self, key: u128) -> Option<u32> {
        let (low, high) = halves(key);
        let same = |k: &(u64, u64, u32)| (k.0, k.1) == (low, high);
        self.short.find(fold(low, high), same).map(|k| k.2)
    }

    /// As [`Self::find`], of the text at a place of a padded one.
    pub fn find_within(&self, text: &Padded, (start, end): (u32, u32)) -> Option<u32> {
        let (start, end) = (start as usize, end as usize);
        let bytes = text.0.as_bytes();
        match bytes.get(start..).and_then(|rest| rest.first_chunk()) {
            Some(window) if end - start <= SHORT => {
                self.find_number(of_window(*window, end - start))
            }
            _ => self.find(bytes.get(start..end)?),
        }
    }
}

/// A text with room behind it, so that a window of 16 bytes can be read from any place.
#[derive(Default)]
pub struct Padded(String);

impl Padded {
    pub fn set(&mut self, parts: &[&str]) {
        self.0.clear();
        self.0.extend(parts.iter().copied());
        self.pad();
    }

    /// Sets a text with its ASCII letters in lower case.
    pub fn set_lower(&mut self, text: &str) {
        self.0.clear();
        self.0.push_str(text);
        self.0.make_ascii_lowercase();
        self.pad();
    }

    /// Puts room behind what was pushed.
    pub fn pad(&mut self) {
        self.0.push_str("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    }

    /// Adds to the end, behind any room.
    pub fn push(&mut self, c: char) {
        self.0.push(c);
    }

    /// In bytes, with the room.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text at a place, if it is one.
    pub fn text(&self, (start, end): (u32, u32)) -> &str {
        self.0.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// The number of a text; none where it is too long.
fn number(text: &[u8]) -> Option<u128> {
    let mut window = [0; WINDOW];
    window.get_mut(..text.len()).filter(|_| text.len() <= SHORT)?.copy_from_slice(text);
    Some(of_window(window, text.len()))
}

/// The first bytes of a window, the first one lowest, and how many they are in the highest byte.
fn of_window(window: [u8; WINDOW], len: usize) -> u128 {
    u128::from_le_bytes(window) & !(u128::MAX << (8 * len)) | (len as u128) << 120
}

fn halves(key: u128) -> (u64, u64) {
    (key as u64, (key >> 64) as u64)
}

/// Hashes a number with one multiplication, folded (Knuth, TAOCP 3, 6.4; as foldhash does).
fn fold(low: u64, high: u64) -> u64 {
    let product =
        u128::from(low ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high ^ 0xd1b5_4a32_d192_ed03);
    (product >> 64) as u64 ^ product as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_are_told_apart() {
        let text = "abcdefgh\0ijklmnopqrstuvwxyz한글";
        let ends = || (0..=text.len()).filter(|i| text.is_char_boundary(*i));
        let mut keys = Keys::default();
        let mut all = Vec::new();
        for start in ends() {
            for end in ends().filter(|end| *end >= start) {
                all.push((start, end));
            }
        }
        all.sort_by_key(|(start, end)| &text[*start..*end]);
        all.dedup_by_key(|(start, end)| text[*start..*end].to_owned());
        for (id, (start, end)) in all.iter().enumerate() {
            assert!(!keys.insert(&text.as_bytes()[*start..*end], id as u32));
        }
        let mut padded = Padded::default();
        padded.set(&[&text[..9], &text[9..]]);
        for (id, (start, end)) in all.iter().enumerate() {
            let expected = Some(id as u32);
            assert_eq!(keys.find(&text.as_bytes()[*start..*end]), expected);
            let span = (*start as u32, *end as u32);
            assert_eq!(keys.find_within(&padded, span), expected);
            assert_eq!(padded.text(span), &text[*start..*end]);
            assert!(keys.insert(&text.as_bytes()[*start..*end], 7));
        }
        assert_eq!(keys.find(b"zz"), None);
    }
}
