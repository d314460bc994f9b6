//! Observes the UIDs of all shards: counts objects, and detects whether the server filters.
//!
//! The only writer of a source's [`UidTally`](super::uid_tally::UidTally). Allocates nothing per object.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::discard::Peek;
use super::event::EventKind;
use super::source::Status;
use crate::resource_version::number;
use crate::sharding::{Digest, Hasher, Hashes, Slice};

/// Observes the UIDs that a source receives.
pub struct UidObserver {
    status: Arc<Status>,
    /// Whether to count.
    audited: bool,
    /// The objects of the list so far.
    digest: Digest,
    /// The digest may miss objects of the list.
    incomplete: bool,
    /// The slice to which the server was asked to restrict the response, until another object arrives.
    selected: Option<Slice>,
}

impl UidObserver {
    pub fn new(status: Arc<Status>, audited: bool) -> Self {
        Self { status, audited, digest: Digest::default(), incomplete: false, selected: None }
    }

    /// A response begins. The server was asked to restrict it to `selected`.
    pub fn begin_response(&mut self, selected: Option<Slice>) {
        // The last response may have been filtered: no other object arrived with it.
        self.incomplete |= self.selected.is_some();
        let filtered = selected.is_some();
        self.selected = selected;
        self.status.filtered.store(filtered, Ordering::Relaxed);
        if self.audited {
            self.status.tally().begin(filtered);
        }
    }

    pub fn begin_list(&mut self) {
        self.digest = Digest::default();
        self.incomplete = false;
    }

    /// The list is complete.
    pub fn finish_list(&self, version: u64) {
        if self.audited {
            let mut tally = self.status.tally();
            tally.listed(self.digest, version);
            if self.incomplete {
                tally.missed();
            }
        }
    }

    /// The object arrived with the running response.
    pub fn arrived(&mut self, uid: &str) {
        if self.selected.as_ref().is_some_and(|selected| !uid.is_empty() && !selected.contains_uid(uid)) {
            self.selected = None;
            self.status.filtered.store(false, Ordering::Relaxed);
            if self.audited {
                self.status.tally().unfiltered();
            }
        }
    }

    /// An object was added, changed or deleted; `listed` if it came with a list.
    pub fn observe(&mut self, kind: EventKind, object: &Peek<'_>, listed: bool) {
        let uid = &*object.uid;
        self.arrived(uid);
        if !self.audited || kind == EventKind::Modified {
            return;
        }
        if uid.is_empty() {
            return self.missed(listed);
        }
        // The digest uses only this hash.
        let hashes = Hashes { xxhash64: Hasher::XxHash64.hash(uid), ..Hashes::default() };
        let added = kind == EventKind::Added;
        match (listed, added) {
            (true, true) => self.digest.add(hashes),
            (true, false) => self.digest.remove(hashes),
            (false, _) => self.status.tally().changed(number(&object.version), hashes, added),
        }
    }

    /// An object or event could not be read; `listed` if it came with a list.
    pub fn missed(&mut self, listed: bool) {
        if listed {
            self.incomplete = true;
        } else if self.audited {
            self.status.tally().missed();
        }
    }
}
