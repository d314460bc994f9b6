//! The life of a source: list, watch, resume, list again.
//!
//! Two states: nothing is known, then a list is made; or all is known as of a resourceVersion, then a watch goes on from
//! there. Every failure leads back to one of them; nothing ends a source but its token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::answer::Answer;
use super::failure::Failure;
use super::frames::{ListFrames, WatchFrames};
use super::objects::{Objects, Page, Progress};
use super::request::{self, Ask, PAGE};
use super::retry::Retry;
use super::{Sink, Source, Status};

/// How long an answer may be without a byte. A watch gets a bookmark each minute; two and a half without any mean that the
/// connection is dead, whatever TCP says.
const SILENCE: Duration = Duration::from_secs(150);

/// A streaming list is a steady stream up to its last bookmark; a server that falls silent before does not know what it is.
const STREAMING_SILENCE: Duration = Duration::from_secs(30);

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

/// Runs `source` until `stop`, telling `sink` what changes and `status` what happens. Never returns on an error: it retries.
pub async fn run(
    client: kube::Client,
    source: Source,
    sink: Box<dyn Sink>,
    status: Arc<Status>,
    stop: CancellationToken,
) {
    let span = tracing::info_span!("source", resource = source.endpoint.plural, namespace = source.namespace);
    let worker = Worker {
        objects: Objects::new(&source, sink, Arc::clone(&status)),
        // A streaming list has no limit.
        streaming: source.object_limit == 0,
        api: Api { client, source, status },
        retry: Retry::default(),
        position: None,
        pages_next: false,
        unpaged: false,
        stuck: 0,
    };
    let life = async {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            never = worker.live() => match never {},
        }
    };
    life.instrument(span).await;
}

/// The side of the API server.
struct Api {
    client: kube::Client,
    source: Source,
    status: Arc<Status>,
}

impl Api {
    async fn open(&self, ask: Ask<'_>) -> Result<Answer, Failure> {
        let request = request::request(&self.source, ask)?;
        let answer = Answer::to(&self.client, &self.source, request, SILENCE).await?;
        if self.status.refused.swap(0, Ordering::Relaxed) != 0 {
            tracing::info!("the server no longer refuses it");
        }
        Ok(answer)
    }

    /// Something arrived just now.
    fn arrived(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.status.last_event.store(now.as_secs(), Ordering::Relaxed);
    }
}

struct Worker {
    api: Api,
    objects: Objects,
    retry: Retry,
    /// The resourceVersion up to which all is known; `None` before the first list and when it has become too old.
    position: Option<String>,
    /// Whether streaming lists are asked for.
    streaming: bool,
    /// The next list is made in pages even so.
    pages_next: bool,
    /// The next list is asked for without pages, since its pages became too old before they were read.
    unpaged: bool,
    /// Watches in a row that brought nothing but a failure which the same resourceVersion will bring again.
    stuck: u32,
}

