//! The slice that a source should hold, and the slice that it holds. The source shares this state with its owner.
//!
//! Three slices follow each other. The owner sets *desired*. The source widens *watched* to it between two events: it applies
//! watch events of that slice. *Synced* was listed and has been watched without a gap since. A part that is no longer desired
//! leaves all three at once, so it is listed again when it becomes desired again. Makes no requests.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::time::{Instant, sleep_until};

use super::condition::{Condition, PATIENCE, Vitals};
use super::failure::Failure;
use crate::sharding::Slice;
use crate::sync::{lock, watch};

/// How long a watch may be down before its source counts as stale. The first three attempts to resume fall into this time. It
/// covers a broken connection and the restart of an API server; anything longer is an outage.
const GRACE: Duration = Duration::from_secs(5);

/// The slice that a source should hold, and the slice that it holds.
///
/// [`ShardState::visible`] may be exposed. It was synced once and misses nothing known, but during an outage of the API server
/// it grows old. [`ShardState::ready`] may be promised to other replicas: it equals the visible slice while the source
/// is up to date, and is empty otherwise.
#[derive(Debug)]
pub struct ShardState {
    state: Mutex<Inner>,
    watched: ArcSwap<Slice>,
    /// Ticks when the source has work to do.
    wakeups: watch::Sender<()>,
    /// See [`ShardState::changed`].
    changed: watch::Sender<()>,
}

/// A list of the part that the shard gained, made beside the running watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backfill {
    pub id: u64,
    /// The part that it lists.
    pub slice: Slice,
}

#[derive(Debug)]
struct Inner {
    /// A desired slice was set; see [`ShardState::unassigned`].
    assigned: bool,
    desired: Slice,
    synced: Slice,
    /// The slice of the running full list.
    listing: Slice,
    backfill: Option<Backfill>,
    backfills_begun: u64,
    /// A full list is complete, and a watch continues from it or is being resumed.
    following: bool,
    /// The watch is open, or was open a moment ago.
    live: bool,
    /// When the watch ended, until it is open again.
    lost: Option<Instant>,
    /// The server refuses the resource, so there are no objects to hold.
    refused: bool,
    /// The owner waits for this source no longer; see [`ShardState::set_degraded`].
    degraded: bool,
    vitals: Vitals,
    visible: Arc<Slice>,
}

impl ShardState {
    /// A shard of which nothing is synced yet.
    pub fn new(desired: Slice) -> Self {
        Self {
            watched: ArcSwap::from_pointee(desired.clone()),
            state: Mutex::new(Inner {
                assigned: true,
                desired,
                synced: Slice::none(),
                listing: Slice::none(),
                backfill: None,
                backfills_begun: 0,
                following: false,
                live: false,
                lost: None,
                refused: false,
                degraded: false,
                vitals: Vitals::default(),
                visible: Arc::default(),
            }),
            wakeups: watch::Sender::new(()),
            changed: watch::Sender::new(()),
        }
    }

    /// A shard without a desired slice. Its source sends no request before one is set, so that it does not list everything in
    /// vain.
    pub fn unassigned() -> Self {
        let shard = Self::new(Slice::none());
        shard.state().assigned = false;
        shard
    }

    /// Sends change notifications to `changed`, so that one receiver can follow many sources.
    #[must_use]
    pub fn notifying(self, changed: watch::Sender<()>) -> Self {
        Self { changed, ..self }
    }

    /// Waits until a desired slice is set.
    pub(super) async fn until_assigned(&self) {
        let mut wakeups = self.wakeups();
        while !self.state().assigned {
            // The sender lives as long as we do, so this never fails.
            let _ = wakeups.changed().await;
        }
    }

    /// Sets the slice to hold. The source loads the new part; the rest leaves the watched and the visible slice at once.
    pub fn set_desired(&self, desired: Slice) {
        if self.state().desired == desired {
            return;
        }
        self.update(|state| {
            let watched = self.watched.load();
            self.watched.store(Arc::new(watched.intersection(&desired)));
            state.synced = state.synced.intersection(&desired);
            state.listing = state.listing.intersection(&desired);
            if state.backfill.as_ref().is_some_and(|backfill| !desired.covers(&backfill.slice)) {
                state.backfill = None;
            }
            state.assigned |= !desired.is_empty();
            state.desired = desired;
        });
    }

