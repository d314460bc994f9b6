//! A watch: the initial state if requested, then every change, bookmarks, and the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::Value;
use tokio::time::{Instant, Interval, interval_at, sleep_until};

use super::body::{Body, Broken, cut};
use super::error::ApiError;
use super::forms::{Form, Writer, event_line, to_bytes};
use super::objects::{Event, Fate, Object, State, at_version};
use super::paths::Query;
use super::select::Scope;
use super::shared::Shared;
use crate::sync::watch::Receiver;

/// Bytes that may be written ahead of the client. The bound makes a slow client fall behind the
/// history instead of filling memory.
const CHUNK: usize = 64 * 1024;

/// Counts the open watches of a resource.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Watcher {
    shared: Arc<Shared>,
    table: usize,
    scope: Scope,
    writer: Writer,
    /// Unsent objects of the initial state, in reverse order.
    initial: Vec<Object>,
    /// The version at which the initial state ends, if the client requested that bookmark.
    initial_end: Option<u64>,
    /// The next event to read.
    next: u64,
    /// Number of fates at the last check.
    fates: u64,
    changed: Receiver<()>,
    deadline: Option<Instant>,
    bookmarks: Option<Interval>,
    /// Nothing more is sent.
    silent: bool,
    /// The last item was just sent.
    ended: bool,
    _open: Open,
}

/// Opens a watch.
pub(super) fn watch(
    shared: &Arc<Shared>,
    table: usize,
    scope: Scope,
    form: Form,
    query: &Query,
) -> Result<Body, ApiError> {
    let mut state = shared.state();
    let current = state.version;
    let asked = query.version_number()?;
    let resource = &mut state.tables[table];
    let mut initial = match query.send_initial_events {
        Some(_) if resource.faults.no_streaming_lists => {
            return Err(ApiError::invalid(
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
            ));
        }
        Some(_) if query.version_match != "NotOlderThan" => {
            return Err(ApiError::invalid(
                "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
            ));
        }
        Some(send) => send,
        None if !query.version_match.is_empty() => {
            return Err(ApiError::invalid(
                "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
            ));
        }
        None => asked.is_none_or(|version| version == 0),
    };
    if let Some(asked) = asked.filter(|asked| *asked > current && query.send_initial_events == Some(true)) {
        return Err(ApiError::version_too_large(asked, current));
    }
    let mut gone = resource.faults.watches_gone;
    let next = if initial {
        resource.next()
    } else {
        match asked.map_or(Some(resource.next()), |version| resource.after(version)) {
            Some(next) => next,
            None => {
                gone = true;
                resource.next()
            }
        }
    };
    initial &= !gone;
    let mut objects = if initial { resource.in_scope(&scope) } else { Vec::new() };
    objects.reverse();
    let told_end = initial && query.send_initial_events == Some(true) && query.bookmarks;
    let every = shared.options.bookmarks.max(Duration::from_millis(1));
    let mut watcher = Watcher {
        shared: Arc::clone(shared),
        table,
        scope,
        writer: Writer::new(&resource.resource, form),
        initial: objects,
        initial_end: told_end.then_some(current),
        next,
        // A watch that is expired from the start follows a fate that was set just before it.
        fates: resource.fates,
        changed: resource.changed.subscribe(),
        deadline: query.timeout_seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds.min(86_400))),
        bookmarks: query.bookmarks.then(|| interval_at(Instant::now() + every, every)),
        silent: resource.faults.silent_watches,
        ended: false,
        _open: Open::new(&resource.watches),
    };
    drop(state);
    let first = gone.then(|| watcher.gone());
    let first = futures::stream::iter(first.map(|line| Ok::<_, Broken>(Frame::data(line))));
    let rest = futures::stream::unfold(watcher, |mut watcher| async move {
        let chunk = watcher.chunk().await?;
        Some((chunk.map(Frame::data), watcher))
    });
    Ok(StreamBody::new(futures::StreamExt::chain(first, rest)).boxed_unsync())
}

/// The result of reading the state.
enum Look {
    Bytes(Bytes),
    Break,
    End,
    Wait,
}

