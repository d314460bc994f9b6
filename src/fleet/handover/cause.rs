//! Why the current assignment changed, by a comparison of both assignments.

use crate::fleet::record::Assignment;

/// The cause of a change of the current assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The fleet started from nothing, or this process joined it.
    Start,
    /// The number of shards changed.
    Scale,
    /// The hash or the layout changed.
    Hash,
    /// Members that do not run any more lost their ranges at once.
    Dismissal,
    /// A member left, or was excluded, and the others had prepared for it.
    Leave,
    /// A member serves its own ranges again.
    Rejoin,
    /// Ranges of an absent member were taken or given up.
    Room,
}

impl Cause {
    /// All causes.
    pub const ALL: [Self; 7] =
        [Self::Start, Self::Scale, Self::Hash, Self::Dismissal, Self::Leave, Self::Rejoin, Self::Room];

    /// Returns its name in metrics and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Scale => "scale",
            Self::Hash => "hash",
            Self::Dismissal => "dismissal",
            Self::Leave => "leave",
            Self::Rejoin => "rejoin",
            Self::Room => "room",
        }
    }

    /// Returns the main cause of a change. `planned`: it had a switch time.
    pub(super) fn of(before: Option<&Assignment>, after: &Assignment, planned: bool) -> Self {
        let Some(before) = before.filter(|before| before.fresh == after.fresh) else { return Self::Start };
        let left = after.absent.iter().any(|ordinal| before.has(*ordinal));
        let back = before.absent.iter().any(|ordinal| after.has(*ordinal));
        if before.total != after.total {
            Self::Scale
        } else if (before.hash, before.layout) != (after.hash, after.layout) {
            Self::Hash
        } else if left && !planned {
            Self::Dismissal
        } else if left {
            Self::Leave
        } else if back {
            Self::Rejoin
        } else {
            Self::Room
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::record::{ColdStart, LAYOUT};
    use crate::sharding::Hasher;

    #[test]
    fn the_cause_of_a_change_follows_from_the_assignments() {
        let of = |total, absent: &[u32], hash| Assignment {
            generation: 1,
            total,
            absent: absent.to_vec(),
            untaken: [].into(),
            hash,
            layout: LAYOUT,
            fresh: ColdStart { generation: 1, below: total.min(3) },
            lives: Vec::new(),
        };
        let cause = |before: &Assignment, after: &Assignment, planned| Cause::of(Some(before), after, planned);
        let three = of(3, &[], Hasher::XxHash64);
        let two = of(3, &[1], Hasher::XxHash64);
        assert_eq!(cause(&three, &of(4, &[3], Hasher::XxHash64), true), Cause::Scale);
        assert_eq!(cause(&three, &two, false), Cause::Dismissal);
        assert_eq!(cause(&three, &two, true), Cause::Leave);
        assert_eq!(cause(&two, &three, true), Cause::Rejoin);
        assert_eq!(cause(&two, &Assignment { untaken: [1].into(), ..two.clone() }, true), Cause::Room);
        assert_eq!(cause(&three, &Assignment { layout: 2, ..three.clone() }, true), Cause::Hash);
        assert_eq!(Cause::of(None, &three, false), Cause::Start);
        let fresh = Assignment { fresh: ColdStart { generation: 9, below: 3 }, ..three.clone() };
        assert_eq!(cause(&three, &fresh, false), Cause::Start);
    }
}
