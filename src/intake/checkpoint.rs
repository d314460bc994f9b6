//! Proves that the history of an API server continues the known one: its watch has to repeat the newest known change.
//!
//! A resourceVersion alone proves nothing. An API server that was restored from a backup gives out the versions after that of the backup
//! again, for other changes. So a watch whose server may have been restored starts just before the newest known change, the
//! [`Checkpoint`]. The server sends that change again if its history contains it, and then agrees with everything known up to it.
//! Nothing changed between it and the position of the watch, so the [`Replay`] must not show a change there either.
//! Then the known objects are right, and the watch continues at its position.
//!
//! The objects of a list are no checkpoints: they do not show deletions. Knows nothing of requests or sinks.

use super::event::EventKind;
use super::failure::Failure;
use crate::sharding::Slice;

/// The newest change that the watch delivered since the last list, also of another shard.
#[derive(Debug, Default)]
pub struct Checkpoint {
    /// The resourceVersion of the change, also of a deletion; 0 if there is none.
    version: u64,
    uid: String,
}

impl Checkpoint {
    /// An object was added, changed or deleted. Allocates nothing, except for the first one.
    pub fn note(&mut self, uid: &str, version: u64) {
        if version > self.version {
            self.version = version;
            self.uid.clear();
            self.uid.push_str(uid);
        }
    }

    /// A list begins, or the server filters and will send changes of more objects, whose earlier changes are not known.
    pub const fn clear(&mut self) {
        self.version = 0;
    }

    /// Returns the replay for a watch that had reached `until`, and whose server sent all changes in `slice`. `None` if it would not
    /// send the change again.
    pub fn replay(&self, slice: &Slice, until: u64) -> Option<Replay> {
        // Version 0 has another meaning.
        let from = (self.version.max(1) - 1).min(until);
        let is_usable = from > 0 && slice.contains_uid(&self.uid);
        is_usable.then(|| Replay {
            from,
            version: self.version,
            uid: self.uid.clone(),
            until,
            slice: slice.clone(),
            is_proven: false,
        })
    }
}

/// The part of a watch that repeats known events.
#[derive(Debug)]
pub struct Replay {
    /// The resourceVersion from which the watch starts.
    from: u64,
    /// The checkpoint.
    version: u64,
    uid: String,
    /// The version up to which everything is known.
    until: u64,
    /// The slice whose changes up to then are known.
    slice: Slice,
    /// The checkpoint arrived.
    is_proven: bool,
}

/// What to do with an event of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replayed {
    /// It is known.
    Known,
    /// It is the last known one: the replay is over.
    Last,
    /// It is the first new one: the replay is over.
    New,
}

impl Replay {
    /// The resourceVersion from which the watch starts.
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// Whether the checkpoint arrived.
    pub const fn is_proven(&self) -> bool {
        self.is_proven
    }

    /// The failure of a server that does not send the checkpoint.
    pub fn unproven(&self) -> Failure {
        Failure::Rewound(format!("the change with resourceVersion {} is missing", self.version))
    }

    /// Judges an event at `version`.
    ///
    /// # Errors
    /// The history of the server is another one.
    pub fn judge(&mut self, kind: EventKind, uid: &str, version: u64) -> Result<Replayed, Failure> {
        let is_checkpoint = kind != EventKind::Bookmark && version == self.version && uid == self.uid;
        if !self.is_proven {
            if !is_checkpoint && version >= self.version {
                return Err(self.unproven());
            }
            self.is_proven = is_checkpoint;
        } else if !is_checkpoint
            && version <= self.until
            && matches!(kind, EventKind::Added | EventKind::Modified | EventKind::Deleted)
            && self.slice.contains_uid(uid)
        {
            return Err(Failure::Rewound(format!("another change with resourceVersion {version}")));
        }
        Ok(match version {
            version if version > self.until => Replayed::New,
            version if version == self.until && self.is_proven => Replayed::Last,
            _ => Replayed::Known,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::EventKind::{Added, Bookmark, Deleted, Modified};
    use super::*;
    use crate::sharding::{Hasher, Ranges};

    /// Returns what a replay of all but `foreign` says to events, until its end. The checkpoint is `a` at 7, the position 9.
    fn judge(events: &[(EventKind, &str, u64)]) -> Vec<Result<Replayed, String>> {
        let mut checkpoint = Checkpoint::default();
        checkpoint.note("a", 7);
        checkpoint.note("b", 5);
        let foreign = u128::from(Hasher::XxHash64.hash("foreign"));
        let foreign = Slice::of(Hasher::XxHash64, Ranges::from_parts([(foreign, foreign + 1)]));
        let mut replay = checkpoint.replay(&Slice::all().minus(&foreign), 9).expect("there is a checkpoint");
        assert_eq!(replay.from(), 6);
        events
            .iter()
            .map(|(kind, uid, version)| replay.judge(*kind, uid, *version).map_err(|failure| failure.to_string()))
            .collect()
    }

    #[test]
    fn a_replay_ends_at_the_position_once_the_checkpoint_arrived() {
        let known = [(Modified, "a", 7), (Added, "foreign", 8)];
        assert_eq!(judge(&known), [Ok(Replayed::Known), Ok(Replayed::Known)]);
        for (kind, version, last) in
            [(Bookmark, 9, Replayed::Last), (Bookmark, 10, Replayed::New), (Added, 10, Replayed::New)]
        {
            assert_eq!(judge(&[known[0], known[1], (kind, "c", version)])[2], Ok(last));
        }
        assert_eq!(judge(&[(Deleted, "foreign", 6), (Bookmark, "", 6)]), [Ok(Replayed::Known), Ok(Replayed::Known)]);
    }

    #[test]
    fn another_history_is_noticed() {
        for event in
            [(Modified, "b", 7), (Modified, "a", 8), (Added, "foreign", 7), (Bookmark, "", 7), (Bookmark, "a", 12)]
        {
            let verdict = judge(&[event]).remove(0).expect_err("it lacks the checkpoint");
            assert!(verdict.ends_with("the change with resourceVersion 7 is missing"), "{verdict}");
        }
        for event in [(Modified, "a", 8), (Added, "c", 8), (Deleted, "b", 9)] {
            assert!(judge(&[(Modified, "a", 7), event])[1].is_err());
        }
    }

    #[test]
    fn only_a_complete_checkpoint_is_used() {
        let mut checkpoint = Checkpoint::default();
        assert!(checkpoint.replay(&Slice::all(), 9).is_none());
        checkpoint.note("a", 7);
        assert!(checkpoint.replay(&Slice::all(), 9).is_some());
        assert!(checkpoint.replay(&Slice::none(), 9).is_none(), "it is foreign now");
        // Nothing between the position and the checkpoint may be left out.
        assert_eq!(checkpoint.replay(&Slice::all(), 3).map(|replay| replay.from()), Some(3));
        checkpoint.clear();
        assert!(checkpoint.replay(&Slice::all(), 9).is_none());
        checkpoint.note("b", 1);
        assert!(checkpoint.replay(&Slice::all(), 9).is_none(), "a watch from version 0 begins with all objects");
    }
}