impl Watcher {
    /// Returns the next item to send; `None` at the end.
    async fn chunk(&mut self) -> Option<Result<Bytes, Broken>> {
        let mut due = false;
        loop {
            if self.ended {
                return None;
            }
            // Marked before reading, so that no change between reading and waiting is lost.
            self.changed.mark_unchanged();
            let look = if due { self.due_bookmark() } else { self.look() };
            due = false;
            match look {
                Look::Bytes(bytes) => return Some(Ok(bytes)),
                Look::Break => {
                    self.ended = true;
                    return Some(cut().await);
                }
                Look::End => return None,
                Look::Wait => {}
            }
            let deadline = self.deadline;
            let silent = self.silent;
            tokio::select! {
                biased;
                // The sender lives as long as the state that this watcher holds.
                _ = self.changed.changed() => {}
                () = until(deadline), if !silent => return None,
                () = tick(&mut self.bookmarks), if !silent => due = true,
            }
        }
    }

    fn due_bookmark(&mut self) -> Look {
        let shared = Arc::clone(&self.shared);
        self.bookmark(&shared.state())
    }

    fn look(&mut self) -> Look {
        let shared = Arc::clone(&self.shared);
        let state = shared.state();
        let table = &state.tables[self.table];
        if table.fates != self.fates {
            self.fates = table.fates;
            self.silent = false;
            match table.fate {
                Some(Fate::Cut) => return Look::Break,
                Some(Fate::Gone) => {
                    drop(state);
                    return Look::Bytes(self.gone());
                }
                Some(Fate::Silent) => self.silent = true,
                Some(Fate::Bookmark) if self.bookmarks.is_some() && self.initial.is_empty() => {
                    return self.bookmark(&state);
                }
                Some(Fate::Bookmark) | None => {}
            }
        }
        if self.silent {
            return Look::Wait;
        }
        let mut bytes = Vec::new();
        while bytes.len() < CHUNK
            && let Some(object) = self.initial.pop()
        {
            bytes.extend(self.writer.event("ADDED", &object));
        }
        if self.initial.is_empty()
            && let Some(version) = self.initial_end.take()
        {
            bytes.extend(self.writer.bookmark(version, true));
        }
        if bytes.is_empty() {
            match self.events(&state) {
                Some(events) => bytes = events,
                // The reader is too slow for the length of the history.
                None => return Look::End,
            }
        }
        if bytes.is_empty() { Look::Wait } else { Look::Bytes(bytes.into()) }
    }

    /// Returns the next events; `None` if some have expired.
    fn events(&mut self, state: &State) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for event in state.tables[self.table].since(self.next)? {
            if bytes.len() >= CHUNK {
                break;
            }
            self.next += 1;
            match event {
                Event::Line(line) => bytes.extend_from_slice(line),
                Event::Change { version, before, now, deleted } => {
                    let was = before.as_ref().filter(|before| self.scope.contains(before));
                    let is = !deleted && self.scope.contains(now);
                    bytes.extend(match (was, is) {
                        (None, false) => continue,
                        (None, true) => self.writer.event("ADDED", now),
                        (Some(_), true) => self.writer.event("MODIFIED", now),
                        (Some(_), false) if *deleted => self.writer.event("DELETED", now),
                        // The object left the selection: sent in its last selected state.
                        (Some(was), false) => self.writer.event("DELETED", &at_version(was, *version)),
                    });
                }
            }
        }
        Some(bytes)
    }

    /// A bookmark, after the events that it covers; `None` while the watcher is more than a chunk behind.
    fn bookmark(&mut self, state: &State) -> Look {
        let Some(mut bytes) = self.events(state) else { return Look::End };
        if self.next == state.tables[self.table].next() {
            bytes.extend(self.writer.bookmark(state.version, false));
        }
        Look::Bytes(bytes.into())
    }

    /// The final event, which reports that the version has expired.
    fn gone(&mut self) -> Bytes {
        self.ended = true;
        let status: Value = ApiError::expired("too old resource version").status();
        event_line("ERROR", &to_bytes(&status)).into()
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn tick(bookmarks: &mut Option<Interval>) {
    match bookmarks {
        Some(bookmarks) => {
            bookmarks.tick().await;
        }
        None => std::future::pending().await,
    }
}
