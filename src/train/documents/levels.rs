//! Numbers of which few are different, in two bytes each.

use crate::train::texts::Map;

/// The different numbers, in the order in which they came.
#[derive(Clone, Default)]
pub struct Levels {
    all: Vec<f32>,
    /// By a number's bits.
    places: Map<u32, u16>,
}

impl Levels {
    /// The place of a number. A corpus has some hundred of them; where there are more than places,
    /// the nearest that has one stands for it.
    pub fn place(&mut self, number: f32) -> u16 {
        if let Some(place) = self.places.get(&number.to_bits()) {
            return *place;
        }
        let Ok(place) = u16::try_from(self.all.len()) else { return self.nearest(number) };
        self.all.push(number);
        self.places.insert(number.to_bits(), place);
        place
    }

    /// The number at a place.
    pub fn at(&self, place: u16) -> f32 {
        self.all[usize::from(place)]
    }

    fn nearest(&self, number: f32) -> u16 {
        let distance = |place: &u16| (self.at(*place) - number).abs();
        (0..=u16::MAX).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_kept_while_there_is_room_and_the_nearest_afterwards() {
        let mut levels = Levels::default();
        for i in 0..=u16::MAX {
            assert_eq!(levels.place(f32::from(i) * 0.5), i);
        }
        assert_eq!((levels.place(3.5), levels.at(7)), (7, 3.5));
        assert_eq!([levels.place(3.6), levels.place(-9.0), levels.place(4e4)], [7, 0, u16::MAX]);
    }
}
