//! Seeded faults: each breaks one rule of a replica, and the simulation has to find that.
//!
//! A fault sits between two parts of a replica, and changes what one of them hears from the other, as if that one did not follow
//! the rule. The parts have no code for it. A fault that no seed finds shows a hole in the simulation.
//!
//! That a replica ignores the expiry of its assignment is left to the model of the handover (`an_ignored_pause_is_found`), which checks
//! the first scrape after a pause. In the simulation a replica hears within a second what others took.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::fleet::{FleetHandle, ShardLoader};
use crate::intake::{DecodeError, Item, Sink};
use crate::sharding::Slice;
use crate::sync::{lock, watch};

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeded {
    /// A gained range is taken for loaded, but its backfill delivers nothing.
    BackfillSkipped,
    /// A watch is widened to a gained range only when its backfill is complete: changes in between are lost.
    WidenedLate,
    /// The store does not remember deletions while a backfill is open: an older list brings the object back.
    DeletionForgotten,
    /// A relist of an API server that went back does not replace the state of objects by an older one.
    RestoreUnnoticed,
    /// Objects count as loaded as soon as they are to be loaded.
    LoadedTooEarly,
    /// Replica 0 switches two seconds after the others.
    SwitchLate,
}

/// How late a replica switches.
const LATE: Duration = Duration::from_secs(2);

thread_local!(static SEEDED: Cell<Option<Seeded>> = const { Cell::new(None) });

/// Seeds a fault into the replicas that start on this thread.
pub fn seed(seeded: Option<Seeded>) {
    SEEDED.set(seeded);
}

fn is_seeded(seeded: Seeded) -> bool {
    SEEDED.get() == Some(seeded)
}

/// Returns what the two sinks of a source seem to be: that of its list and watch, and that of its backfills.
pub fn sinks(sinks: [Box<dyn Sink>; 2]) -> [Box<dyn Sink>; 2] {
    let Some(seeded) = SEEDED.get() else { return sinks };
    let open = Arc::new(Mutex::new(Open::default()));
    let [sink, of_backfills] = sinks;
    let distorted = |sink, is_of_backfills| -> Box<dyn Sink> {
        Box::new(Distorted { sink, is_of_backfills, seeded, open: Arc::clone(&open) })
    };
    [distorted(sink, false), distorted(of_backfills, true)]
}

/// The running backfill of a source.
#[derive(Default)]
struct Open {
    slice: Slice,
    /// The objects that were deleted meanwhile, and the versions of their deletions.
    deleted: BTreeMap<String, u64>,
}

/// A sink that does not receive everything.
struct Distorted {
    sink: Box<dyn Sink>,
    is_of_backfills: bool,
    seeded: Seeded,
    open: Arc<Mutex<Open>>,
}

impl Distorted {
    /// Whether the watch is not widened to an object yet.
    fn is_missed(&self, uid: &str) -> bool {
        self.seeded == Seeded::WidenedLate && !self.is_of_backfills && lock(&self.open).slice.contains_uid(uid)
    }

    fn begin_backfill(&self, slice: &Slice) {
        if self.is_of_backfills {
            *lock(&self.open) = Open { slice: slice.clone(), ..Open::default() };
        }
    }
}

impl Sink for Distorted {
    fn init(&mut self, slice: &Slice) {
        self.begin_backfill(slice);
        self.sink.init(slice);
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        if self.is_missed(item.uid) || self.is_of_backfills && self.seeded == Seeded::BackfillSkipped {
            return Ok(());
        }
        let deleted = lock(&self.open).deleted.get(item.uid).copied();
        match deleted.filter(|_| self.is_of_backfills && self.seeded == Seeded::DeletionForgotten) {
            // As new as it has to be to come back.
            Some(version) => self.sink.apply(&Item { version: version + 1, ..*item }),
            None => self.sink.apply(item),
        }
    }

    fn keep(&mut self, uid: &str) {
        self.sink.keep(uid);
    }

    fn give_up(&mut self) {
        self.begin_backfill(&Slice::none());
        self.sink.give_up();
    }

    fn rewind(&mut self) {
        if self.seeded != Seeded::RestoreUnnoticed {
            self.sink.rewind();
        }
    }

    fn delete(&mut self, uid: &str, version: u64) {
        if self.is_missed(uid) {
            return;
        }
        let mut open = lock(&self.open);
        if open.slice.contains_uid(uid) {
            open.deleted.insert(uid.to_owned(), version);
        }
        drop(open);
        self.sink.delete(uid, version);
    }

    fn wants_foreign(&self) -> bool {
        self.sink.wants_foreign()
    }

    fn foreign(&mut self, namespace: &str, name: &str) {
        self.sink.foreign(namespace, name);
    }

    fn init_done(&mut self, version: u64) {
        self.begin_backfill(&Slice::none());
        self.sink.init_done(version);
    }
}

/// Returns what loads the objects of a replica, as it seems to the fleet.
pub fn loader(loader: Arc<dyn ShardLoader>) -> Arc<dyn ShardLoader> {
    if is_seeded(Seeded::LoadedTooEarly) { Arc::new(Hasty { loader, desired: Mutex::default() }) } else { loader }
}

/// A loader that has loaded everything at once.
struct Hasty {
    loader: Arc<dyn ShardLoader>,
    desired: Mutex<Slice>,
}

impl ShardLoader for Hasty {
    fn set_desired(&self, slice: &Slice) {
        lock(&self.desired).clone_from(slice);
        self.loader.set_desired(slice);
    }

    fn ready(&self) -> Slice {
        lock(&self.desired).clone()
    }

    fn changed(&self) -> watch::Receiver<()> {
        self.loader.changed()
    }
}

/// What a replica has exposed, and since when (boot time).
#[derive(Default)]
pub struct Exposures(Mutex<Vec<(Duration, Option<Arc<Slice>>)>>);

impl Exposures {
    /// Returns what a replica seems to expose.
    pub fn of(&self, member: &FleetHandle, boot: Duration) -> Option<Arc<Slice>> {
        if !is_seeded(Seeded::SwitchLate) || member.snapshot().ordinal != Some(0) {
            return member.exposed();
        }
        let mut shown = lock(&self.0);
        shown.push((boot, member.exposed()));
        let late = shown.iter().rev().find(|(at, _)| *at + LATE <= boot).or(shown.first());
        late.and_then(|(_, exposed)| exposed.clone())
    }
}
