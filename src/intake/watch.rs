//! Runs a source: list, watch, resume, relist.
//!
//! A source is in one of two states. Either it knows nothing and makes a list, or it knows all objects as of a resourceVersion
//! and watches from there. Every failure leads back to one of them; only its token ends a source.
//!
//! An API server that is restored from a backup goes back to lower resourceVersions. A watch from a higher one is silent, and misses
//! what happens until the versions have caught up (kubernetes/kubernetes#107457). Such a server was restarted, so each watch that
//! broke or ended early is resumed only after a read of the newest version, and no list may be older than the known version.
//! The versions may also have caught up before that read. The watch therefore starts again just before the newest known change,
//! and the server has to repeat it ([`super::checkpoint`]). A source that has seen no change since its last list relists.
//!
//! A backup can also be restored with a raised revision (`etcdutl snapshot restore --bump-revision --mark-compacted`). The server then
//! calls the known version expired, as after any compaction, and its objects have lower versions than the known ones although the
//! list is newer. A list after an expired version therefore replaces the state of every object.

use std::collections::HashSet;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures::poll;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::api::{Api, Opened, PAGE_TIMEOUT, SILENCE, STREAMING_SILENCE, STREAMING_TIMEOUT, count, no_streaming};
use super::backfill::Backfiller;
use super::failure::Failure;
use super::frames::{ListFrames, ListPart, WatchFrames};
use super::objects::{Objects, Page, Progress};
use super::request::{PAGE, RequestKind, WATCH_SECONDS};
use super::response::ApiResponse;
use super::retry::Retry;
use super::shard_state::ShardState;
use super::sink::Sink;
use super::source::{Source, Status};
use crate::resource_version::number;
use crate::sharding::{Hasher, Slice};
use crate::sync::watch::Receiver;

/// A watch that ends without an error and without an event within this time is reopened only after a delay.
const BRIEF: Duration = Duration::from_secs(1);

/// How long a resumed watch may take to repeat a known event. The server has it in memory and sends it at once.
const REPLAY: Duration = Duration::from_secs(10);

/// How soon a watch changes its connection after Secret data arrived in an annotation. The source discards the data at once, but
/// the buffers of TLS and HTTP are freed, and wiped ([`super::wipe`]), only with their connection.
const SCRUB: Duration = Duration::from_secs(5);

/// Relist after this many watches in a row that failed at one resourceVersion. Otherwise an event that the server cannot send
/// or this program cannot read would repeat forever, and a server restored from a backup may send nothing at all.
const STUCK: u32 = 2;

/// Maximum number of pages without objects in a row. A server may filter pages, but a list has to end.
const MAX_EMPTY_PAGES: u32 = 1000;
/// Maximum number of pages of a list: 5 million objects.
const MAX_PAGES: usize = 10_000;

/// The status of a missing permission, which does not say whether the objects exist.
const FORBIDDEN: u16 = 403;

/// The request that a source makes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// A list, page by page.
    Pages,
    /// A watch that starts with all objects.
    StreamingList,
    /// A watch from a known resourceVersion.
    Watch,
}

/// Runs `source` until `stop`, and retries after every error. `status` counts its events. The first sink receives the
/// full lists and the watch, the second one the backfills.
pub async fn run(
    client: kube::Client,
    source: Source,
    sinks: [Box<dyn Sink>; 2],
    status: Arc<Status>,
    stop: CancellationToken,
) {
    let span = tracing::info_span!("source", resource = source.endpoint.plural, namespace = source.namespace);
    let [sink, backfill_sink] = sinks;
    let shard = Arc::clone(&source.shard);
    let objects = Objects::new(&source, sink, Arc::clone(&status));
    let backfilled = Objects::for_backfill(&source, backfill_sink, Arc::clone(&status));
    let api = Arc::new(Api::new(client, source, status));
    let backfiller = Backfiller::new(Arc::clone(&api), backfilled);
    let worker = Worker {
        objects,
        wakeups: shard.wakeups(),
        api,
        retry: Retry::default(),
        relists: Retry::default(),
        position: None,
        pages_next: false,
        unpaged: false,
        stuck: 0,
        known: 0,
        restarted: false,
    };
    let life = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = shard.until_assigned() => {}
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            never = worker.run() => match never {},
            never = backfiller.run() => match never {},
            never = shard.grow_stale() => match never {},
        }
    };
    life.instrument(span).await;
}

