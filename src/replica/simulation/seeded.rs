//! Seeded faults: each breaks one rule of a replica, and the simulation has to find that.
//!
//! A fault sits between two parts of a replica, and changes what one of them hears from the other, as if that one did not follow
//! the rule. The parts have no code for it. A fault that no seed finds shows a hole in the simulation.

use std::cell::Cell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{SEEDS, finds};
use crate::fleet::FleetHandle;
use crate::intake::{DecodeError, Item, Sink};
use crate::sharding::Slice;
use crate::sync::lock;

/// A broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seeded {
    /// A gained range is taken for loaded, but its backfill delivers nothing.
    BackfillSkipped,
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
pub fn sinks([sink, of_backfills]: [Box<dyn Sink>; 2]) -> [Box<dyn Sink>; 2] {
    [sink, if is_seeded(Seeded::BackfillSkipped) { Box::new(Empty(of_backfills)) } else { of_backfills }]
}

/// A sink whose lists contain nothing.
struct Empty(Box<dyn Sink>);

impl Sink for Empty {
    fn init(&mut self, slice: &Slice) {
        self.0.init(slice);
    }

    fn apply(&mut self, _: &Item<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn give_up(&mut self) {
        self.0.give_up();
    }

    fn rewind(&mut self) {
        self.0.rewind();
    }

    fn delete(&mut self, uid: &str, version: u64) {
        self.0.delete(uid, version);
    }

    fn init_done(&mut self, version: u64) {
        self.0.init_done(version);
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

macro_rules! found {
    ($($test:ident: $fault:ident, for example by $example:literal;)*) => {
        $(
            /// The example is the seed to begin with. If it does not find the fault any more, another one of the first seeds has to.
            #[test]
            fn $test() {
                let seed = [$example].into_iter().chain(0..SEEDS).find(|seed| finds(*seed, Seeded::$fault));
                println!("{:?}: seed {seed:?}", Seeded::$fault);
                assert!(seed.is_some(), "none of {SEEDS} seeds finds {:?}", Seeded::$fault);
            }
        )*
    };
}

found! {
    a_backfill_that_is_skipped_is_found: BackfillSkipped, for example by 3;
    a_replica_that_switches_late_is_found: SwitchLate, for example by 1;
}
