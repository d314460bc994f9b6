//! Half-open ranges of the hash space, and their owners.
//!
//! A single shard owns everything. From n to n + 1 shards, each of the n shards gives the tail 1/(n + 1) of its ranges to the
//! new one, which moves the minimum. The ranges of an absent member are split between the next two present members.

use std::collections::BTreeSet;

/// The end of the space. Ends are exclusive, and therefore one bit wider than a hash.
const END: u128 = 1 << 64;

/// A set of half-open ranges: sorted, not adjacent, not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// Returns the whole space.
    pub fn all() -> Self {
        Self(vec![(0, END)])
    }

    /// Returns the empty set.
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// Returns the union of `parts`, each `[start, end)`. Drops empty parts and caps ends at 2^64.
    pub fn from_parts(parts: impl IntoIterator<Item = (u128, u128)>) -> Self {
        let mut parts: Vec<_> = parts.into_iter().map(|(s, e)| (s, e.min(END))).filter(|(s, e)| s < e).collect();
        parts.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(parts.len());
        for (start, end) in parts {
            match merged.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => merged.push((start, end)),
            }
        }
        Self(merged)
    }

    /// Returns whether a hash is in one of the ranges.
    pub fn contains(&self, hash: u64) -> bool {
        let hash = u128::from(hash);
        let after = self.0.partition_point(|(start, _)| *start <= hash);
        after > 0 && hash < self.0[after - 1].1
    }

    /// Returns whether one range contains everything from `first` to `last`.
    pub fn contains_span(&self, first: u64, last: u64) -> bool {
        let after = self.0.partition_point(|(start, _)| *start <= u128::from(first));
        after > 0 && u128::from(last) < self.0[after - 1].1
    }

    /// Returns whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns whether the set is the whole space.
    pub fn is_all(&self) -> bool {
        self.0 == [(0, END)]
    }

    /// Returns the ranges, `[start, end)`, in ascending order.
    pub fn parts(&self) -> &[(u128, u128)] {
        &self.0
    }

    /// Returns the number of points.
    pub fn size(&self) -> u128 {
        self.0.iter().map(|(start, end)| end - start).sum()
    }

    /// Returns the union of both sets.
    pub fn union(&self, other: &Self) -> Self {
        Self::from_parts(self.0.iter().chain(&other.0).copied())
    }

    /// Returns the points of `self` that are not in `other`.
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for &(mut start, end) in &self.0 {
            for &(from, to) in &other.0 {
                if to <= start || from >= end {
                    continue;
                }
                left.push((start, from));
                start = to;
            }
            left.push((start, end));
        }
        Self::from_parts(left)
    }

    /// Removes and returns the last `size` points.
    fn split_tail(&mut self, size: u128) -> Self {
        let mut tail = Vec::new();
        let mut wanted = size;
        while wanted > 0 {
            let Some((start, end)) = self.0.pop() else { break };
            let cut = end - wanted.min(end - start);
            if cut > start {
                self.0.push((start, cut));
            }
            tail.push((cut, end));
            wanted -= end - cut;
        }
        Self::from_parts(tail)
    }
}

/// An assignment is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// There are no shards.
    #[error("the number of shards must be at least 1")]
    NoShards,
    /// A member is not below the total.
    #[error("shard {0} is not below the number of shards, {1}")]
    OutOfRange(u32, u32),
    /// A member is untaken but not absent.
    #[error("shard {0} is untaken but not absent")]
    UntakenPresent(u32),
    /// A member is absent twice.
    #[error("shard {0} is absent twice")]
    AbsentTwice(u32),
}

/// The owner of each range: a pure function of the number of shards and the absent members, equal on every replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment(Vec<Ranges>);

impl Assignment {
    /// Returns the ranges of `total` shards without absent members.
    ///
    /// # Errors
    /// `total` is 0.
    pub fn new(total: u32) -> Result<Self, AssignmentError> {
        Self::with_absent(total, &[], &BTreeSet::new())
    }

