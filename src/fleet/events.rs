//! The Kubernetes Events of a member: which of its notices become one, and how many.
//!
//! Events are for people who look at the StatefulSet (`kubectl describe`). They are best effort: a bounded queue, a rate limit, one
//! Event for equal notices, a few attempts. Nothing waits for them. `api::events` posts them.
//!
//! May not know the API server.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::handover::{Notice, Topic};
use crate::shown;
use crate::token_bucket::Limit;

/// The most Events that wait to be posted. More are dropped.
const MAX_QUEUED: usize = 64;
/// The longest note that the API server accepts, in bytes (`NoteLengthLimit` in `pkg/apis/core/validation/events.go`).
const NOTE_BYTES: usize = 1024;
/// The rate of requests of one member. The burst is that of client-go's `EventSourceObjectSpamFilter` (`defaultSpamBurst` in
/// `tools/record/events_cache.go`). client-go returns one token in 5 minutes (`defaultSpamQPS`), which would hide most of the
/// handovers of a rolling update: the coordinator alone reports them all. With this rate an API server that keeps Events for an
/// hour, the default, holds at most 385 of a member.
pub(super) const RATE: Limit = Limit { interval: Duration::from_secs(10), burst: 25 };
/// How long equal notices are counted in one Event after the last of them (`finishTime` in client-go's
/// `tools/events/event_broadcaster.go`).
const SAME_EVENT: Duration = Duration::from_secs(6 * 60);
/// The most Events that are remembered for that.
const MAX_REMEMBERED: usize = 64;

/// An Event to post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Its reason, in upper camel case.
    pub reason: &'static str,
    /// What the member did, in upper camel case.
    pub action: &'static str,
    /// Whether its type is `Warning`; otherwise it is `Normal`.
    pub warning: bool,
    /// Whether it is about this member alone.
    pub of_member: bool,
    /// The text.
    pub note: String,
    /// When it occurred, in Unix milliseconds.
    pub at: u64,
}

impl Announcement {
    /// Returns the Event of a notice; `None` if the notice is for the log alone. Of what concerns the whole fleet, the coordinator
    /// alone posts an Event.
    fn of(notice: &Notice, coordinator: bool, ordinal: u32, at: u64) -> Option<Self> {
        let topic = notice.topic.filter(|topic| coordinator || topic.is_of_member())?;
        let (reason, action) = names(topic);
        let of_member = topic.is_of_member();
        let note = if of_member { format!("member {ordinal}: {notice}") } else { notice.text.clone() };
        Some(Self { reason, action, warning: notice.warning, of_member, note: shown::within(&note, NOTE_BYTES), at })
    }
}

/// The reason and the action of the Events about a topic.
const fn names(topic: Topic) -> (&'static str, &'static str) {
    match topic {
        Topic::HandoverCompleted => ("HandoverCompleted", "Handover"),
        Topic::MemberDismissed => ("MemberDismissed", "Dismiss"),
        Topic::RangesUntaken => ("RangesUntaken", "Handover"),
        Topic::NoRoom => ("NoRoom", "Handover"),
        Topic::HandoverBlocked => ("HandoverBlocked", "Handover"),
        Topic::HandoversPaused => ("HandoversPaused", "FollowInstructions"),
        Topic::HandoversResumed => ("HandoversResumed", "FollowInstructions"),
        Topic::InstructionsChanged => ("InstructionsChanged", "FollowInstructions"),
        Topic::InstructionIgnored => ("InstructionIgnored", "FollowInstructions"),
        Topic::TooManyReplicas => ("TooManyReplicas", "Handover"),
        Topic::RecordRewritten => ("RecordRewritten", "WriteRecord"),
        Topic::Superseded => ("Superseded", "Verify"),
        Topic::Rejoining => ("Rejoining", "Verify"),
        Topic::QuorumLost => ("QuorumLost", "Confirm"),
        Topic::QuorumRegained => ("QuorumRegained", "Confirm"),
    }
}

/// What became of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The API server has it.
    Posted,
    /// The rate limit dropped it.
    RateLimited,
    /// Too many waited.
    QueueFull,
    /// The permission to post it is missing.
    Forbidden,
    /// The API server did not accept it, or did not answer.
    Failed,
}

impl Outcome {
    /// All outcomes.
    const ALL: [Self; 5] = [Self::Posted, Self::RateLimited, Self::QueueFull, Self::Forbidden, Self::Failed];

