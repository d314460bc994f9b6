//! The life of a source: list, watch, resume, list again.
//!
//! Two states: nothing is known, then a list is made; or all is known as of a resourceVersion, then a watch goes on from
//! there. Every failure leads back to one of them; nothing ends a source but its token.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch::Receiver;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::api::{Api, Opened, SILENCE, STREAMING_SILENCE, count, no_streaming};
use super::backfill::Backfiller;
use super::failure::Failure;
use super::frames::{ListFrames, WatchFrames};
use super::objects::{Objects, Page, Progress};
use super::request::{PAGE, RequestKind};
use super::response::ApiResponse;
use super::retry::Retry;
use super::shard_state::ShardState;
use super::sink::Sink;
use super::source::{Source, Status};
use crate::sharding::Slice;

/// A watch that ends well before this, without an event, is not opened again at once.
const BRIEF: Duration = Duration::from_secs(1);

/// So long after the data of a Secret arrived (in an annotation; it is discarded at once) the connection is exchanged:
/// the buffers of TLS and HTTP below us, which still hold it, are freed, and wiped ([`super::wipe`]), only with their connection.
const SCRUB: Duration = Duration::from_secs(5);

/// After so many watches in a row that came to nothing at one resourceVersion, all is listed again: an event that cannot be
/// sent or read would else be met again for ever, and a server that was restored from a backup may say nothing at all.
const STUCK: u32 = 2;

/// No right to it, which says nothing about whether the objects exist.
const FORBIDDEN: u16 = 403;

/// What a source is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Listing page by page.
    Pages,
    /// Listing by a watch that starts with all objects, and goes on as a watch.
    StreamingList,
    /// Watching from a known resourceVersion on.
    Watch,
}