struct Worker {
    api: Arc<Api>,
    objects: Objects,
    retry: Retry,
    /// Delays relists after an expired resourceVersion. It is separate from `retry`, because the server answers again, and
    /// failures before that should not delay the relist.
    relists: Retry,
    /// Ticks when the desired slice may have changed.
    wakeups: Receiver<()>,
    /// The resourceVersion up to which all objects are known; `None` before the first list and after it expired.
    position: Option<String>,
    /// Make the next list in pages, although the server knows streaming lists.
    pages_next: bool,
    /// Request the next list without pages, because a page token expired.
    unpaged: bool,
    /// Number of watches in a row that failed at the same resourceVersion, with a failure that will likely repeat.
    stuck: u32,
    /// The highest resourceVersion of a list or watch. See [`Self::known`].
    known: u64,
    /// The API server may be another process, with other data, than the one that sent the known objects.
    restarted: bool,
}

impl Worker {
    async fn run(mut self) -> std::convert::Infallible {
        loop {
            if self.is_idle() {
                self.rest().await;
            }
            let step = match &self.position {
                Some(_) => Step::Watch,
                None if self.api.is_streaming() && !self.pages_next => Step::StreamingList,
                None => Step::Pages,
            };
            let result = match step {
                Step::Pages => self.list().await,
                Step::StreamingList => self.watch(true).await,
                Step::Watch => match self.check_restart().await {
                    Ok(()) => self.watch(false).await,
                    Err(failure) => Err(failure),
                },
            };
            if let Err(failure) = result
                && let Some(delay) = self.failed(step, failure)
            {
                sleep(delay).await;
            }
        }
    }

    /// Checks that the API server has not gone back, if it may have been restarted, as far as a read shows that. A replay shows the
    /// rest.
    async fn check_restart(&mut self) -> Result<(), Failure> {
        let position = self.position.as_deref().map_or(0, number);
        if !self.restarted || position == 0 {
            return Ok(());
        }
        let is_read = match self.api.newest_version().await {
            Ok(newest) => {
                self.check_version(newest)?;
                true
            }
            Err(failure) if failure.is_unreachable() => return Err(failure),
            // The watch shows what is wrong.
            Err(failure) => {
                tracing::debug!("cannot read the newest resourceVersion: {failure}");
                false
            }
        };
        // The watch has not shown all changes that a newer backfill contains.
        let is_behind = self.api.backfilled.load(Ordering::Relaxed) > position;
        let (watched, all) = (self.api.source.shard.watched(), Slice::all());
        let sent = if self.api.status.filtered.load(Ordering::Relaxed) { &watched } else { &all };
        match self.objects.checkpoint().replay(sent, position).filter(|_| !is_behind) {
            Some(replay) => self.objects.begin_replay(replay),
            None if is_read => return Err(Failure::Unproven),
            None => self.restarted = false,
        }
        Ok(())
    }

    /// The highest version that the API server is known to have reached.
    fn known(&self) -> u64 {
        self.known.max(self.api.status.newest_seen.load(Ordering::Relaxed))
    }

    /// Checks that the API server has reached what is known, given a version that it has reached.
    fn check_version(&self, version: u64) -> Result<(), Failure> {
        let known = self.known();
        if version != 0 && version < known {
            return Err(Failure::rewound(&version.to_string(), known));
        }
        Ok(())
    }

    fn shard(&self) -> &ShardState {
        &self.api.source.shard
    }

