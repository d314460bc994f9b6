//! What comes of all shards is looked at for two things: how many objects there are, and whether the server filters.
//!
//! The one writer of a source's [`Seen`](super::seen::Seen). Costs no allocation an object.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Status;
use super::discard::Peek;
use super::event::EventKind;
use super::objects::number;
use crate::sharding::{Digest, Hasher, Hashes, Slice};

/// Counts what comes by.
pub struct Census {
    status: Arc<Status>,
    /// Whether anything is counted.
    audited: bool,
    /// What the list has had so far.
    digest: Digest,
    /// Something of the list may be missing in the digest.
    unsure: bool,
    /// What the server was asked to send alone, as long as nothing else came.
    asked: Option<Slice>,
}

impl Census {
    /// Nothing came yet.
    pub fn new(status: Arc<Status>, audited: bool) -> Self {
        Self { status, audited, digest: Digest::default(), unsure: false, asked: None }
    }

    /// An answer starts; of `asked` alone, if the server does what it was asked for.
    pub fn answer(&mut self, asked: Option<Slice>) {
        // Of the last answer it never showed whether it was filtered.
        self.unsure |= self.asked.is_some();
        let filtered = asked.is_some();
        self.asked = asked;
        self.status.filtered.store(filtered, Ordering::Relaxed);
        if self.audited {
            self.status.seen().begin(filtered);
        }
    }

    /// A list starts.
    pub fn list(&mut self) {
        self.digest = Digest::default();
        self.unsure = false;
    }

    /// The list is whole.
    pub fn listed(&self, version: u64) {
        if self.audited {
            let mut seen = self.status.seen();
            seen.listed(self.digest, version);
            if self.unsure {
                seen.missed();
            }
        }
    }

    /// An object came or went; `listed` if that was with a list.
    pub fn see(&mut self, kind: EventKind, object: &Peek<'_>, listed: bool) {
        let uid = &*object.uid;
        if self.asked.as_ref().is_some_and(|asked| !uid.is_empty() && !asked.contains_uid(uid)) {
            self.asked = None;
            self.status.filtered.store(false, Ordering::Relaxed);
            if self.audited {
                self.status.seen().trust();
            }
        }
        if !self.audited || kind == EventKind::Modified {
            return;
        }
        if uid.is_empty() {
            return self.miss(listed);
        }
        // The digest is of this hash alone.
        let hashes = Hashes { xxhash64: Hasher::XxHash64.hash(uid), ..Hashes::default() };
        let added = kind == EventKind::Added;
        match (listed, added) {
            (true, true) => self.digest.add(hashes),
            (true, false) => self.digest.remove(hashes),
            (false, _) => self.status.seen().changed(number(&object.version), hashes, added),
        }
    }

    /// Something could not be seen, of a list or by itself.
    pub fn miss(&mut self, listed: bool) {
        if listed {
            self.unsure = true;
        } else if self.audited {
            self.status.seen().missed();
        }
    }
}
