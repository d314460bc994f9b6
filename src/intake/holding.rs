//! What a source is to hold and what it does hold: the one thing that it shares with whoever decides about it.
//!
//! Three slices follow each other: *wanted* is asked for; *kept* is what the watch hands over of it, widened by the source
//! itself, between two events; *whole* is what has been listed and watched without a gap since. Whatever is no longer wanted
//! leaves all three at once, so that what is wanted again later is listed again. Knows no requests.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::sharding::Slice;
use crate::sync::lock;

/// So long may a watch be lost before the source no longer counts as up to date. The first three tries to resume it fall
/// into this time, which is enough for a connection that broke and for an API server that gives way to another; what takes
/// longer is an outage.
const GRACE: Duration = Duration::from_secs(5);

/// What a source is to hold, and what it does hold.
///
/// [`Holding::loaded`] is what may be exposed: it was whole once and nothing of it is known to be missing, though it may be
/// as old as an outage of the API server. [`Holding::prepared`] is what may be promised to others: the same while the
/// source is up to date, else nothing.
#[derive(Debug)]
pub struct Holding {
    state: Mutex<State>,
    /// What the watch hands over.
    kept: ArcSwap<Slice>,
    /// Ticks when the source has something to do.
    stirred: watch::Sender<()>,
    /// Ticks when [`Holding::loaded`] or [`Holding::is_live`] changes.
    changed: watch::Sender<()>,
}

/// A list of its own for what was gained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gain {
    /// Its number.
    pub turn: u64,
    /// What it lists.
    pub slice: Slice,
}

#[derive(Debug)]
struct State {
    /// Something has been wanted; see [`Holding::undecided`].
    decided: bool,
    wanted: Slice,
    whole: Slice,
    /// What the list speaks for that the source itself is making.
    listing: Slice,
    /// What is listed aside.
    gain: Option<Gain>,
    turn: u64,
    /// A list was whole, and the watch goes on from it, or is being resumed.
    following: bool,
    /// The watch is there, or was a moment ago.
    live: bool,
    /// Since when the watch is gone.
    lost: Option<Instant>,
    /// The server refuses the resource: there is nothing to hold.
    refused: bool,
    /// As of the last change.
    loaded: Arc<Slice>,
}

impl Holding {
    /// Nothing is loaded yet.
    pub fn new(wanted: Slice) -> Self {
        Self {
            kept: ArcSwap::from_pointee(wanted.clone()),
            state: Mutex::new(State {
                decided: true,
                wanted,
                whole: Slice::none(),
                listing: Slice::none(),
                gain: None,
                turn: 0,
                following: false,
                live: false,
                lost: None,
                refused: false,
                loaded: Arc::default(),
            }),
            stirred: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        }
    }

    /// A source that does not know yet what it is to hold: it asks for nothing before something is wanted, or it would list
    /// all for nothing.
    pub fn undecided() -> Self {
        let holding = Self::new(Slice::none());
        holding.state().decided = false;
        holding
    }

    /// The same, whose changes tick elsewhere: one receiver for many sources.
    #[must_use]
    pub fn telling(self, changed: watch::Sender<()>) -> Self {
        Self { changed, ..self }
    }

    /// Waits until it is known what to hold.
    pub(super) async fn decision(&self) {
        let mut stirred = self.stirred();
        while !self.state().decided {
            // The sender lives as long as we do, so this never fails.
            let _ = stirred.changed().await;
        }
    }

    /// From now on, this is to be held: what is new is loaded, what is no longer wanted is neither handed over nor loaded
    /// any more.
    pub fn want(&self, wanted: Slice) {
        if self.state().wanted == wanted {
            return;
        }
        self.update(|state| {
            let kept = self.kept.load();
            self.kept.store(Arc::new(kept.intersection(&wanted)));
            state.whole = state.whole.intersection(&wanted);
            state.listing = state.listing.intersection(&wanted);
            if state.gain.as_ref().is_some_and(|gain| !wanted.covers(&gain.slice)) {
                state.gain = None;
            }
            state.decided |= !wanted.is_empty();
            state.wanted = wanted;
        });
    }

    /// What is to be held.
    pub fn wanted(&self) -> Slice {
        self.state().wanted.clone()
    }

    /// What may be exposed: it was loaded whole, and every change that reached us since is in it. All that is wanted while
    /// the API server refuses the resource, since there is nothing to serve.
    pub fn loaded(&self) -> Arc<Slice> {
        Arc::clone(&self.state().loaded)
    }

    /// Whether the source is up to date: its watch is there, or is being resumed within seconds; or the API server refuses
    /// the resource.
    pub fn is_live(&self) -> bool {
        self.state().is_live()
    }

    /// Whether the API server refuses the resource: there is nothing to hold.
    pub fn is_refused(&self) -> bool {
        self.state().refused
    }

