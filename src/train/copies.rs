//! Which tickets are copies of others. They are counted like any ticket; what the first of them
//! shows, they do not show again.

use std::collections::BTreeSet;

/// Tells copies as tickets come by in their order: a copy has the label of an earlier ticket and,
/// as [`super::audit::duplicates`] groups them, its text or nearly so.
pub struct Copies<L> {
    met: BTreeSet<(u32, L)>,
}

impl<L: Ord> Copies<L> {
    pub fn new() -> Self {
        Self { met: BTreeSet::new() }
    }

    /// Whether a ticket of this group of texts and of this label came before.
    pub fn is_copy(&mut self, group: u32, label: L) -> bool {
        !self.met.insert((group, label))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_the_text_and_the_label_of_an_earlier_ticket() {
        let mut copies = Copies::new();
        let told =
            [(0, "A"), (0, "A"), (0, "B"), (1, "A"), (0, "B")].map(|(g, l)| copies.is_copy(g, l));
        assert_eq!(told, [false, true, false, false, true]);
    }
}