    /// Returns the ranges of `total` shards while others take over the ranges of the `absent` members. The ranges of the
    /// `untaken` members among them have no owner. Without present members, no range has an owner.
    ///
    /// Members become absent one after the other, in the given order. The ranges that a member owns at that time, including
    /// those that it has taken over, are split in half between the next two present ordinals, wrapping around. More members do
    /// not share them, because each member that takes over must list the whole cluster. A member that has already taken over
    /// ranges is skipped if another is free. The order matters: a member appended to it takes no ranges from present members.
    ///
    /// # Errors
    /// `total` is 0, a member is not below it or absent twice, or a member is untaken but not absent.
    pub fn with_absent(total: u32, absent: &[u32], untaken: &BTreeSet<u32>) -> Result<Self, AssignmentError> {
        if total == 0 {
            return Err(AssignmentError::NoShards);
        }
        if let Some(&member) = absent.iter().chain(untaken).find(|m| **m >= total) {
            return Err(AssignmentError::OutOfRange(member, total));
        }
        if let Some(&member) = untaken.iter().find(|m| !absent.contains(m)) {
            return Err(AssignmentError::UntakenPresent(member));
        }
        let mut owned = full(total);
        let mut gone = BTreeSet::new();
        let mut busy = BTreeSet::new();
        for &leaver in absent {
            if !gone.insert(leaver) {
                return Err(AssignmentError::AbsentTwice(leaver));
            }
            let mut left = std::mem::take(&mut owned[leaver as usize]);
            if untaken.contains(&leaver) {
                continue;
            }
            for (i, &taker) in takers(total, leaver, &gone, &busy).iter().enumerate().rev() {
                let share = left.size() / (i as u128 + 1);
                let part = left.split_tail(share);
                owned[taker as usize] = owned[taker as usize].union(&part);
                busy.insert(taker);
            }
        }
        Ok(Self(owned))
    }

    /// Returns the number of shards.
    pub fn total(&self) -> u32 {
        self.0.len() as u32
    }

    /// Returns the ranges of a shard; the empty set if it is not below the total.
    pub fn ranges(&self, shard: u32) -> Ranges {
        self.0.get(shard as usize).cloned().unwrap_or_default()
    }

    /// Returns the owner of a hash, if any.
    pub fn owner(&self, hash: u64) -> Option<u32> {
        self.0.iter().position(|r| r.contains(hash)).map(|i| i as u32)
    }
}

/// Returns the ranges of `total` shards if all are present.
fn full(total: u32) -> Vec<Ranges> {
    let mut owned = vec![Ranges::all()];
    for n in 1..u128::from(total) {
        let mut newcomer = Vec::new();
        for ranges in &mut owned {
            let tail = ranges.split_tail(ranges.size() / (n + 1));
            newcomer.extend_from_slice(tail.parts());
        }
        owned.push(Ranges::from_parts(newcomer));
    }
    owned
}

