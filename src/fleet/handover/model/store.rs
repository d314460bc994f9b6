//! What the API server stores, and the ways in which it loses that.

use super::super::Event;
use super::{Entry, Form, World};
use crate::fleet::FormatError;
use crate::fleet::record::Member;

/// How far back (writes) a single object goes at most.
pub(super) const MOST_WRITES_BACK: usize = 12;

/// What happens to one stored object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum Loss {
    /// An older value returns, this many writes before.
    Back(usize),
    Deleted,
    Unlabelled,
    Damaged,
}

impl World {
    pub(super) fn commit(&mut self, entry: Entry) {
        match &entry {
            Entry::Lease(member) => {
                self.hidden.remove(&member.id.ordinal);
                self.leases.insert(member.id.ordinal, member.clone());
            }
            Entry::LeaseGone(ordinal) | Entry::LeaseDamaged(ordinal) => {
                self.hidden.remove(ordinal);
                self.leases.remove(ordinal);
            }
            Entry::LeaseHidden(ordinal) => drop(self.hidden.insert(*ordinal)),
            Entry::Record(record) => (self.record, self.form) = (Some(record.clone()), Form::Good),
            Entry::RecordGone => self.form = Form::Gone,
            Entry::RecordDamaged => self.form = Form::Damaged,
            Entry::RecordUnreadable => self.form = Form::Unreadable,
            Entry::RecordHidden => self.form = Form::Hidden,
        }
        self.log.push((self.now, entry));
        if self.log.last().is_some_and(|(_, entry)| entry.is_of_record()) {
            self.record_at = self.log.len();
            self.record_writes += 1;
        }
    }

    /// Loses the record.
    pub(super) fn lose_record(&mut self, loss: Loss) {
        let entry = match loss {
            _ if self.form != Form::Good => return,
            Loss::Back(writes) => {
                let records = self.log.iter().rev().filter(|(_, entry)| matches!(entry, Entry::Record(_)));
                let Some((_, old)) = records.take(writes + 1).last() else { return };
                old.clone()
            }
            Loss::Deleted => Entry::RecordGone,
            Loss::Unlabelled => Entry::RecordHidden,
            Loss::Damaged => Entry::RecordDamaged,
        };
        self.commit(entry);
    }

    /// Loses the Lease of an ordinal.
    pub(super) fn lose_lease(&mut self, ordinal: u32, loss: Loss) {
        let is_of = |entry: &Entry| matches!(entry, Entry::Lease(member) if member.id.ordinal == ordinal);
        let entry = match loss {
            _ if !self.leases.contains_key(&ordinal) => return,
            Loss::Back(writes) => {
                let writes = self.log.iter().rev().filter(|(_, entry)| is_of(entry)).take(writes + 1);
                let Some((_, old)) = writes.last() else { return };
                old.clone()
            }
            Loss::Deleted => Entry::LeaseGone(ordinal),
            Loss::Unlabelled => Entry::LeaseHidden(ordinal),
            Loss::Damaged => Entry::LeaseDamaged(ordinal),
        };
        self.commit(entry);
    }

    /// Restores all Leases and the record as they were at a time.
    pub(super) fn restore(&mut self, to: u64) {
        let ordinals: Vec<u32> = self.leases.keys().copied().collect();
        let old: Vec<Entry> = self.log.iter().take_while(|(at, _)| *at <= to).map(|(_, entry)| entry.clone()).collect();
        let last = |wanted: &dyn Fn(&Entry) -> bool| old.iter().rev().find(|entry| wanted(entry)).cloned();
        let leases = (0..8).filter_map(|ordinal| {
            let lease = last(&|entry| entry.lease_of() == Some(ordinal));
            lease.or_else(|| ordinals.contains(&ordinal).then_some(Entry::LeaseGone(ordinal)))
        });
        let record = last(&Entry::is_of_record).unwrap_or(Entry::RecordGone);
        for entry in leases.chain([record]) {
            self.commit(entry);
        }
    }

    /// Returns the readable statement in the Lease of an ordinal, as a list shows it.
    pub(super) fn listed_lease(&self, ordinal: u32) -> Option<&Member> {
        self.leases.get(&ordinal).filter(|_| !self.hidden.contains(&ordinal))
    }

    /// What a list shows of the record.
    pub(super) fn record_event(&self) -> Event {
        match (self.form, &self.record) {
            (Form::Good, Some(record)) => Event::Record(record.clone()),
            (Form::Damaged, _) => Event::DamagedRecord,
            (Form::Unreadable, _) => Event::UnreadableRecord(unknown_version()),
            _ => Event::NoRecord,
        }
    }
}

impl Entry {
    pub(super) const fn is_of_record(&self) -> bool {
        self.lease_of().is_none()
    }

    /// Returns whose Lease changes.
    pub(super) const fn lease_of(&self) -> Option<u32> {
        match self {
            Self::Lease(member) => Some(member.id.ordinal),
            Self::LeaseGone(ordinal) | Self::LeaseDamaged(ordinal) | Self::LeaseHidden(ordinal) => Some(*ordinal),
            _ => None,
        }
    }

    /// What a watch of the fleet's Leases delivers; `None` for a Lease without a readable statement.
    pub(super) fn event(&self) -> Option<Event> {
        Some(match self {
            Self::Lease(member) => Event::Lease(member.clone()),
            Self::LeaseGone(ordinal) | Self::LeaseHidden(ordinal) => Event::LeaseGone(*ordinal),
            Self::LeaseDamaged(_) => return None,
            Self::Record(record) => Event::Record(record.clone()),
            Self::RecordGone | Self::RecordHidden => Event::NoRecord,
            Self::RecordDamaged => Event::DamagedRecord,
            Self::RecordUnreadable => Event::UnreadableRecord(unknown_version()),
        })
    }
}

fn unknown_version() -> FormatError {
    let [found, known, writer] = ["2", "1", "9.9.9"].map(str::to_owned);
    FormatError::Unknown { what: "record version", found, known, writer }
}