    /// Returns the slice to hold.
    pub fn desired(&self) -> Slice {
        self.state().desired.clone()
    }

    /// Returns the slice that may be exposed: it was synced once, and every change received since is applied. While the API
    /// server refuses the resource, the desired slice, because there is nothing to expose. While a degraded source fails, also the
    /// desired slice: the objects that it holds are better than none.
    pub fn visible(&self) -> Arc<Slice> {
        Arc::clone(&self.state().visible)
    }

    /// Whether the source is up to date: its watch is open or is being resumed within seconds. Also whether nothing waits for it:
    /// the API server refuses the resource, or the source is degraded and fails.
    pub fn is_live(&self) -> bool {
        self.state().is_live()
    }

    /// Whether the API server refuses the resource, so there are no objects to hold.
    pub fn is_refused(&self) -> bool {
        self.state().refused
    }

    /// Sets whether the source is degraded: it has failed for so long that nothing waits for it until it succeeds. From its first
    /// success on, it is waited for as any other. It stays degraded for a while, and is exempt again at its next failure.
    pub fn set_degraded(&self, degraded: bool) {
        self.note(|state| state.degraded = degraded);
    }

    /// Returns whether the requests of the source succeed.
    pub fn vitals(&self) -> Vitals {
        self.state().vitals.clone()
    }

    /// Returns the slice that may be promised to other replicas: the visible slice while the source is live, otherwise none.
    pub fn ready(&self) -> Arc<Slice> {
        let state = self.state();
        if state.is_live() { Arc::clone(&state.visible) } else { Arc::default() }
    }

    /// Ticks whenever [`ShardState::visible`], [`ShardState::is_live`] or the condition of [`ShardState::vitals`] changes, and at
    /// each failure.
    pub fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Returns the slice whose watch events are applied.
    pub(super) fn watched(&self) -> arc_swap::Guard<Arc<Slice>> {
        self.watched.load()
    }

    /// Ticks when the source has work to do.
    pub(super) fn wakeups(&self) -> watch::Receiver<()> {
        self.wakeups.subscribe()
    }

    /// Begins a full list and returns its slice, the desired one. Cancels the backfill, which it replaces.
    pub(super) fn begin_list(&self) -> Slice {
        self.update(|state| {
            state.abandon();
            state.listing = state.desired.clone();
            self.watched.store(Arc::new(state.desired.clone()));
            state.desired.clone()
        })
    }

    /// The full list is complete, and a watch continues from it.
    pub(super) fn finish_list(&self) {
        self.update(|state| {
            state.synced = std::mem::take(&mut state.listing);
            state.following = true;
            state.found();
        });
    }

    /// The known objects are void; the source will relist.
    pub(super) fn invalidate(&self) {
        self.update(Inner::abandon);
    }

    /// Nothing is desired, so nothing is watched.
    pub(super) fn idle(&self) {
        self.update(|state| {
            state.abandon();
            state.synced = Slice::none();
            state.live = true;
        });
    }

    /// Extends the watched slice to the desired one, which it returns.
    pub(super) fn widen(&self) -> Slice {
        let desired = self.desired();
        if **self.watched.load() == desired {
            return desired;
        }
        self.update(|state| {
            self.watched.store(Arc::new(state.desired.clone()));
            state.desired.clone()
        })
    }

    pub(super) fn watch_opened(&self) {
        self.update(Inner::found);
    }

    /// The watch ended, with or without an error.
    pub(super) fn watch_ended(&self) {
        self.update(|state| {
            state.lost.get_or_insert_with(Instant::now);
        });
    }

    /// The server refused the resource.
    pub(super) fn refused(&self, failure: &Failure) {
        self.update(|state| {
            state.refused = true;
            state.vitals.keep(failure);
        });
    }

    /// A list, a backfill or a watch failed.
    pub(super) fn failed(&self, failure: &Failure) {
        self.note(|state| state.vitals.failed(failure));
    }