    /// Whether nothing is desired, and the server could filter everything.
    fn is_idle(&self) -> bool {
        self.api.selector.is_enabled() && self.shard().desired().is_empty()
    }

    /// Waits until something is desired.
    async fn rest(&mut self) {
        self.lose_position();
        self.objects.rest();
        self.shard().idle();
        while self.is_idle() {
            // The sender lives as long as the source, so this never fails.
            let _ = self.wakeups.changed().await;
        }
    }

    /// Lists page by page.
    async fn list(&mut self) -> Result<(), Failure> {
        let limit = self.api.source.object_limit;
        let page_size = match limit {
            0 if self.unpaged => None,
            0 => Some(PAGE),
            limit => Some(limit),
        };
        let mut page = Page::default();
        let mut begun = false;
        let (mut tokens, mut empty) = (HashSet::new(), 0);
        let slice = self.shard().begin_list();
        let known = self.known();
        // A cache may lag.
        let at_least = if self.api.source.use_cache { known } else { 0 };
        loop {
            let kind = RequestKind::Page { limit: page_size, from: &page.next, at_least };
            let Opened { mut answer, selected } = self.api.open(kind, &slice).await?;
            self.objects.begin_response(selected);
            page = Page::default();
            let before = self.objects.listed();
            let mut frames = ListFrames::new(answer.encoding);
            while let Some(chunk) = self.api.chunk(&mut answer, Some(PAGE_TIMEOUT)).await? {
                self.api.arrived();
                if !begun {
                    begun = true;
                    self.objects.begin(&slice);
                }
                let watched = self.api.source.shard.watched();
                let objects = &mut self.objects;
                frames.feed(&chunk, |part| {
                    let is_metadata = matches!(part, ListPart::Metadata { .. });
                    objects.list_part(&watched, answer.encoding, part, &mut page)?;
                    // The metadata comes first, so no state of an older list is applied.
                    if is_metadata && (1..known).contains(&number(&page.version)) {
                        return Err(Failure::rewound(&page.version, known));
                    }
                    Ok(())
                })?;
            }
            frames.finish()?;
            page.check()?;
            if page.next.is_empty() || limit != 0 {
                break;
            }
            if !tokens.insert(Hasher::XxHash64.hash(&page.next)) {
                return Err(Failure::Pages("the server repeats a continue token"));
            }
            if tokens.len() >= MAX_PAGES {
                return Err(Failure::Pages("it has too many pages"));
            }
            if self.objects.listed() > before {
                empty = 0;
            } else {
                empty += 1;
            }
            if empty > MAX_EMPTY_PAGES {
                return Err(Failure::Pages("the server sends page after page without objects"));
            }
        }
        // The connections ended with the pages.
        self.objects.take_taint();
        self.known = self.known.max(number(&page.version));
        self.objects.done(&page.version);
        self.shard().finish_list();
        // The watch is not open yet.
        self.shard().watch_ended();
        count(&self.api.status.lists);
        self.pages_next = false;
        self.unpaged = false;
        tracing::debug!(objects = self.objects.listed(), version = page.version, "listed");
        self.restarted = false;
        self.position = Some(page.version);
        Ok(())
    }

