//! Instructions of an event by kind, counted by valgrind: `scripts/count-instructions`.
//!
//! `cargo bench --bench events -- pods update 20` handles 20 events of pods in [`measured`], which valgrind observes. Without
//! arguments, 10 events of each sort of each kind.

#![allow(clippy::expect_used, reason = "a bench may panic")]

#[path = "common/mod.rs"]
mod common;

use common::events::{Events, KINDS, What};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let chosen = |name: &str, place: usize| arguments.get(place).is_none_or(|chosen| chosen == "all" || chosen == name);
    let number = arguments.get(2).and_then(|number| number.parse().ok()).unwrap_or(10);
    for kind in KINDS.into_iter().filter(|kind| chosen(kind, 0)) {
        let mut events = Events::new(kind);
        for (name, what) in What::ALL.into_iter().filter(|(name, _)| chosen(name, 1)) {
            // The first event of a kind fills tables that are created once.
            let first = events.frames(what, 2);
            events.receive(&first);
            let (frames, before) = (events.frames(what, number), events.counts());
            measured(&mut events, &frames);
            let (applied, foreign) = events.counts();
            let right = if what == What::Foreign { foreign - before.1 } else { applied - before.0 };
            assert_eq!(right, number, "{kind} {name}");
            println!("{kind} {name} {number}");
        }
    }
}

/// Handles the events. valgrind counts its instructions, and dumps the count at its end.
#[inline(never)]
fn measured(events: &mut Events, frames: &[Vec<u8>]) {
    events.receive(frames);
}
