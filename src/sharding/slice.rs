//! The objects of a replica: ranges of one hash space, or of two while the hash changes.

use super::{Hasher, Ranges};

/// The points of a UID in both hash spaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// By [`Hasher::XxHash64`].
    pub xxhash64: u64,
    /// By [`Hasher::Fnv1a64`].
    pub fnv1a64: u64,
}

impl Hashes {
    /// Returns the points of `uid`.
    pub fn of(uid: &str) -> Self {
        Self { xxhash64: Hasher::XxHash64.hash(uid), fnv1a64: Hasher::Fnv1a64.hash(uid) }
    }
}

/// A set of objects: those whose UID is in the ranges of either hash space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    xxhash64: Ranges,
    fnv1a64: Ranges,
}

impl Slice {
    /// Returns the set of all objects.
    pub fn all() -> Self {
        Self::of(Hasher::XxHash64, Ranges::all())
    }

    /// Returns the empty set.
    pub const fn none() -> Self {
        Self { xxhash64: Ranges::none(), fnv1a64: Ranges::none() }
    }

    /// Returns the objects whose hash by `hasher` is in `ranges`.
    pub fn of(hasher: Hasher, ranges: Ranges) -> Self {
        match hasher {
            Hasher::XxHash64 => Self { xxhash64: ranges, fnv1a64: Ranges::none() },
            Hasher::Fnv1a64 => Self { xxhash64: Ranges::none(), fnv1a64: ranges },
        }
    }

    /// Returns the ranges of one hash space.
    pub const fn ranges(&self, hasher: Hasher) -> &Ranges {
        match hasher {
            Hasher::XxHash64 => &self.xxhash64,
            Hasher::Fnv1a64 => &self.fnv1a64,
        }
    }

    /// Returns whether the set contains an object.
    pub fn contains(&self, hashes: Hashes) -> bool {
        self.xxhash64.contains(hashes.xxhash64) || self.fnv1a64.contains(hashes.fnv1a64)
    }

    /// Returns whether the set contains every object whose point by [`Hasher::XxHash64`] is between these two, judged by this
    /// hash space only.
    pub fn contains_span(&self, first: u64, last: u64) -> bool {
        self.is_all() || self.xxhash64.contains_span(first, last)
    }

    /// Returns whether the set contains the object with this UID. Computes only the hashes that it needs.
    pub fn contains_uid(&self, uid: &str) -> bool {
        let within = |ranges: &Ranges, hasher: Hasher| {
            !ranges.is_empty() && (ranges.is_all() || ranges.contains(hasher.hash(uid)))
        };
        within(&self.xxhash64, Hasher::XxHash64) || within(&self.fnv1a64, Hasher::Fnv1a64)
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.xxhash64.is_empty() && self.fnv1a64.is_empty()
    }

    /// Returns whether the set contains every object.
    pub fn is_all(&self) -> bool {
        self.xxhash64.is_all() || self.fnv1a64.is_all()
    }

    /// Returns whether the set contains all objects of `other`. Ranges of one hash space never cover ranges of the other, except
    /// for the whole space.
    pub fn covers(&self, other: &Self) -> bool {
        other.minus(self).is_empty()
    }

    /// Returns the number of points, out of 2^64. Adds up both hash spaces.
    pub fn size(&self) -> u128 {
        if self.is_all() { 1 << 64 } else { self.xxhash64.size() + self.fnv1a64.size() }
    }

    /// Returns the union of both sets.
    pub fn union(&self, other: &Self) -> Self {
        Self { xxhash64: self.xxhash64.union(&other.xxhash64), fnv1a64: self.fnv1a64.union(&other.fnv1a64) }
    }

    /// Returns the intersection per hash space; see [`Slice::minus`].
    pub fn intersection(&self, other: &Self) -> Self {
        if self.is_all() { other.clone() } else { self.minus(&self.minus(other)) }
    }

    /// Returns the difference per hash space. It may contain more than the exact difference, never less.
    pub fn minus(&self, other: &Self) -> Self {
        if other.is_all() {
            return Self::none();
        }
        Self { xxhash64: self.xxhash64.minus(&other.xxhash64), fnv1a64: self.fnv1a64.minus(&other.fnv1a64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slices() -> impl Strategy<Value = Slice> {
        let parts = || proptest::collection::vec((0..=1_u128 << 64, 0..=1_u128 << 64), 0..4);
        (parts(), parts()).prop_map(|(x, f)| Slice { xxhash64: Ranges::from_parts(x), fnv1a64: Ranges::from_parts(f) })
    }

    proptest! {
        #[test]
        fn slices_behave_as_sets(a in slices(), b in slices(), uid in "[a-f0-9-]{1,36}") {
            let hashes = Hashes::of(&uid);
            prop_assert_eq!(a.contains(hashes), a.contains_uid(&uid));
            prop_assert_eq!(a.union(&b).contains(hashes), a.contains(hashes) || b.contains(hashes));
            prop_assert!(!a.contains(hashes) || b.contains(hashes) || a.minus(&b).contains(hashes));
            prop_assert!(!a.intersection(&b).contains(hashes) || (a.contains(hashes) && b.contains(hashes)));
            prop_assert!(a.union(&b).covers(&a));
            let (first, last) = (hashes.xxhash64 / 2, hashes.xxhash64);
            prop_assert!(!a.contains_span(first, last) || a.contains(hashes));
            prop_assert!(!a.contains_span(first, last) || a.xxhash64.contains(first) || a.is_all());
            prop_assert!(!a.covers(&b) || !b.contains(hashes) || a.contains(hashes));
        }
    }

    #[test]
    fn everything_is_everything_by_any_hash() {
        let by_fnv = Slice::of(Hasher::Fnv1a64, Ranges::all());
        assert!(Slice::all().covers(&by_fnv) && by_fnv.covers(&Slice::all()));
        let some = Slice::of(Hasher::Fnv1a64, Ranges::from_parts([(0, 7)]));
        assert!(!Slice::of(Hasher::XxHash64, Ranges::from_parts([(0, 7)])).covers(&some));
        assert!(Slice::none().is_empty() && !Slice::none().is_all());
    }
}
