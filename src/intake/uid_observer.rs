//! What comes of all shards is looked at for two things: how many objects there are, and whether the server filters.
//!
//! The one writer of a source's [`UidTally`](super::uid_tally::UidTally). Costs no allocation an object.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::discard::Peek;
use super::event::EventKind;
use super::source::Status;
use crate::resource_version::number;
use crate::sharding::{Digest, Hasher, Hashes, Slice};

/// Counts what comes by.
pub struct UidObserver {
    status: Arc<Status>,
    /// Whether anything is counted.
    audited: bool,
    /// What the list has had so far.
    digest: Digest,
    /// Something of the list may be missing in the digest.
    incomplete: bool,
    /// What the server was asked to send alone, as long as nothing else came.
    selected: Option<Slice>,
}

impl UidObserver {
    /// Nothing came yet.
    pub fn new(status: Arc<Status>, audited: bool) -> Self {
        Self { status, audited, digest: Digest::default(), incomplete: false, selected: None }
    }

    /// An answer starts; of `asked` alone, if the server does what it was asked for.
    pub fn begin_response(&mut self, selected: Option<Slice>) {
        // Of the last answer it never showed whether it was filtered.
        self.incomplete |= self.selected.is_some();
        let filtered = selected.is_some();
        self.selected = selected;
        self.status.filtered.store(filtered, Ordering::Relaxed);
        if self.audited {
            self.status.tally().begin(filtered);
        }
    }

    /// A list starts.
    pub fn begin_list(&mut self) {
        self.digest = Digest::default();
        self.incomplete = false;
    }

    /// The list is whole.
    pub fn finish_list(&self, version: u64) {
        if self.audited {
            let mut tally = self.status.tally();
            tally.listed(self.digest, version);
            if self.incomplete {
                tally.missed();
            }
        }
    }

    /// An object came or went; `listed` if that was with a list.
    pub fn observe(&mut self, kind: EventKind, object: &Peek<'_>, listed: bool) {
        let uid = &*object.uid;
        if self.selected.as_ref().is_some_and(|selected| !uid.is_empty() && !selected.contains_uid(uid)) {
            self.selected = None;
            self.status.filtered.store(false, Ordering::Relaxed);
            if self.audited {
                self.status.tally().trust();
            }
        }
        if !self.audited || kind == EventKind::Modified {
            return;
        }
        if uid.is_empty() {
            return self.missed(listed);
        }
        // The digest is of this hash alone.
        let hashes = Hashes { xxhash64: Hasher::XxHash64.hash(uid), ..Hashes::default() };
        let added = kind == EventKind::Added;
        match (listed, added) {
            (true, true) => self.digest.add(hashes),
            (true, false) => self.digest.remove(hashes),
            (false, _) => self.status.tally().changed(number(&object.version), hashes, added),
        }
    }

    /// Something could not be seen, of a list or by itself.
    pub fn missed(&mut self, listed: bool) {
        if listed {
            self.incomplete = true;
        } else if self.audited {
            self.status.tally().missed();
        }
    }
}