impl Worker {
    async fn live(mut self) -> std::convert::Infallible {
        loop {
            let step = match &self.position {
                Some(_) => Step::Watch,
                None if self.streaming && !self.pages_next => Step::StreamingList,
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
        loop {
            let ask = Ask::Page { limit: page_size, from: &page.next };
            let mut answer = self.api.open(ask).await?;
            page = Page::default();
            let mut frames = ListFrames::new(answer.encoding);
            while let Some(chunk) = answer.chunk().await? {
                self.api.arrived();
                if !begun {
                    begun = true;
                    self.objects.begin();
                }
                let ranges = self.api.source.ranges.load();
                let objects = &mut self.objects;
                frames.feed(&chunk, |part| objects.list_part(&ranges, answer.encoding, part, &mut page))?;
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
        count(&self.api.status.lists);
        self.pages_next = false;
        self.unpaged = false;
        tracing::debug!(objects = self.objects.listed(), version = page.version, "listed");
        self.position = Some(page.version);
        Ok(())
    }

    /// Watches from the position on, or, as a streaming list, from all objects on. Ends well when the server ends it.
    async fn watch(&mut self, streaming_list: bool) -> Result<(), Failure> {
        let opened = if streaming_list {
            self.api.open(Ask::StreamingList).await.map_err(no_streaming)
        } else {
            self.api.open(Ask::Watch(self.position.as_deref().unwrap_or_default())).await
        };
        let mut answer = opened?;
        count(&self.api.status.watches);
        let since = Instant::now();
        let mut watching = Watching { initial: streaming_list, seen: false, version: String::new() };
        if streaming_list {
            answer.set_silence(STREAMING_SILENCE);
            self.objects.begin();
        } else {
            watching.version = self.position.take().unwrap_or_default();
        }
        let result = self.follow(&mut answer, &mut watching).await;
        let Watching { initial, seen, version } = watching;
        if seen {
            self.stuck = 0;
        }
        if !initial {
            self.position = Some(version);
        }
        if initial && matches!(result, Ok(()) | Err(Failure::Silent(_))) {
            let why = if result.is_ok() { "it ended before all objects were sent" } else { "it fell silent" };
            return Err(Failure::NoStreaming { why: why.to_owned(), for_good: false });
        }
        result?;
        if !seen && since.elapsed() < BRIEF {
            return Err(Failure::Brief);
        }
        tracing::debug!("the watch ended and is resumed");
        self.retry.succeeded();
        Ok(())
    }

    /// Reads the events of a watch until it ends.
    async fn follow(&mut self, answer: &mut Answer, watching: &mut Watching) -> Result<(), Failure> {
        let encoding = answer.encoding;
        let mut frames = WatchFrames::new(encoding);
        let mut scrub_at: Option<Instant> = None;
        loop {
            let chunk = match scrub_at {
                Some(at) => match timeout_at(at, answer.chunk()).await {
                    Ok(chunk) => chunk?,
                    Err(_) => return Ok(()),
                },
                None => answer.chunk().await?,
            };
            let Some(chunk) = chunk else { return Ok(()) };
            self.api.arrived();
            let was_initial = watching.initial;
            let ranges = self.api.source.ranges.load();
            let objects = &mut self.objects;
            frames.feed(&chunk, |frame| {
                let progress = objects.event(&ranges, encoding, frame, watching.initial, &mut watching.version)?;
                watching.seen = true;
                match progress {
                    Progress::InitialEventsEnd if watching.initial => {
                        watching.initial = false;
                        objects.done(&watching.version);
                    }
                    Progress::Bookmark if watching.initial => {
                        let why = "it sent a bookmark, but not the end of the initial events".to_owned();
                        return Err(Failure::NoStreaming { why, for_good: true });
                    }
                    _ => {}
                }
                Ok(())
            })?;
            drop(ranges);
            if was_initial && !watching.initial {
                answer.set_silence(SILENCE);
                tracing::debug!(objects = self.objects.listed(), version = watching.version, "listed by streaming");
            } else if !was_initial && watching.seen {
                self.retry.succeeded();
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
                self.streaming &= !for_good;
                None
            }
            Failure::Expired(ref message) => {
                tracing::info!("what is known is too old for the server, listing again: {message}");
                self.position = None;
                self.unpaged = step == Step::Pages;
                Some(self.retry.failed(None))
            }
            Failure::Rewound(_) => {
                tracing::warn!("{failure}; listing again from nothing");
                self.start_over();
                Some(self.retry.failed(None))
            }
            Failure::Refused { code, .. } => {
                self.api.status.settled.store(true, Ordering::Release);
                if self.api.status.refused.swap(code.into(), Ordering::Relaxed) == 0 {
                    let fate = if self.position.is_some() { "what is known of it stays" } else { "it is left out" };
                    tracing::warn!("{failure}; {fate}, and it is asked for again every few minutes");
                }
                let delay = self.retry.refused();
                // A server that starts may not know its resources yet; one that goes on not to has removed this one.
                if code != FORBIDDEN && self.position.is_some() && self.retry.is_refused_for_long() {
                    tracing::warn!("the server has not had it for minutes: what was known of it is dropped");
                    self.position = None;
                    self.objects.begin();
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

    /// What the server said before is void: the next list replaces it, whatever its versions.
    fn start_over(&mut self) {
        self.stuck = 0;
        self.position = None;
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
}

/// A server without streaming lists refuses their parameters.
fn no_streaming(failure: Failure) -> Failure {
    match failure {
        Failure::Status { code: 400 | 422, message, .. } => Failure::NoStreaming { why: message, for_good: true },
        other => other,
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
