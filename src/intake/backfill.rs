//! What a source gains while its watch runs: a list aside, which disturbs nothing of what is known.
//!
//! The watch hands over the events of what is gained from before that list is asked for, and the list is no older than
//! what the watch had come to by then: whatever the list misses, the watch tells. A list of the source itself speaks for what
//! is gained as well, and makes this one void.
//!
//! It is one answer from the server's cache, which is complete a second earlier than a streaming list: that one ends with
//! a bookmark, and the server sends those once a second. What was lost in a crash is not to wait for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::time::sleep;

use super::api::{Api, Opened, STREAMING_SILENCE, count, no_streaming};
use super::failure::Failure;
use super::frames::{ListFrames, WatchFrames};
use super::objects::{Objects, Page, Progress};
use super::request::RequestKind;
use super::retry::Retry;
use super::shard_state::{Backfill, ShardState};

/// Lists of several members that gain, and of their many resources, begin within this time and not all at once. What is
/// lost in a crash has to be back within three seconds, so there is no more to spare.
const STAGGER: Duration = Duration::from_millis(200);

/// Lists what is gained.
pub struct Backfiller {
    api: Arc<Api>,
    objects: Objects,
    retry: Retry,
    stirred: Receiver<()>,
    /// The next list is asked for as a stream: what is too much for one answer may arrive so.
    stream_next: bool,
}

impl Backfiller {
    /// For a source, with the objects of its second sink.
    pub fn new(api: Arc<Api>, objects: Objects) -> Self {
        let stirred = api.source.shard.wakeups();
        Self { api, objects, retry: Retry::default(), stirred, stream_next: false }
    }

    /// Lists whatever is gained, again until it succeeds or is of no use any more.
    pub async fn run(mut self) -> std::convert::Infallible {
        loop {
            self.stirred.mark_unchanged();
            let api = Arc::clone(&self.api);
            let Some(backfill) = api.source.shard.begin_backfill() else {
                // The sender lives as long as the source, so this never fails.
                let _ = self.stirred.changed().await;
                continue;
            };
            let voided = voided(&api.source.shard, &backfill);
            let listed = tokio::select! {
                biased;
                () = voided => Ok(()),
                listed = self.list(&backfill) => listed,
            };
            // Does nothing where the list is whole.
            self.objects.give_up();
            if let Err(failure) = listed {
                let delay = self.failed(&failure);
                sleep(delay).await;
            }
        }
    }

    /// Makes one list.
    async fn list(&mut self, backfill: &Backfill) -> Result<(), Failure> {
        sleep(STAGGER.mul_f64(fastrand::f64())).await;
        let api = Arc::clone(&self.api);
        let shard = &api.source.shard;
        if !shard.is_current(backfill) {
            return Ok(());
        }
        // From here on deletions are remembered; all before them are in a list that is as new as this.
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
        self.objects.done(&version);
        shard.finish_backfill(backfill);
        self.retry.succeeded();
        count(&api.status.lists);
        tracing::debug!(objects = self.objects.listed(), version, "listed what was gained");
        Ok(())
    }

    /// Lists by a watch that starts with all objects; returns the resourceVersion, `None` if the list became void.
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
            let chunk = match answer.chunk().await {
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
                // What follows the end is for the watch to tell.
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

    /// Lists in one answer, which comes from the server's cache where pages may not; returns as [`Backfiller::stream`].
    async fn plain(&mut self, backfill: &Backfill, at_least: u64) -> Result<Option<String>, Failure> {
        let api = Arc::clone(&self.api);
        let limit = Some(api.source.object_limit).filter(|limit| *limit != 0);
        let Opened { mut answer, .. } =
            api.open(RequestKind::Page { limit, from: "", at_least }, &backfill.slice).await?;
        let mut page = Page::default();
        let mut frames = ListFrames::new(answer.encoding);
        while let Some(chunk) = answer.chunk().await? {
            if !api.source.shard.is_current(backfill) {
                return Ok(None);
            }
            let objects = &mut self.objects;
            frames.feed(&chunk, |part| objects.list_part(&backfill.slice, answer.encoding, part, &mut page))?;
        }
        frames.finish()?;
        if page.version.is_empty() {
            return Err(Failure::WrongForm("a list without a resourceVersion".to_owned()));
        }
        Ok(Some(page.version))
    }

    /// Draws the consequences of a failure; returns how long to wait.
    fn failed(&mut self, failure: &Failure) -> Duration {
        match failure {
            Failure::NoStreaming { for_good, .. } => {
                if *for_good {
                    self.api.stop_streaming();
                }
                tracing::info!("{failure}; what was gained is listed without");
                return Duration::ZERO;
            }
            Failure::WrongForm(what) => self.objects.wrong_form(what),
            Failure::Broken(_) | Failure::Frames(_) | Failure::Silent(_) | Failure::Status { code: 504, .. } => {
                self.stream_next = true;
            }
            _ => {}
        }
        count(&self.api.status.list_errors);
        let delay = match failure {
            Failure::Status { retry_after, .. } => self.retry.failed(*retry_after),
            _ => self.retry.failed(None),
        };
        if self.retry.is_news() {
            tracing::warn!(?delay, "what was gained is not listed yet: {failure}; retrying");
        }
        delay
    }
}

/// Ends when a list aside is of no use any more.
async fn voided(shard: &ShardState, backfill: &Backfill) {
    let mut stirred = shard.wakeups();
    while shard.is_current(backfill) {
        // The sender lives as long as the source, so this never fails.
        let _ = stirred.changed().await;
    }
}