    /// What may be promised to others: what is loaded while the source is live, else nothing.
    pub fn prepared(&self) -> Arc<Slice> {
        let state = self.state();
        if state.is_live() { Arc::clone(&state.loaded) } else { Arc::default() }
    }

    /// Ticks whenever [`Holding::loaded`] or [`Holding::is_live`] changes.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// What the watch hands over.
    pub(super) fn kept(&self) -> arc_swap::Guard<Arc<Slice>> {
        self.kept.load()
    }

    /// Ticks when there is something to do for the source.
    pub(super) fn stirred(&self) -> watch::Receiver<()> {
        self.stirred.subscribe()
    }

    /// The source lists all that is wanted, which is returned; a list aside would only be in its way.
    pub(super) fn list_begins(&self) -> Slice {
        self.update(|state| {
            state.abandon();
            state.listing = state.wanted.clone();
            self.kept.store(Arc::new(state.wanted.clone()));
            state.wanted.clone()
        })
    }

    /// That list is whole, and a watch goes on from it.
    pub(super) fn list_ended(&self) {
        self.update(|state| {
            state.whole = std::mem::take(&mut state.listing);
            state.following = true;
            state.found();
        });
    }

    /// What the source knew is void; it will list again.
    pub(super) fn list_needed(&self) {
        self.update(State::abandon);
    }

    /// Nothing is wanted, and nothing watched for it.
    pub(super) fn rests(&self) {
        self.update(|state| {
            state.abandon();
            state.whole = Slice::none();
            state.live = true;
        });
    }

    /// From here on the watch hands over all that is wanted, which is returned.
    pub(super) fn widen(&self) -> Slice {
        let wanted = self.wanted();
        if **self.kept.load() == wanted {
            return wanted;
        }
        self.update(|state| {
            self.kept.store(Arc::new(state.wanted.clone()));
            state.wanted.clone()
        })
    }

    /// The watch was opened.
    pub(super) fn watch_opened(&self) {
        self.update(State::found);
    }

    /// The watch ended, however it did.
    pub(super) fn watch_ended(&self) {
        self.update(|state| {
            state.lost.get_or_insert_with(Instant::now);
        });
    }

    /// The server refuses the resource.
    pub(super) fn refused(&self) {
        self.update(|state| state.refused = true);
    }

    /// What was listed, and is kept up to date by the watch.
    pub(super) fn whole(&self) -> Slice {
        self.state().whole.clone()
    }

    /// What is to be listed aside now, if anything: what the watch hands over and no list has brought.
    pub(super) fn begin_gain(&self) -> Option<Gain> {
        let mut state = self.state();
        if !state.following || !state.live || state.refused {
            return None;
        }
        let slice = self.kept.load().minus(&state.whole);
        if slice.is_empty() {
            return None;
        }
        state.turn += 1;
        let gain = Gain { turn: state.turn, slice };
        state.gain = Some(gain.clone());
        Some(gain)
    }

    /// Whether a list aside is still of use.
    pub(super) fn is_gaining(&self, gain: &Gain) -> bool {
        self.state().gain.as_ref().is_some_and(|g| g.turn == gain.turn)
    }

    /// A list aside is whole.
    pub(super) fn gained(&self, gain: &Gain) {
        self.update(|state| {
            if let Some(gain) = state.gain.take_if(|g| g.turn == gain.turn) {
                state.whole = state.whole.union(&gain.slice);
            }
        });
    }

    /// Says, as time goes by, that a lost watch was not found again.
    pub(super) async fn grow_stale(&self) -> std::convert::Infallible {
        let mut stirred = self.stirred();
        loop {
            stirred.mark_unchanged();
            let lost = {
                let state = self.state();
                state.lost.filter(|_| state.live)
            };
            let Some(lost) = lost else {
                // The sender lives as long as we do, so this never fails.
                let _ = stirred.changed().await;
                continue;
            };
            tokio::select! {
                _ = stirred.changed() => {}
                () = sleep_until(lost + GRACE) => self.update(|state| {
                    state.live = false;
                    state.gain = None;
                }),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change leaves the state in order before anything in it could panic.
        lock(&self.state)
    }

    /// Changes the state and tells whom it concerns.
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let live = state.is_live();
        let result = change(&mut state);
        let loaded = if state.refused { &state.wanted } else { &state.whole };
        let mut tell = live != state.is_live();
        if *state.loaded != *loaded {
            state.loaded = Arc::new(loaded.clone());
            tell = true;
        }
        drop(state);
        self.stirred.send_replace(());
        if tell {
            self.changed.send_replace(());
        }
        result
    }
}

impl State {
    const fn is_live(&self) -> bool {
        self.live || self.refused
    }

    /// What is known is not kept up to date.
    fn abandon(&mut self) {
        self.gain = None;
        self.following = false;
        self.live = false;
        self.lost = None;
    }

    /// The API server tells us what happens.
    const fn found(&mut self) {
        self.live = true;
        self.lost = None;
        self.refused = false;
    }
}