    /// Watches from the position, or from all objects as a streaming list. Returns `Ok` when the server ends the watch.
    async fn watch(&mut self, streaming_list: bool) -> Result<(), Failure> {
        let (slice, opened);
        if streaming_list {
            slice = self.shard().begin_list();
            opened = self.api.open(RequestKind::StreamingList { at_least: 0 }, &slice).await.map_err(no_streaming);
        } else {
            let replay = self.objects.replay().map(|replay| replay.from().to_string());
            slice = self.widen();
            let from = replay.as_ref().or(self.position.as_ref()).map_or("", String::as_str);
            opened = self.api.open(RequestKind::Watch(from), &slice).await;
        }
        let Opened { mut answer, selected } = opened?;
        self.objects.begin_response(selected.clone());
        count(&self.api.status.watches);
        let since = Instant::now();
        let mut watching = WatchProgress { initial: streaming_list, seen: false, version: String::new(), selected };
        if streaming_list {
            answer.set_silence(STREAMING_SILENCE);
            self.objects.begin(&slice);
        } else {
            self.shard().watch_opened();
            answer.set_batch_delay(self.api.source.batch_delay);
            watching.version = self.position.take().unwrap_or_default();
        }
        let result = self.follow(&mut answer, &mut watching).await;
        let WatchProgress { initial, seen, version, .. } = watching;
        if seen {
            self.stuck = 0;
        }
        if !initial {
            self.shard().watch_ended();
            self.objects.reached(&version);
            self.known = self.known.max(number(&version));
            self.position = Some(version);
        }
        // The server ends a watch after the requested time.
        self.restarted |= match &result {
            Ok(End::Over) => since.elapsed() < Duration::from_secs((*WATCH_SECONDS.start()).into()),
            // The old connection would have broken.
            Ok(End::SelectorChanged | End::Scrub) => false,
            Err(_) => true,
        };
        if initial && matches!(result, Ok(_) | Err(Failure::Silent(_))) {
            return Err(Failure::no_end(if result.is_ok() { Failure::ENDED } else { Failure::SILENT }));
        }
        if result? == End::SelectorChanged {
            tracing::debug!("reopening the watch: the selector changed");
            return Ok(());
        }
        if !seen && since.elapsed() < BRIEF {
            return Err(Failure::Brief);
        }
        tracing::debug!("resuming the watch: it ended");
        self.succeeded();
        Ok(())
    }

    /// Extends the running watch to the desired slice. Returns whether the watch must be reopened with another selector.
    fn must_reopen(&mut self, watching: &WatchProgress) -> bool {
        self.wakeups.mark_unchanged();
        let desired = self.shard().desired();
        if self.is_idle() || watching.selected != self.api.selector.is_for(&desired).then_some(desired) {
            return true;
        }
        self.widen();
        false
    }

    /// Extends the watched slice to the desired one, which it returns.
    fn widen(&mut self) -> Slice {
        let before = self.shard().watched();
        let slice = self.shard().widen();
        // If the server filters, changes of the new part were not sent.
        if slice != **before && self.api.status.filtered.load(Ordering::Relaxed) {
            self.objects.checkpoint().clear();
        }
        slice
    }

    /// Waits for the next data of a watch, for work to do, or for its end, at `until` at the latest.
    async fn hear(
        &mut self,
        answer: &mut ApiResponse,
        initial: bool,
        until: Option<Instant>,
    ) -> Result<Heard, Failure> {
        if self.wakeups.has_changed().unwrap_or_default() {
            self.wakeups.mark_unchanged();
            return Ok(Heard::Wakeup);
        }
        let mut chunk = pin!(self.api.chunk(answer, initial.then_some(STREAMING_TIMEOUT)));
        // Most pieces of a batch are there already, and need none of the timers.
        let chunk = match poll!(chunk.as_mut()) {
            Poll::Ready(chunk) => chunk,
            Poll::Pending => tokio::select! {
                biased;
                _ = self.wakeups.changed() => return Ok(Heard::Wakeup),
                chunk = chunk => chunk,
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return Ok(Heard::Late),
            },
        };
        Ok(chunk?.map_or(Heard::End, Heard::Data))
    }