    /// An answer has not arrived for [`PATIENCE`].
    pub(super) fn stalled(&self) {
        self.failed(&Failure::Silent(PATIENCE));
    }

    /// Data arrived.
    pub(super) fn heard(&self) {
        self.state().vitals.heard = Some(Instant::now());
    }

    /// Data of a list arrived.
    pub(super) fn progressed(&self) {
        self.heard();
        if self.state().vitals.condition == Condition::Failing {
            self.note(|state| state.vitals.progressed());
        }
    }

    /// Returns the slice that was listed and is kept up to date by the watch.
    pub(super) fn synced(&self) -> Slice {
        self.state().synced.clone()
    }

    /// Begins a backfill of the slice that is watched but not synced, if there is one.
    pub(super) fn begin_backfill(&self) -> Option<Backfill> {
        let mut state = self.state();
        if !state.following || !state.live || state.refused {
            return None;
        }
        let slice = self.watched.load().minus(&state.synced);
        if slice.is_empty() {
            return None;
        }
        state.backfills_begun += 1;
        let backfill = Backfill { id: state.backfills_begun, slice };
        state.backfill = Some(backfill.clone());
        Some(backfill)
    }

    /// Whether a backfill was not cancelled or replaced.
    pub(super) fn is_current(&self, backfill: &Backfill) -> bool {
        self.state().backfill.as_ref().is_some_and(|b| b.id == backfill.id)
    }

    /// The backfill is complete.
    pub(super) fn finish_backfill(&self, backfill: &Backfill) {
        self.update(|state| {
            if let Some(backfill) = state.backfill.take_if(|b| b.id == backfill.id) {
                state.synced = state.synced.union(&backfill.slice);
            }
        });
    }

    /// Marks the source as stale when its watch stays down for longer than [`GRACE`].
    pub(super) async fn grow_stale(&self) -> std::convert::Infallible {
        let mut wakeups = self.wakeups();
        loop {
            wakeups.mark_unchanged();
            let lost = {
                let state = self.state();
                state.lost.filter(|_| state.live)
            };
            let Some(lost) = lost else {
                // The sender lives as long as we do, so this never fails.
                let _ = wakeups.changed().await;
                continue;
            };
            tokio::select! {
                biased;
                () = sleep_until(lost + GRACE) => self.update(|state| {
                    state.live = false;
                    state.backfill = None;
                }),
                _ = wakeups.changed() => {}
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, Inner> {
        // Every change leaves the state consistent before anything in it could panic.
        lock(&self.state)
    }

    /// Changes the state and notifies the source, and the owner if something changed that it can see.
    fn update<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let result = self.note(change);
        self.wakeups.send_replace(());
        result
    }

    /// Like [`ShardState::update`], for a change that gives the source no work.
    fn note<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let mut state = self.state();
        let before = (state.is_live(), state.vitals.condition, state.vitals.failures);
        let result = change(&mut state);
        if state.is_whole() {
            state.vitals.condition = Condition::Fine;
        }
        let visible = if state.is_exempt() { &state.desired } else { &state.synced };
        let mut notify = before != (state.is_live(), state.vitals.condition, state.vitals.failures);
        if *state.visible != *visible {
            state.visible = Arc::new(visible.clone());
            notify = true;
        }
        drop(state);
        if notify {
            self.changed.send_replace(());
        }
        result
    }
}

impl Inner {
    const fn is_live(&self) -> bool {
        self.live || self.is_exempt()
    }

    /// Whether nothing waits for the source.
    const fn is_exempt(&self) -> bool {
        self.refused || (self.degraded && !matches!(self.vitals.condition, Condition::Fine))
    }

    /// Whether the source holds its desired slice up to date, or has nothing to hold.
    fn is_whole(&self) -> bool {
        self.refused || (self.live && self.lost.is_none() && self.synced.covers(&self.desired))
    }

    /// The known objects are no longer kept up to date.
    fn abandon(&mut self) {
        self.backfill = None;
        self.following = false;
        self.live = false;
        self.lost = None;
    }

    /// The watch is open.
    const fn found(&mut self) {
        self.live = true;
        self.lost = None;
        self.refused = false;
    }
}