/// Runs `source` until `stop`, telling `status` what happens and the sinks what changes: the first one of its own list and
/// watch, the second one of lists of what it gains. Never returns on an error: it retries.
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
        stirred: shard.wakeups(),
        api,
        retry: Retry::default(),
        relists: Retry::default(),
        position: None,
        pages_next: false,
        unpaged: false,
        stuck: 0,
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
    /// Counts lists that what was known had become too old for: a server that says so does answer, so that it is not to
    /// wait for what went wrong before it did.
    relists: Retry,
    /// Ticks when something else may be wanted.
    stirred: Receiver<()>,
    /// The resourceVersion up to which all is known; `None` before the first list and when it has become too old.
    position: Option<String>,
    /// The next list is made in pages even so.
    pages_next: bool,
    /// The next list is asked for without pages, since its pages became too old before they were read.
    unpaged: bool,
    /// Watches in a row that brought nothing but a failure which the same resourceVersion will bring again.
    stuck: u32,
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
                Step::Watch => self.watch(false).await,
            };
            if let Err(failure) = result
                && let Some(delay) = self.failed(step, failure)
            {
                sleep(delay).await;
            }
        }
    }

    fn shard(&self) -> &ShardState {
        &self.api.source.shard
    }

    /// Whether nothing is wanted, and the server could send nothing.
    fn is_idle(&self) -> bool {
        self.api.selector.is_enabled() && self.shard().desired().is_empty()
    }

    /// Does nothing until something is wanted.
    async fn rest(&mut self) {
        self.position = None;
        self.objects.rest();
        self.shard().idle();
        while self.is_idle() {
            // The sender lives as long as the source, so this never fails.
            let _ = self.stirred.changed().await;
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
        let slice = self.shard().begin_list();
        loop {
            let kind = RequestKind::Page { limit: page_size, from: &page.next, at_least: 0 };
            let Opened { mut answer, selected } = self.api.open(kind, &slice).await?;
            self.objects.begin_response(selected);
            page = Page::default();
            let mut frames = ListFrames::new(answer.encoding);
            while let Some(chunk) = answer.chunk().await? {
                self.api.arrived();
                if !begun {
                    begun = true;
                    self.objects.begin(&slice);
                }
                let watched = self.api.source.shard.watched();
                let objects = &mut self.objects;
                frames.feed(&chunk, |part| objects.list_part(&watched, answer.encoding, part, &mut page))?;
            }
            frames.finish()?;
            if page.version.is_empty() {
                return Err(Failure::WrongForm("a list without a resourceVersion".to_owned()));
            }
            if page.next.is_empty() || limit != 0 {
                break;
            }
        }
        // Their connections ended with the pages.
        self.objects.take_taint();
        self.objects.done(&page.version);
        self.shard().finish_list();
        // Its watch is still to be opened.
        self.shard().watch_ended();
        count(&self.api.status.lists);
        self.pages_next = false;
        self.unpaged = false;
        tracing::debug!(objects = self.objects.listed(), version = page.version, "listed");
        self.position = Some(page.version);
        Ok(())
    }

    /// Watches from the position on, or, as a streaming list, from all objects on. Ends well when the server ends it.
    async fn watch(&mut self, streaming_list: bool) -> Result<(), Failure> {
        let (slice, opened);
        if streaming_list {
            slice = self.shard().begin_list();
            opened = self.api.open(RequestKind::StreamingList { at_least: 0 }, &slice).await.map_err(no_streaming);
        } else {
            slice = self.shard().widen();
            opened = self.api.open(RequestKind::Watch(self.position.as_deref().unwrap_or_default()), &slice).await;
        }
        let Opened { mut answer, selected } = opened?;
        self.objects.begin_response(selected.clone());
        count(&self.api.status.watches);
        let since = Instant::now();
        let mut watching = Watching { initial: streaming_list, seen: false, version: String::new(), selected };
        if streaming_list {
            answer.set_silence(STREAMING_SILENCE);
            self.objects.begin(&slice);
        } else {
            self.shard().watch_opened();
            answer.set_batch_delay(self.api.source.batch_delay);
            watching.version = self.position.take().unwrap_or_default();
        }
        let result = self.follow(&mut answer, &mut watching).await;
        let Watching { initial, seen, version, .. } = watching;
        if seen {
            self.stuck = 0;
        }
        if !initial {
            self.shard().watch_ended();
            self.objects.reached(&version);
            self.position = Some(version);
        }
        if initial && matches!(result, Ok(_) | Err(Failure::Silent(_))) {
            return Err(Failure::no_end(if result.is_ok() { Failure::ENDED } else { Failure::SILENT }));
        }
        if result? == End::Adapted {
            tracing::debug!("the watch is opened anew for what is wanted now");
            return Ok(());
        }
        if !seen && since.elapsed() < BRIEF {
            return Err(Failure::Brief);
        }
        tracing::debug!("the watch ended and is resumed");
        self.succeeded();
        Ok(())
    }

    /// Lets the running watch hand over all that is wanted; says whether it has to be opened anew for that.
    fn adapt(&mut self, watching: &Watching) -> bool {
        self.stirred.mark_unchanged();
        let wanted = self.shard().desired();
        if self.is_idle() || watching.selected != self.api.selector.is_for(&wanted).then_some(wanted) {
            return true;
        }
        self.shard().widen();
        false
    }

    /// Reads the events of a watch until it ends.
    async fn follow(&mut self, answer: &mut ApiResponse, watching: &mut Watching) -> Result<End, Failure> {
        let encoding = answer.encoding;
        let mut frames = WatchFrames::new(encoding);
        let mut scrub_at: Option<Instant> = None;
        let mut adapted = false;
        loop {
            // A list goes on as it began.
            if !adapted && !watching.initial {
                adapted = true;
                if self.adapt(watching) {
                    return Ok(End::Adapted);
                }
            }
            let chunk: Bytes = tokio::select! {
                biased;
                _ = self.stirred.changed() => {
                    adapted = false;
                    continue;
                }
                chunk = answer.chunk() => match chunk? {
                    Some(chunk) => chunk,
                    None => return Ok(End::Over),
                },
                () = sleep_until(scrub_at.unwrap_or_else(Instant::now)), if scrub_at.is_some() => return Ok(End::Over),
            };
            self.api.arrived();
            let was_initial = watching.initial;
            let watched = self.api.source.shard.watched();
            let objects = &mut self.objects;
            frames.feed(&chunk, |frame| {
                let progress = objects.event(&watched, encoding, frame, watching.initial, &mut watching.version)?;
                watching.seen = true;
                match progress {
                    Progress::InitialEventsEnd if watching.initial => {
                        watching.initial = false;
                        objects.done(&watching.version);
                    }
                    Progress::Bookmark if watching.initial => return Err(Failure::early_bookmark()),
                    _ => {}
                }
                Ok(())
            })?;
            drop(watched);
            if !watching.initial {
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
            // Initial events are not interrupted: they cannot be resumed.
            if !watching.initial && self.objects.take_taint() {
                scrub_at.get_or_insert_with(|| Instant::now() + SCRUB);
            }
        }
    }

    /// Draws the consequences of a failure; returns how long to wait.
    fn failed(&mut self, step: Step, failure: Failure) -> Option<Duration> {
        match failure {
            Failure::NoStreaming { .. } | Failure::Brief => {}
            _ if step == Step::Pages => count(&self.api.status.list_errors),
            _ => count(&self.api.status.watch_errors),
        }
        if self.position.is_none() {
            self.objects.give_up();
        } else if step != Step::Pages && failure.will_come_again() {
            self.stuck += 1;
            if self.stuck >= STUCK {
                tracing::warn!("{failure}, again and again; listing again from nothing");
                self.start_over();
            }
        }
        match failure {
            Failure::NoStreaming { ref why, for_good } => {
                tracing::info!("the server makes no streaming list, it is asked for pages: {why}");
                self.pages_next = true;
                if for_good {
                    self.api.stop_streaming();
                }
                None
            }
            Failure::Expired(ref message) => {
                tracing::info!("what is known is too old for the server, listing again: {message}");
                self.position = None;
                self.shard().invalidate();
                self.unpaged = step == Step::Pages;
                Some(self.list_again())
            }
            Failure::Rewound(_) => {
                tracing::warn!("{failure}; listing again from nothing");
                self.start_over();
                Some(self.list_again())
            }
            Failure::Refused { code, .. } => {
                self.api.status.settled.store(true, Ordering::Release);
                self.shard().refused();
                if self.api.status.refused.swap(code.into(), Ordering::Relaxed) == 0 {
                    let fate = if self.position.is_some() { "what is known of it stays" } else { "it is left out" };
                    tracing::warn!("{failure}; {fate}, and it is asked for again soon, later every few minutes");
                }
                let delay = self.retry.refused();
                // A server that starts may not know its resources yet; one that goes on not to has removed this one.
                if code != FORBIDDEN && self.position.is_some() && self.retry.is_refused_for_long() {
                    tracing::warn!("the server has not had it for minutes: what was known of it is dropped");
                    self.position = None;
                    self.objects.begin(&self.api.source.shard.begin_list());
                    self.objects.done("");
                }
                Some(delay)
            }
            Failure::Silent(_) if step != Step::Pages && self.position.is_some() => {
                tracing::warn!("{failure}, the watch is opened again");
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

    /// The watch lives.
    fn succeeded(&mut self) {
        self.retry.succeeded();
        self.relists.succeeded();
    }

    /// Returns how long to wait before all is listed again.
    fn list_again(&mut self) -> Duration {
        self.retry.succeeded();
        self.relists.failed(None)
    }

    /// What the server said before is void: the next list replaces it, whatever its versions.
    fn start_over(&mut self) {
        self.stuck = 0;
        self.position = None;
        self.shard().invalidate();
        self.objects.rewind();
    }

    fn retry_later(&mut self, step: Step, failure: &Failure, retry_after: Option<Duration>) -> Duration {
        let delay = self.retry.failed(retry_after);
        if step == Step::Watch && self.retry.is_first() {
            // Connections break now and then: nothing is lost if it can be resumed.
            tracing::info!(?delay, "{failure}; resuming the watch");
        } else if self.retry.is_news() {
            tracing::warn!(?step, ?delay, "{failure}; retrying");
        } else {
            tracing::debug!(?step, ?delay, "{failure}; retrying");
        }
        delay
    }
}

/// How far a watch has come.
struct Watching {
    /// The initial events of a streaming list are not over.
    initial: bool,
    /// An event or bookmark arrived.
    seen: bool,
    /// The newest resourceVersion.
    version: String,
    /// What the server was asked to send alone; `None` for everything.
    selected: Option<Slice>,
}

/// How a watch ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The server ended it, or its connection is not to live any longer.
    Over,
    /// Something else is wanted, and the server has to be asked for that.
    Adapted,
}
