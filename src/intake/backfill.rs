//! Backfills the part that a shard gains while its watch runs, with a list that leaves the known objects alone.
//!
//! The source applies watch events of the new part before it requests the list, and the list is at least as new as the watch
//! was then. Every change that the list misses therefore comes with the watch. A full list of the source covers
//! the new part as well, and cancels the backfill.
//!
//! The list is a single response from the server's cache. It completes a second earlier than a streaming list, which ends with
//! a bookmark: the server sends one bookmark per second. Objects of a crashed replica should not wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use super::api::{Api, Opened, PAGE_TIMEOUT, STREAMING_SILENCE, STREAMING_TIMEOUT, count, no_streaming};
use super::failure::Failure;
use super::frames::{ListFrames, WatchFrames};
use super::objects::{Objects, Page, Progress};
use super::request::RequestKind;
use super::retry::Retry;
use super::shard_state::{Backfill, ShardState};
use crate::resource_version::number;
use crate::sync::watch::Receiver;

/// Backfills of several replicas, and of their many resources, spread their start over this time. After a crash all objects
/// must be back within three seconds, which leaves no room for more.
const STAGGER: Duration = Duration::from_millis(200);

/// Makes the backfills of one source.
pub struct Backfiller {
    api: Arc<Api>,
    objects: Objects,
    retry: Retry,
    wakeups: Receiver<()>,
    /// Request the next list as a stream, because one large response failed.
    stream_next: bool,
}

impl Backfiller {
    /// `objects` feed the second sink of the source.
    pub fn new(api: Arc<Api>, objects: Objects) -> Self {
        let wakeups = api.source.shard.wakeups();
        Self { api, objects, retry: Retry::default(), wakeups, stream_next: false }
    }

    /// Runs each backfill until it succeeds or is cancelled.
    pub async fn run(mut self) -> std::convert::Infallible {
        loop {
            self.wakeups.mark_unchanged();
            let api = Arc::clone(&self.api);
            let Some(backfill) = api.source.shard.begin_backfill() else {
                // The sender lives as long as the source, so this never fails.
                let _ = self.wakeups.changed().await;
                continue;
            };
            let cancelled = cancelled(&api.source.shard, &backfill);
            let listed = tokio::select! {
                biased;
                () = cancelled => Ok(()),
                listed = self.list(&backfill) => listed,
            };
            // Does nothing after a complete list.
            self.objects.give_up();
            if let Err(failure) = listed {
                let delay = self.failed(&failure);
                sleep(delay).await;
            }
        }
    }

    /// Makes one attempt.
    async fn list(&mut self, backfill: &Backfill) -> Result<(), Failure> {
        sleep(STAGGER.mul_f64(fastrand::f64())).await;
        let api = Arc::clone(&self.api);
        let shard = &api.source.shard;
        if !shard.is_current(backfill) {
            return Ok(());
        }
        // The store remembers deletions from here on. Earlier ones are reflected in a list that is at least this new.
        let at_least = api.status.position.load(Ordering::Acquire);
        self.objects.begin_backfill(&backfill.slice, shard.synced());
        let version = if std::mem::take(&mut self.stream_next) && api.is_streaming() {
            self.stream(backfill, at_least).await?
        } else {
            self.plain(backfill, at_least).await?
        };
        let Some(version) = version else { return Ok(()) };
        if version.parse::<u64>().is_ok_and(|version| version < at_least) {
            return Err(Failure::Stale { version, at_least });
        }
        self.objects.take_taint();
        // The list may lack objects that the watch has not seen deleted yet. A server restored in between has to be noticed.
        api.status.newest_seen.fetch_max(number(&version), Ordering::Relaxed);
        api.backfilled.fetch_max(number(&version), Ordering::Relaxed);
        self.objects.done(&version);
        shard.finish_backfill(backfill);
        self.retry.succeeded();
        count(&api.status.lists);
        tracing::debug!(objects = self.objects.listed(), version, "backfilled");
        Ok(())
    }

