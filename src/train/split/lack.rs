//! What tickets lack from which no model can be made, however they are split.

use super::{IN_ALL, Parts, Summary};
use crate::train::data::Example;
use crate::triage::model::Target;

/// Groups of texts have so many tickets each, on average, where nearly all texts read alike.
const ALIKE: u64 = 10;

/// What tickets lack, and what to bring.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    #[error("all tickets have the label {label}; at least two labels are needed")]
    Labels { label: String },
    #[error(
        "nearly all texts read alike (digits are masked): {tickets} tickets have {texts} that \
         differ, so none are left to {part}; bring tickets with other texts"
    )]
    Texts { tickets: u64, texts: u64, part: &'static str },
    #[error(
        "{tickets} tickets are too few: none are left to {part}; bring more, for each label 3 or \
         more with different texts"
    )]
    Tickets { tickets: u64, part: &'static str },
}

/// Whether there are two categories, and tickets in each part.
///
/// # Errors
/// What is missing.
pub fn check(examples: &[Example], parts: &Parts, summary: &Summary) -> Result<(), Lack> {
    let mut labels = examples.iter().filter_map(|e| e.label(Target::Category));
    if examples.len() > 1
        && let Some(label) = labels.next()
        && labels.all(|other| other == label)
    {
        return Err(Lack::Labels { label: label.to_owned() });
    }
    let Some((part, _)) = parts.named().into_iter().find(|(_, tickets)| tickets.is_empty()) else {
        return Ok(());
    };
    let (tickets, texts) = (examples.len() as u64, summary.groups);
    let alike = texts < tickets && (texts < IN_ALL as u64 || texts * ALIKE < tickets);
    Err(if alike { Lack::Texts { tickets, texts, part } } else { Lack::Tickets { tickets, part } })
}

#[cfg(test)]
mod tests {
    use super::super::split;
    use super::*;
    use crate::train::audit::duplicates::find;
    use crate::train::audit::tests::example;
    use crate::train::recipe;

    /// What tickets with these texts and labels lack.
    fn lack(tickets: &[(String, String)]) -> Option<Lack> {
        let each = tickets.iter().enumerate();
        let examples = each.map(|(i, (text, label))| example(i, text, label));
        let examples: Vec<Example> = examples.collect();
        let groups = find(&examples).groups;
        let found = split(&examples, &groups, &recipe::Split::default()).unwrap();
        check(&examples, &found.parts, &found.summary).err()
    }

    #[test]
    fn what_is_missing_is_told() {
        let word = |i: usize| format!("word{} fails", char::from(b'a' + i as u8));
        let of = |n: usize, text: &dyn Fn(usize) -> String, labels: usize| {
            let ticket = |i: usize| (text(i), format!("L{}", i % labels));
            lack(&(0..n).map(ticket).collect::<Vec<_>>())
        };
        assert_eq!(of(20, &word, 2), None);
        assert_eq!(of(20, &word, 1), Some(Lack::Labels { label: "L0".to_owned() }));
        let few = |tickets| Some(Lack::Tickets { tickets, part: "calibrate" });
        assert_eq!(of(3, &word, 3), few(3));
        assert_eq!(of(1, &word, 1), few(1));
        assert_eq!(of(20, &word, 20), few(20), "as many labels as tickets");
        let symptom = |i: usize| format!("Symptom {i}");
        let alike = Lack::Texts { tickets: 200, texts: 1, part: "calibrate" };
        assert_eq!(of(200, &symptom, 3), Some(alike));
    }

    #[test]
    fn messages_say_what_to_bring() {
        let told = Lack::Tickets { tickets: 3, part: "test" }.to_string();
        assert!(told.starts_with("3 tickets are too few: none are left to test;"), "{told}");
        let told = Lack::Texts { tickets: 9, texts: 1, part: "test" }.to_string();
        assert!(told.starts_with("nearly all texts read alike (digits are masked): 9"), "{told}");
        let told = Lack::Labels { label: "Printing".to_owned() }.to_string();
        assert_eq!(told, "all tickets have the label Printing; at least two labels are needed");
    }
}