    /// Reads the events of a watch until it ends.
    async fn follow(&mut self, answer: &mut ApiResponse, watching: &mut WatchProgress) -> Result<End, Failure> {
        let encoding = answer.encoding;
        let mut frames = WatchFrames::new(encoding);
        let opened_at = watching.version.clone();
        let mut scrub_at: Option<Instant> = None;
        let mut adapted = false;
        let prove_by = Instant::now() + REPLAY;
        loop {
            // A list keeps the slice with which it began.
            if !adapted && !watching.initial {
                adapted = true;
                if self.must_reopen(watching) {
                    return Ok(End::SelectorChanged);
                }
            }
            let unproven = self.objects.replay().filter(|replay| !replay.is_proven()).map(|_| prove_by);
            let until = [scrub_at, unproven].into_iter().flatten().min();
            let chunk = match self.hear(answer, watching.initial, until).await? {
                Heard::Data(chunk) => chunk,
                Heard::Wakeup => {
                    adapted = false;
                    continue;
                }
                Heard::End => return Ok(End::Over),
                Heard::Late => match self.objects.replay() {
                    Some(replay) if unproven == until => return Err(replay.unproven()),
                    _ => return Ok(End::Scrub),
                },
            };
            self.api.arrived();
            let was_initial = watching.initial;
            let known = self.known();
            let watched = self.api.source.shard.watched();
            let objects = &mut self.objects;
            let read = frames.feed(&chunk, |frame| {
                let progress = objects.event(&watched, encoding, frame, watching.initial, &mut watching.version)?;
                watching.seen |= progress != Progress::Object;
                match progress {
                    Progress::InitialEventsEnd if watching.initial => {
                        if (1..known).contains(&number(&watching.version)) {
                            return Err(Failure::rewound(&watching.version, known));
                        }
                        watching.initial = false;
                        objects.done(&watching.version);
                    }
                    Progress::Bookmark if watching.initial => return Err(Failure::early_bookmark()),
                    _ => {}
                }
                Ok(())
            });
            // An event that cannot be read is none: a server that sends nothing else is not asked again at once.
            watching.seen |= watching.version != opened_at;
            read?;
            drop(watched);
            if !watching.initial {
                self.restarted &= self.objects.replay().is_some();
                self.objects.reached(&watching.version);
            }
            if was_initial && !watching.initial {
                self.shard().finish_list();
                answer.set_silence(SILENCE);
                answer.set_batch_delay(self.api.source.batch_delay);
                tracing::debug!(objects = self.objects.listed(), version = watching.version, "listed by streaming");
            } else if !was_initial && watching.seen {
                self.succeeded();
            }
            // Initial events cannot be resumed, so they are not interrupted.
            if !watching.initial && self.objects.take_taint() {
                scrub_at.get_or_insert_with(|| Instant::now() + SCRUB);
            }
        }
    }