    /// Lists by a watch that starts with all objects. Returns the resourceVersion, `None` if the backfill was cancelled.
    async fn stream(&mut self, backfill: &Backfill, at_least: u64) -> Result<Option<String>, Failure> {
        let api = Arc::clone(&self.api);
        let opened = api.open(RequestKind::StreamingList { at_least }, &backfill.slice).await.map_err(no_streaming);
        let Opened { mut answer, .. } = opened?;
        answer.set_silence(STREAMING_SILENCE);
        let encoding = answer.encoding;
        let mut frames = WatchFrames::new(encoding);
        let mut version = String::new();
        let mut whole = false;
        loop {
            let chunk = match api.chunk(&mut answer, Some(STREAMING_TIMEOUT)).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Err(Failure::no_end(Failure::ENDED)),
                Err(Failure::Silent(_)) => return Err(Failure::no_end(Failure::SILENT)),
                Err(failure) => return Err(failure),
            };
            if !api.source.shard.is_current(backfill) {
                return Ok(None);
            }
            let objects = &mut self.objects;
            frames.feed(&chunk, |frame| {
                // Later events belong to the watch.
                if whole {
                    return Ok(());
                }
                match objects.event(&backfill.slice, encoding, frame, true, &mut version)? {
                    Progress::InitialEventsEnd => whole = true,
                    Progress::Bookmark => return Err(Failure::early_bookmark()),
                    Progress::Object => {}
                }
                Ok(())
            })?;
            if whole {
                return Ok(Some(version));
            }
        }
    }

    /// Lists in one response, which the server can answer from its cache, unlike pages. Returns like [`Backfiller::stream`].
    async fn plain(&mut self, backfill: &Backfill, at_least: u64) -> Result<Option<String>, Failure> {
        let api = Arc::clone(&self.api);
        let limit = Some(api.source.object_limit).filter(|limit| *limit != 0);
        let Opened { mut answer, .. } =
            api.open(RequestKind::Page { limit, from: "", at_least }, &backfill.slice).await?;
        let mut page = Page::default();
        let mut frames = ListFrames::new(answer.encoding);
        while let Some(chunk) = api.chunk(&mut answer, Some(PAGE_TIMEOUT)).await? {
            if !api.source.shard.is_current(backfill) {
                return Ok(None);
            }
            let objects = &mut self.objects;
            frames.feed(&chunk, |part| objects.list_part(&backfill.slice, answer.encoding, part, &mut page))?;
        }
        frames.finish()?;
        page.check()?;
        Ok(Some(page.version))
    }

    /// Handles a failure and returns the delay before the next attempt.
    fn failed(&mut self, failure: &Failure) -> Duration {
        match failure {
            Failure::NoStreaming { for_good, .. } => {
                if *for_good {
                    self.api.stop_streaming();
                }
                tracing::info!("backfilling without a streaming list: {failure}");
                return Duration::ZERO;
            }
            Failure::WrongForm(what) => self.objects.wrong_form(what),
            Failure::Broken(_) | Failure::Frames(_) | Failure::Silent(_) | Failure::Status { code: 504, .. } => {
                self.stream_next = true;
            }
            _ => {}
        }
        self.api.source.shard.failed(failure);
        let status = &self.api.status;
        count(if failure.is_not_served() { &status.not_served } else { &status.list_errors });
        let delay = match failure {
            failure if failure.is_unreachable() => self.retry.unreachable(),
            Failure::Status { retry_after, .. } => self.retry.failed(*retry_after),
            _ => self.retry.failed(None),
        };
        if self.retry.is_news() {
            tracing::warn!(?delay, "backfill failed, retrying: {failure}");
        }
        delay
    }
}

/// Ends when the backfill is cancelled or replaced.
async fn cancelled(shard: &ShardState, backfill: &Backfill) {
    let mut wakeups = shard.wakeups();
    while shard.is_current(backfill) {
        // The sender lives as long as the source, so this never fails.
        let _ = wakeups.changed().await;
    }
}
