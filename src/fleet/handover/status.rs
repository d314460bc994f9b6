//! The state of the fleet that a member reports to telemetry, health checks and the fleet page.
//!
//! May not know how it is derived.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cause::Cause;
use crate::fleet::instructions::Instructions;
use crate::fleet::record::{Endpoint, Member};
use crate::sharding::{Hasher, Slice};

/// The progress of a change of the fleet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HandoverState {
    /// Every member that the StatefulSet wants serves its own share.
    #[default]
    Idle,
    /// A member that should serve is missing. The others take over its ranges as far as they have room.
    Waiting,
    /// Members load the ranges that the next generation gives them.
    Preparing,
    /// The moving series have a timestamp, and scrapers come once more (`--seamless-handover`).
    Stamping,
    /// The switch to the next generation is scheduled.
    Switching,
}

/// Whether Prometheus can notice a planned handover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ScrapeOutcome {
    /// All scrapers fetched the moving series with a timestamp.
    Seamless,
    /// A scraper did not come in time.
    TimedOut,
    /// There was no timestamp: no scraper was known, or the coordinator does not know of timestamps.
    Plain,
}

impl ScrapeOutcome {
    /// All outcomes.
    pub const ALL: [Self; 3] = [Self::Seamless, Self::TimedOut, Self::Plain];

    /// Returns its name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seamless => "seamless",
            Self::TimedOut => "timed_out",
            Self::Plain => "plain",
        }
    }
}

/// A change of the current assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The generation that it led to.
    pub generation: u64,
    /// Why it changed.
    pub cause: Cause,
    /// What members that do not run any more left behind, if others took it at once.
    pub lost: Option<Lost>,
}

/// The ranges of members that do not run any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The ranges that others took.
    pub taken: Slice,
    /// The last moment at which all of these members certainly ran (boot time).
    pub alive_at: Duration,
}

/// The fleet as one member sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The current generation, 0 before the first one.
    pub generation: u64,
    /// The number of shards in it.
    pub total: u32,
    /// The hash that assigns UIDs in it.
    pub hash: Hasher,
    /// The slice that this member owns in it, whether or not it may expose it.
    pub owned: Slice,
    /// How many members serve their own share.
    pub present: u32,
    /// The ordinals whose ranges other members serve.
    pub absent: Vec<u32>,
    /// The absent ordinals whose ranges no member may take over.
    pub untaken: Vec<u32>,
    /// The number of replicas in the spec of the StatefulSet.
    pub replicas: Option<u32>,
    /// What the annotations of the StatefulSet ask for.
    pub instructions: Instructions,
    /// Whether this member is the coordinator.
    pub coordinator: bool,
    /// The progress of a change.
    pub handover: HandoverState,
    /// For how long the fleet has differed from the StatefulSet's spec.
    pub pending: Option<Duration>,
    /// The ordinals that block a change.
    pub waiting_for: Vec<u32>,
    /// For how long each of them has done so.
    pub blocked_for: BTreeMap<u32, Duration>,
    /// While the moving series have a timestamp: the ordinals of members of which a scraper has not seen it.
    pub unscraped: Vec<u32>,
    /// With `--seamless-handover`: the number of planned handovers since this process started, by outcome.
    pub scrape_outcomes: Option<BTreeMap<ScrapeOutcome, u64>>,
    /// The other live members, including absent ones.
    pub peers: Vec<Member>,
    /// The recipients of heartbeats: every known member that has not left and whose Lease or messages are recent.
    pub contacts: Vec<Member>,
    /// How many live members answered a recent heartbeat.
    pub answering: u32,
    /// The time since the API server last confirmed this member's facts.
    pub confirmed_age: Option<Duration>,
    /// Whether that is so long ago that other members may serve the objects of this one.
    pub isolated: bool,
    /// Whether this member exposes nothing for that reason (`--on-lost-quorum=refuse`).
    pub refuses: bool,
    /// Whether this process was paused, and exposes nothing until it has read the news.
    pub awaits_news: bool,
    /// How often the current generation changed since this process started, by cause.
    pub handovers: BTreeMap<Cause, u64>,
    /// The time since its last change.
    pub since_handover: Option<Duration>,
    /// Its last change.
    pub change: Option<Change>,
    /// Whether this member serves, and has loaded its share of the current generation.
    pub loaded: bool,
    /// Whether this process was asked to terminate.
    pub leaving: bool,
    /// Whether another process may run in place of this one.
    pub superseded: bool,
    /// Why the newest record of the fleet cannot be read.
    pub unreadable_record: Option<String>,
    /// How long the last planned change took, from its proposal to its switch.
    pub last_handover: Option<Duration>,
}

impl Status {
    /// Returns how to reach each of `ordinals` and each live member, `None` where that is unknown.
    pub fn endpoints(&self, ordinals: impl IntoIterator<Item = u32>) -> BTreeMap<u32, Option<Endpoint>> {
        let live = self.peers.iter().map(|member| member.id.ordinal);
        let mut endpoints: BTreeMap<_, _> = ordinals.into_iter().chain(live).map(|ordinal| (ordinal, None)).collect();
        for member in self.peers.iter().chain(&self.contacts) {
            if let Some(endpoint @ None) = endpoints.get_mut(&member.id.ordinal) {
                *endpoint = member.endpoint();
            }
        }
        endpoints
    }
}
