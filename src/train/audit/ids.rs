//! Ids that several tickets have.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::train::data::Example;

/// Ids listed at most.
const SHOWN: usize = 10;

/// Ids that occur more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repeated {
    pub ids: u64,
    /// Tickets with those ids.
    pub tickets: u64,
    /// Those with the most tickets, 10 at most.
    pub shown: Vec<Id>,
}

/// An id with its tickets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Id {
    pub id: String,
    pub tickets: u64,
}

/// Finds them.
pub(super) fn repeated(examples: &[Example]) -> Repeated {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for example in examples {
        *counts.entry(&example.id).or_default() += 1;
    }
    let mut found: Vec<(&str, u64)> = counts.into_iter().filter(|(_, n)| *n > 1).collect();
    found.sort_by_key(|(_, tickets)| Reverse(*tickets));
    let shown = found.iter().take(SHOWN);
    Repeated {
        ids: found.len() as u64,
        tickets: found.iter().map(|(_, tickets)| tickets).sum(),
        shown: shown.map(|(id, n)| Id { id: (*id).to_owned(), tickets: *n }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;
    use super::*;

    #[test]
    fn ids_that_occur_more_than_once() {
        let examples = [7, 8, 9, 8, 9, 9].map(|id| example(id, "text", "A"));
        let found = repeated(&examples);
        assert_eq!((found.ids, found.tickets), (2, 5));
        let shown: Vec<_> = found.shown.iter().map(|id| (id.id.as_str(), id.tickets)).collect();
        assert_eq!(shown, [("9", 3), ("8", 2)]);
        assert_eq!(repeated(&examples[..3]), Repeated::default());
    }
}