    /// Returns its name in metrics.
    const fn name(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::RateLimited => "rate_limited",
            Self::QueueFull => "queue_full",
            Self::Forbidden => "forbidden",
            Self::Failed => "failed",
        }
    }
}

/// The number of Events by what became of them.
#[derive(Debug, Default)]
struct Counts([AtomicU64; Outcome::ALL.len()]);

impl Counts {
    fn note(&self, outcome: Outcome) {
        self.0[outcome as usize].fetch_add(1, Relaxed);
    }
}

/// The Events of a member that wait to be posted, and what became of earlier ones.
#[derive(Debug)]
pub struct EventQueue {
    /// `None` if the member posts no Events.
    queue: Option<mpsc::Sender<Announcement>>,
    counts: Arc<Counts>,
}

/// The receiver of a queue of Events.
#[derive(Debug)]
pub(super) struct EventInbox {
    queue: mpsc::Receiver<Announcement>,
    counts: Arc<Counts>,
}

/// Returns both ends of a queue. If it is not `enabled`, nothing arrives.
pub(super) fn queue(enabled: bool) -> (EventQueue, EventInbox) {
    let (sender, receiver) = mpsc::channel(MAX_QUEUED);
    let counts = Arc::<Counts>::default();
    let queue = EventQueue { queue: enabled.then_some(sender), counts: Arc::clone(&counts) };
    (queue, EventInbox { queue: receiver, counts })
}

impl EventQueue {
    /// Queues an Event for each of these notices of a member that needs one.
    pub(super) fn announce(&self, notices: &[Notice], coordinator: bool, ordinal: u32, at: u64) {
        for notice in notices {
            if let Some(event) = Announcement::of(notice, coordinator, ordinal, at) {
                self.put(event);
            }
        }
    }

    /// Queues the Event that a resource is degraded on this member, or is no longer (`trouble` is `None`). `trouble` is the kind of
    /// failure, without values.
    pub(super) fn announce_resource(&self, resource: &str, trouble: Option<&str>, ordinal: u32, at: u64) {
        let (reason, note) = match trouble {
            Some(trouble) => (
                "ResourceDegraded",
                format!(
                    "member {ordinal}: resource {resource} is degraded ({trouble}): its requests fail, those of other resources \
                     succeed, and readiness and handovers do not wait for it"
                ),
            ),
            None => ("ResourceRecovered", format!("member {ordinal}: resource {resource} is no longer degraded")),
        };
        let note = shown::within(&note, NOTE_BYTES);
        let (warning, of_member) = (trouble.is_some(), true);
        self.put(Announcement { reason, action: "Watch", warning, of_member, note, at });
    }

    /// Queues the Event that a handover took place before these scrapers of this member came.
    pub(super) fn announce_missed_scrapers(&self, scrapers: &str, ordinal: u32, at: u64) {
        let note = format!(
            "member {ordinal}: the objects moved before these scrapers had come: {scrapers}; their series may have a gap, and \
             alerts may start again"
        );
        let note = shown::within(&note, NOTE_BYTES);
        let (reason, action) = ("ScrapersMissed", "Handover");
        self.put(Announcement { reason, action, warning: true, of_member: true, note, at });
    }

    fn put(&self, event: Announcement) {
        let Some(queue) = &self.queue else { return };
        // It is closed only during shutdown.
        if let Err(mpsc::error::TrySendError::Full(_)) = queue.try_send(event) {
            self.counts.note(Outcome::QueueFull);
        }
    }

    /// Returns the number of Events by the name of their outcome.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Outcome::ALL.into_iter().map(|outcome| (outcome.name(), self.counts.0[outcome as usize].load(Relaxed)))
    }
}

impl EventInbox {
    /// Returns the next Event; `None` if no more can come.
    pub async fn recv(&mut self) -> Option<Announcement> {
        self.queue.recv().await
    }

    /// Counts an Event.
    pub fn note(&self, outcome: Outcome) {
        self.counts.note(outcome);
    }
}

/// An Event that the API server has, and that may be counted up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remembered {
    /// Its name.
    pub name: String,
    /// How often it has occurred.
    pub count: i32,
    reason: &'static str,
    note: String,
    last: Instant,
}

/// The last posted Events.
#[derive(Debug, Default)]
pub(super) struct Memory(VecDeque<Remembered>);

impl Memory {
    /// Returns the Event that says the same, if it occurred a short time ago.
    pub fn same(&self, event: &Announcement, now: Instant) -> Option<&Remembered> {
        self.0
            .iter()
            .find(|it| (it.reason, &it.note) == (event.reason, &event.note) && now.duration_since(it.last) < SAME_EVENT)
    }

