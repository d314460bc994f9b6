//! What opt-in settings cost: `scripts/count-instructions --options` counts the instructions of their events with valgrind.
//!
//! `cargo bench --bench options` prints, for each setting, the allocations and allocated bytes of an update, and the memory that an
//! object holds. `cargo bench --bench options -- evictions update 20` handles 20 events in [`measured`], which valgrind observes.

#![allow(clippy::expect_used, reason = "a bench may panic")]

#[path = "common/mod.rs"]
mod common;

use allocation_counter::measure;

use common::events::{Events, What};
use common::options::ALL;

/// Number of objects whose memory is measured.
const OBJECTS: u32 = 2_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [name, event, number] = &arguments[..] {
        let choice = ALL.into_iter().find(|choice| choice.name == name).expect("a setting has this name");
        let what = What::ALL.into_iter().find(|(name, _)| name == event).expect("an event has this name").1;
        let number = number.parse().expect("a number");
        let mut events = choice.page();
        prepare(&mut events, what);
        let (frames, before) = (events.frames(what, number), events.counts());
        measured(&mut events, &frames);
        let (applied, foreign) = events.counts();
        let handled = if what == What::Foreign { foreign - before.1 } else { applied - before.0 };
        assert_eq!(handled, number, "{name} {event}");
        return;
    }
    const NUMBER: u64 = 20;
    println!("setting\tallocations\tallocated\theld");
    for choice in ALL {
        let mut events = choice.page();
        prepare(&mut events, What::Update);
        let frames = events.frames(What::Update, NUMBER);
        let update = measure(|| events.receive(&frames));
        let mut filled = None;
        let held = measure(|| filled = Some(choice.filled(OBJECTS))).bytes_current / i64::from(OBJECTS);
        println!("{}\t{}\t{}\t{held}", choice.name, update.count_total / NUMBER, update.bytes_total / NUMBER);
    }
}

/// Handles the first events, which fill tables that are created once.
fn prepare(events: &mut Events, what: What) {
    let first = events.frames(what, 2);
    events.receive(&first);
}

/// Handles the events. valgrind counts its instructions, and dumps the count at its end.
#[inline(never)]
fn measured(events: &mut Events, frames: &[Vec<u8>]) {
    events.receive(frames);
}
