//! English typing noise: slips of the fingers, missing apostrophes, case and punctuation habits.

use crate::rng::Rng;

/// Slips at `rate` permille a letter. Words with digits, dots or slashes (hosts, codes, addresses) are left alone: people paste those.
pub fn slips(text: &str, rng: &mut Rng, rate: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_inclusive([' ', '\n']) {
        if word.contains(|c: char| c.is_ascii_digit() || "@/\\_:".contains(c)) {
            out.push_str(word);
        } else {
            slip_word(word, rng, rate, &mut out);
        }
    }
    out
}

fn slip_word(word: &str, rng: &mut Rng, rate: usize, out: &mut String) {
    let chars: Vec<char> = word.chars().collect();
    let mut i = 0;
    while i < chars.len() {
        let c = chars[i];
        i += 1;
        if !c.is_ascii_alphabetic() || !rng.chance(rate) {
            out.push(c);
            continue;
        }
        match rng.below(4) {
            0 if chars.get(i).is_some_and(char::is_ascii_alphabetic) => {
                out.push(chars[i]);
                out.push(c);
                i += 1;
            }
            1 => {}
            2 => out.extend([c, c]),
            _ => out.push(neighbour(c, rng)),
        }
    }
}

/// A letter beside `c` in its keyboard row.
fn neighbour(c: char, rng: &mut Rng) -> char {
    for row in ["qwertyuiop", "asdfghjkl", "zxcvbnm"] {
        if let Some(at) = row.find(c.to_ascii_lowercase()) {
            let to =
                if at == 0 || (at + 1 < row.len() && rng.chance(500)) { at + 1 } else { at - 1 };
            return row.as_bytes()[to] as char;
        }
    }
    c
}

const SHORTHAND: [(&str, &str); 12] = [
    ("please", "pls"),
    ("Please", "Pls"),
    ("can't", "cant"),
    ("doesn't", "doesnt"),
    ("won't", "wont"),
    ("don't", "dont"),
    ("I'm", "im"),
    ("isn't", "isnt"),
    ("password", "pw"),
    ("because", "cause"),
    ("thanks", "thx"),
    (" you ", " u "),
];

/// The shorthand of chats and phones.
pub fn shorthand(text: &str, rng: &mut Rng) -> String {
    let mut text = text.to_owned();
    for (long, short) in SHORTHAND {
        if rng.chance(500) {
            text = text.replace(long, short);
        }
    }
    text
}

/// Habits of case and punctuation.
pub fn habits(text: &str, rng: &mut Rng) -> String {
    match rng.below(100) {
        0..10 => text.to_lowercase(),
        10..13 => text.to_uppercase(),
        13..18 => text.replace(". ", " ").trim_end_matches('.').to_owned(),
        18..21 => text.replace(". ", "... "),
        21..24 => text.replace(". ", "!! ").replace('.', "!"),
        24..27 => text.replace(". ", ".").replace(", ", ","),
        27..30 => text.replace(". ", "  . "),
        _ => text.to_owned(),
    }
}