    /// Remembers an Event that was posted under `name`, for the `count`th time.
    pub fn remember(&mut self, event: &Announcement, name: String, count: i32, now: Instant) {
        self.forget(&name);
        if self.0.len() == MAX_REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back(Remembered { name, count, reason: event.reason, note: event.note.clone(), last: now });
    }

    /// Forgets the Event of this name.
    pub fn forget(&mut self, name: &str) {
        self.0.retain(|it| it.name != name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(topic: Option<Topic>, text: &str) -> Notice {
        Notice { warning: topic.is_some_and(Topic::is_warning), text: text.to_owned(), topic }
    }

    fn received(inbox: &mut EventInbox) -> Vec<Announcement> {
        std::iter::from_fn(|| inbox.queue.try_recv().ok()).collect()
    }

    #[test]
    fn the_coordinator_reports_the_fleet_and_each_member_itself() {
        let (events, mut inbox) = queue(true);
        let notices = [
            notice(Some(Topic::HandoverCompleted), "generation 3 is current"),
            notice(Some(Topic::QuorumLost), "serving\nnothing"),
            notice(None, "for the log"),
        ];
        events.announce(&notices, false, 2, 7);
        let own = Announcement {
            reason: "QuorumLost",
            action: "Confirm",
            warning: true,
            of_member: true,
            note: "member 2: serving\\nnothing".to_owned(),
            at: 7,
        };
        assert_eq!(received(&mut inbox), std::slice::from_ref(&own));
        events.announce(&notices, true, 2, 7);
        let fleet = Announcement {
            reason: "HandoverCompleted",
            action: "Handover",
            warning: false,
            of_member: false,
            note: "generation 3 is current".to_owned(),
            at: 7,
        };
        assert_eq!(received(&mut inbox), [fleet, own]);
        events.announce_resource("pods", Some("timeout"), 2, 7);
        events.announce_resource("pods", None, 2, 7);
        events.announce_missed_scrapers("10.0.0.1", 2, 7);
        let reasons: Vec<_> = received(&mut inbox).into_iter().map(|it| (it.reason, it.warning)).collect();
        assert_eq!(reasons, [("ResourceDegraded", true), ("ResourceRecovered", false), ("ScrapersMissed", true)]);
    }

    #[test]
    fn notes_and_the_queue_are_bounded() {
        let (events, mut inbox) = queue(true);
        let notices = vec![notice(Some(Topic::HandoverBlocked), &"é\n".repeat(9999)); MAX_QUEUED + 3];
        events.announce(&notices, true, 0, 0);
        let received = received(&mut inbox);
        assert!(received.iter().all(|it| it.note.len() <= NOTE_BYTES && !it.note.contains('\n')));
        assert_eq!(received.len(), MAX_QUEUED);
        assert_eq!(events.counts().find(|(name, _)| *name == "queue_full"), Some(("queue_full", 3)));
        let (off, mut inbox) = queue(false);
        off.announce(&notices, true, 0, 0);
        assert!(self::received(&mut inbox).is_empty() && off.counts().all(|(_, count)| count == 0));
    }

    #[tokio::test(start_paused = true)]
    async fn equal_notices_of_a_short_time_are_one_event() {
        let mut memory = Memory::default();
        let (events, mut inbox) = queue(true);
        events.announce(&[notice(Some(Topic::NoRoom), "a"), notice(Some(Topic::NoRoom), "b")], true, 0, 0);
        let [a, b]: [Announcement; 2] = received(&mut inbox).try_into().expect("two");
        memory.remember(&a, "x".to_owned(), 1, Instant::now());
        assert_eq!(memory.same(&b, Instant::now()), None);
        assert_eq!(memory.same(&a, Instant::now()).map(|it| it.count), Some(1));
        tokio::time::advance(SAME_EVENT - Duration::from_secs(1)).await;
        memory.remember(&a, "x".to_owned(), 2, Instant::now());
        tokio::time::advance(SAME_EVENT - Duration::from_secs(1)).await;
        assert_eq!(memory.same(&a, Instant::now()).map(|it| it.count), Some(2));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(memory.same(&a, Instant::now()), None);
        for i in 0..2 * MAX_REMEMBERED {
            memory.remember(&b, i.to_string(), 1, Instant::now());
        }
        assert_eq!(memory.0.len(), MAX_REMEMBERED);
    }
}
