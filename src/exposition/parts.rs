//! The parts of an object: which of them changed, and which of them a family reads.
//!
//! An event brings a whole object, but usually changes little of it. The store keeps a fingerprint of each part per object, so
//! that unchanged parts need not be decoded, collected or compared. Parts are numbers here: intake cuts objects into parts,
//! and collectors declare which parts a family reads.

/// A set of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parts(u8);

impl Parts {
    /// No part.
    pub const NONE: Self = Self(0);
    /// All parts.
    pub const ALL: Self = Self(u8::MAX);

    /// Returns the set of one part. There are at most 8.
    pub const fn one(number: usize) -> Self {
        Self(1 << number)
    }

    /// Returns the union of two sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether the sets have a part in common.
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Returns whether this set contains all parts of `other`.
    pub const fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the index in the fingerprints of its lowest part.
    pub const fn index(self) -> usize {
        self.0.trailing_zeros() as usize
    }
}

/// The fingerprints of the parts of an object, one per part; none if the object must always be read whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprints(Box<[u128]>);

impl Fingerprints {
    /// Returns the parts in which two states of an object differ: all, if one of them has no fingerprints.
    pub fn changed(&self, new: &Self) -> Parts {
        if self.0.is_empty() || self.0.len() != new.0.len() {
            return Parts::ALL;
        }
        let differing = self.0.iter().zip(&new.0).enumerate().filter(|(_, (old, new))| old != new);
        differing.fold(Parts::NONE, |parts, (number, _)| parts.and(Parts::one(number)))
    }

    /// Returns the memory in bytes, without the value itself.
    pub const fn size(&self) -> usize {
        self.0.len() * size_of::<u128>()
    }
}

impl From<Box<[u128]>> for Fingerprints {
    fn from(prints: Box<[u128]>) -> Self {
        Self(prints)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_complete_fingerprints_of_the_same_kind_find_unchanged_parts() {
        let of = |prints: &[u128]| Fingerprints::from(Box::from(prints));
        assert_eq!(of(&[1, 2, 3]).changed(&of(&[1, 2, 3])), Parts::NONE);
        assert_eq!(of(&[1, 2, 3]).changed(&of(&[1, 5, 3])), Parts::one(1));
        assert_eq!(of(&[1, 2, 3]).changed(&of(&[0, 2, 0])), Parts::one(0).and(Parts::one(2)));
        for (old, new) in [(of(&[]), of(&[])), (of(&[]), of(&[1])), (of(&[1]), of(&[])), (of(&[1]), of(&[1, 2]))] {
            assert_eq!(old.changed(&new), Parts::ALL);
        }
    }
}