/// Returns the two members that take over from `leaver`: the next present ones, first those that have not taken over any.
fn takers(total: u32, leaver: u32, gone: &BTreeSet<u32>, busy: &BTreeSet<u32>) -> Vec<u32> {
    let present = || (1..total).map(|step| (leaver + step) % total).filter(|m| !gone.contains(m));
    let free = present().filter(|m| !busy.contains(m));
    let burdened = present().filter(|m| busy.contains(m));
    free.chain(burdened).take(2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A total, with absent and untaken members.
    fn fleet() -> impl Strategy<Value = (u32, Vec<u32>, BTreeSet<u32>)> {
        (1_u32..40).prop_flat_map(|total| {
            let members = proptest::collection::btree_map(0..total, any::<bool>(), 0..=total as usize / 2);
            members.prop_flat_map(move |members| {
                let untaken: BTreeSet<u32> = members.iter().filter(|(_, untaken)| **untaken).map(|(m, _)| *m).collect();
                let absent: Vec<u32> = members.into_keys().collect();
                (Just(total), Just(absent).prop_shuffle(), Just(untaken))
            })
        })
    }

    fn assign((total, absent, untaken): &(u32, Vec<u32>, BTreeSet<u32>)) -> Assignment {
        Assignment::with_absent(*total, absent, untaken).expect("the strategy makes valid fleets")
    }

    fn points(assignment: &Assignment) -> u128 {
        assignment.0.iter().map(Ranges::size).sum()
    }

    /// The hashes at which the owner may change: both sides of every bound.
    fn bounds(assignment: &Assignment) -> Vec<u64> {
        assignment
            .0
            .iter()
            .flat_map(|r| r.parts())
            .flat_map(|&(start, end)| [start as u64, (end - 1) as u64])
            .chain([0, u64::MAX])
            .collect()
    }

    proptest! {
        #[test]
        fn each_hash_has_one_owner(total in 1_u32..80, hash: u64) {
            let assignment = Assignment::new(total).expect("not 0");
            prop_assert_eq!(points(&assignment), END);
            let owners = |hash| assignment.0.iter().filter(|r| r.contains(hash)).count();
            prop_assert_eq!(owners(hash), 1);
            for hash in bounds(&assignment) {
                prop_assert_eq!(owners(hash), 1);
            }
        }

        #[test]
        fn absence_leaves_no_gaps_except_untaken_ranges(fleet in fleet(), hash: u64) {
            let assignment = assign(&fleet);
            let (total, absent, untaken) = &fleet;
            let mut lost = Ranges::none();
            for (at, member) in absent.iter().enumerate().filter(|(_, member)| untaken.contains(member)) {
                let before: BTreeSet<_> = untaken.intersection(&absent[..at].iter().copied().collect()).copied().collect();
                let before = Assignment::with_absent(*total, &absent[..at], &before).expect("valid");
                lost = lost.union(&before.ranges(*member));
            }
            if absent.len() == *total as usize {
                lost = Ranges::all();
            }
            prop_assert_eq!(points(&assignment), END - lost.size());
            for hash in bounds(&assignment).into_iter().chain([hash]) {
                let owners = assignment.0.iter().filter(|r| r.contains(hash)).count();
                prop_assert_eq!(owners, usize::from(!lost.contains(hash)));
            }
            for member in absent {
                prop_assert!(assignment.ranges(*member).is_empty());
            }
        }

        #[test]
        fn another_absent_member_takes_nothing_from_present_members(fleet in fleet(), one_more: u32, untaken: bool) {
            let before = assign(&fleet);
            let (total, mut absent, mut nobody) = fleet;
            let one_more = one_more % total;
            prop_assume!(!absent.contains(&one_more));
            absent.push(one_more);
            if untaken {
                nobody.insert(one_more);
            }
            let after = assign(&(total, absent, nobody));
            for member in (0..total).filter(|m| *m != one_more) {
                prop_assert!(before.ranges(member).minus(&after.ranges(member)).is_empty());
            }
        }

        #[test]
        fn a_present_member_keeps_its_ranges(fleet in fleet()) {
            let assignment = assign(&fleet);
            for (member, ranges) in full(fleet.0).iter().enumerate() {
                if !fleet.1.contains(&(member as u32)) {
                    prop_assert!(ranges.minus(&assignment.ranges(member as u32)).is_empty());
                }
            }
        }

        #[test]
        fn at_most_two_gain_for_one_that_is_absent(total in 1_u32..40, gone in 0_u32..40) {
            let gone = gone % total;
            let assignment = Assignment::with_absent(total, &[gone], &BTreeSet::new()).expect("valid");
            let gainers: Vec<_> = (0..total).filter(|m| assignment.ranges(*m) != full(total)[*m as usize] && *m != gone).collect();
            prop_assert_eq!(gainers.len(), (total as usize - 1).min(2));
        }

        #[test]
        fn shares_are_balanced_within_one_part_in_2_32(total in 1_u32..200) {
            let fair = END / u128::from(total);
            for ranges in full(total) {
                prop_assert!(ranges.size().abs_diff(fair) <= END >> 32);
            }
        }

        #[test]
        fn growth_moves_only_to_the_newcomer(total in 1_u32..80) {
            let (before, after) = (full(total), full(total + 1));
            for (old, new) in before.iter().zip(&after) {
                prop_assert!(new.minus(old).is_empty());
            }
            let moved: u128 = before.iter().zip(&after).map(|(old, new)| old.minus(new).size()).sum();
            prop_assert_eq!(moved, after[total as usize].size());
        }

        #[test]
        fn sets_behave_as_sets(a in parts(), b in parts(), hash: u64) {
            let (a, b) = (Ranges::from_parts(a), Ranges::from_parts(b));
            prop_assert_eq!(a.union(&b).contains(hash), a.contains(hash) || b.contains(hash));
            prop_assert_eq!(a.minus(&b).contains(hash), a.contains(hash) && !b.contains(hash));
            prop_assert_eq!(a.minus(&b).size() + b.size(), a.union(&b).size());
        }
    }

    fn parts() -> impl Strategy<Value = Vec<(u128, u128)>> {
        proptest::collection::vec((0..=END, 0..=END), 0..8)
    }

    #[test]
    fn sixty_four_shards_need_few_ranges() {
        let counts: Vec<_> = full(64).iter().map(|r| r.parts().len()).collect();
        let average = counts.iter().sum::<usize>() / counts.len();
        assert!(average <= 30, "{average} ranges a shard");
        assert!(counts.iter().max() <= Some(&110), "{counts:?}");
    }

    #[test]
    fn impossible_fleets_are_refused() {
        let none = BTreeSet::new();
        assert_eq!(Assignment::new(0), Err(AssignmentError::NoShards));
        assert_eq!(Assignment::with_absent(3, &[3], &none), Err(AssignmentError::OutOfRange(3, 3)));
        assert_eq!(Assignment::with_absent(3, &[1, 1], &none), Err(AssignmentError::AbsentTwice(1)));
        assert_eq!(Assignment::with_absent(3, &[1], &[2].into()), Err(AssignmentError::UntakenPresent(2)));
    }
}