    /// Handles a failure and returns the delay before the next attempt.
    fn failed(&mut self, step: Step, failure: Failure) -> Option<Duration> {
        match failure {
            Failure::NoStreaming { .. } | Failure::Brief | Failure::Unproven => {}
            ref failure if failure.is_not_served() => count(&self.api.status.not_served),
            _ if step == Step::Pages => count(&self.api.status.list_errors),
            _ => count(&self.api.status.watch_errors),
        }
        match failure {
            // The next request tells.
            Failure::NoStreaming { .. } | Failure::Refused { .. } | Failure::Unproven => {}
            Failure::Silent(_) if step == Step::Watch => {}
            ref failure => self.shard().failed(failure),
        }
        if self.position.is_none() {
            self.objects.give_up();
            // After `Rewound`, everything is void.
            if self.objects.listed() > 0 && !matches!(failure, Failure::Rewound(_)) {
                // The next list may come from a restored server, whose objects have lower versions than those of this one.
                self.objects.void_versions();
            }
        } else if step != Step::Pages && failure.is_likely_to_repeat() {
            self.stuck += 1;
            if self.stuck >= STUCK {
                tracing::warn!("relisting from scratch: the watch keeps failing: {failure}");
                self.start_over();
            }
        }
        match failure {
            Failure::NoStreaming { ref why, for_good } => {
                tracing::info!("listing in pages: no streaming list: {why}");
                self.pages_next = true;
                if for_good {
                    self.api.stop_streaming();
                }
                None
            }
            Failure::Expired(_) | Failure::Unproven => {
                tracing::info!("relisting: {failure}");
                self.lose_position();
                self.shard().invalidate();
                self.unpaged = step == Step::Pages;
                Some(self.relist_delay())
            }
            Failure::Rewound(_) => {
                tracing::warn!("relisting from scratch: {failure}");
                self.start_over();
                Some(self.relist_delay())
            }
            Failure::Refused { code, .. } => {
                self.api.status.settled.store(true, Ordering::Release);
                self.shard().refused(&failure);
                if self.api.status.refused.swap(code.into(), Ordering::Relaxed) == 0 {
                    let objects = if self.position.is_some() { "kept" } else { "none" };
                    match self.api.source.summed_up {
                        true => tracing::debug!(objects, "{failure}; retrying soon, later every few minutes"),
                        false => tracing::warn!(objects, "{failure}; retrying soon, later every few minutes"),
                    }
                }
                let delay = self.retry.refused();
                // A starting server may not know its resources yet. After minutes the resource has been removed.
                if code != FORBIDDEN && self.position.is_some() && self.retry.is_refused_for_long() {
                    tracing::warn!("dropping all objects: the server has not had the resource for minutes");
                    self.position = None;
                    self.objects.begin(&self.api.source.shard.begin_list());
                    self.objects.done("");
                }
                Some(delay)
            }
            Failure::Silent(_) if step != Step::Pages && self.position.is_some() => {
                tracing::warn!("reopening the watch: {failure}");
                None
            }
            Failure::WrongForm(ref what) => {
                self.objects.wrong_form(what);
                Some(self.retry.failed(None))
            }
            Failure::Status { retry_after, .. } => Some(self.retry_later(step, &failure, retry_after)),
            _ => Some(self.retry_later(step, &failure, None)),
        }
    }

    /// Resets the delays after a watch received something.
    fn succeeded(&mut self) {
        self.retry.succeeded();
        self.relists.succeeded();
    }

    /// Returns the delay before a relist.
    fn relist_delay(&mut self) -> Duration {
        self.retry.succeeded();
        self.relists.failed(None)
    }

    /// The next request is a list, and the server may be restored before it.
    fn lose_position(&mut self) {
        if self.position.take().is_some() {
            self.objects.void_versions();
        }
    }

    /// Declares all known objects and versions void, so that the next list replaces them.
    fn start_over(&mut self) {
        self.stuck = 0;
        self.known = 0;
        self.api.backfilled.store(0, Ordering::Relaxed);
        self.position = None;
        self.shard().invalidate();
        self.objects.rewind();
    }

    fn retry_later(&mut self, step: Step, failure: &Failure, retry_after: Option<Duration>) -> Duration {
        let delay = match failure.is_unreachable() {
            true => self.retry.unreachable(),
            false => self.retry.failed(retry_after),
        };
        if step == Step::Watch && self.retry.is_first() {
            // Connections break now and then. A resumed watch loses nothing.
            tracing::info!(?delay, "resuming the watch: {failure}");
        } else if self.retry.is_news() && !self.api.source.summed_up {
            tracing::warn!(?step, ?delay, "retrying: {failure}");
        } else {
            tracing::debug!(?step, ?delay, "retrying: {failure}");
        }
        delay
    }
}

/// The progress of a watch.
struct WatchProgress {
    /// The initial events of a streaming list are still arriving.
    initial: bool,
    /// A readable event or a bookmark arrived.
    seen: bool,
    /// The newest resourceVersion.
    version: String,
    /// The slice to which the server was asked to restrict the watch; `None` if it was not.
    selected: Option<Slice>,
}

/// What happens next in an open watch.
enum Heard {
    Data(Bytes),
    /// There may be work to do.
    Wakeup,
    /// The server ended it.
    End,
    /// Nothing arrived in time.
    Late,
}

/// How a watch ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server ended it.
    Over,
    /// Its connection has to be closed.
    Scrub,
    /// Another slice is desired, for which the server needs another selector.
    SelectorChanged,
}
