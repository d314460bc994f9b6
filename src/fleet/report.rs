//! What replicas say of themselves for people to look at, and what one finds out by asking all of them.
//!
//! A [`Report`] is what a replica says of itself, an [`Overview`] is what follows from those of all. The numbers of an overview
//! are of slightly different moments; whether objects are exposed once is proven elsewhere (`audit`), and only quoted here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::join_all;
use serde::{Deserialize, Serialize};

use super::coverage::State;
use super::door::{self, Door};
use super::handover::HandoverState;

/// How long a replica may take to answer: somebody is looking at a page meanwhile.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an answer may be in bytes: a hundred resources make a tenth of it.
const LONGEST: usize = 256 << 10;

/// What a replica says of itself: `GET /fleet/replica` on the telemetry port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Report {
    /// Version of the program.
    pub version: String,
    /// Name of its pod, if it was told.
    pub pod: Option<String>,
    /// Its shard.
    pub ordinal: u32,
    /// How many shards there are, 0 while it does not know.
    pub shards: u32,
    /// The share of all UIDs that it exposes, from 0 to 1.
    pub share: f64,
    /// Whether it is ready, as `/readyz` says.
    pub ready: bool,
    /// What it waits for until then.
    pub waits_for: Vec<String>,
    /// The port of its `/metrics`.
    pub metrics_port: u16,
    /// Resident memory in bytes, where the system tells.
    pub memory: Option<u64>,
    /// How long it has run, in seconds.
    pub uptime: u64,
    /// What it was asked to do beyond the defaults.
    pub enabled: Vec<Feature>,
    /// Its part in a fleet; nothing outside of one.
    pub part: Option<Part>,
    /// What it watches, in the order of `/metrics`.
    pub resources: Vec<Kept>,
}

/// Something that is switched on, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Feature {
    /// The flag without dashes, for example `namespaces`.
    pub name: String,
    /// Its value in a few words; empty where it is just on.
    pub value: String,
}

/// What a replica keeps and knows of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Kept {
    /// The plural.
    pub resource: String,
    /// Objects that it exposes.
    pub owned: u64,
    /// Objects of all shards that it sees; nothing where the API server leaves out what others own, or nobody counts.
    pub seen: Option<u64>,
    /// Whether it is loaded, or refused.
    pub loaded: bool,
    /// The HTTP status by which the API server refuses it.
    pub refused: Option<u16>,
    /// How many seconds ago the API server last said anything about it.
    pub silent: Option<u64>,
}

/// A replica's part in its fleet, and what it knows of the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Part {
    /// `namespace/name` of the StatefulSet.
    pub fleet: String,
    /// Whether it agrees with others about who exposes what; else it goes by the StatefulSet alone.
    pub coordinated: bool,
    /// Whether it decides for the fleet.
    pub coordinator: bool,
    /// Whether it has heard from nobody for so long that it exposes nothing.
    pub isolated: bool,
    /// Whether it was told to end.
    pub leaving: bool,
    /// Who exposes what, by number; 0 for none.
    pub generation: u64,
    /// Replicas that the StatefulSet wants.
    pub wanted: Option<u32>,
    /// The ordinals whose objects others expose.
    pub absent: Vec<u32>,
    /// Of these, whose objects nobody exposes for want of memory.
    pub untaken: Vec<u32>,
    /// The handover that is under way, and the last one.
    pub handover: Handover,
    /// What the audit has shown of each resource; of the coordinator only.
    pub cover: Vec<Cover>,
}

/// How objects change hands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Handover {
    /// How it stands.
    pub state: HandoverState,
    /// The ordinals that it waits for.
    pub waiting_for: Vec<u32>,
    /// For how many seconds the fleet has not been as its StatefulSet wants it.
    pub pending: Option<f64>,
    /// How many seconds ago the last one ended, as far as this replica was there.
    pub last: Option<f64>,
    /// How many seconds that took, if it was planned.
    pub took: Option<f64>,
    /// How many there were since this replica started.
    pub count: u64,
}

/// What is proven of a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cover {
    /// The plural.
    pub resource: String,
    /// That.
    pub verdict: Verdict,
    /// How many seconds ago that was proven.
    pub age: u64,
}

/// Whether each object of a resource is exposed once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// Nobody has asked yet, or nobody does.
    #[default]
    Unknown,
    /// Each once.
    Exact,
    /// Some are exposed by nobody.
    Missing,
    /// Some are exposed more than once.
    Doubled,
    /// Some by nobody and some more than once.
    MissingAndDoubled,
    /// There was no proof for minutes.
    Unproven,
}

impl From<State> for Verdict {
    fn from(state: State) -> Self {
        match state {
            State { unproven: true, .. } => Self::Unproven,
            State { missing: true, doubled: true, .. } => Self::MissingAndDoubled,
            State { missing: true, .. } => Self::Missing,
            State { doubled: true, .. } => Self::Doubled,
            State { exact: true, .. } => Self::Exact,
            State { .. } => Self::Unknown,
        }
    }
}

/// The whole fleet, as one replica finds it: `GET /fleet` on the metrics port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overview {
    /// `namespace/name` of the StatefulSet; nothing outside a fleet.
    pub fleet: Option<String>,
    /// Who found it out.
    pub answered_by: u32,
    /// Version of the program that did.
    pub version: String,
    /// Whether replicas agree about who exposes what.
    pub coordinated: bool,
    /// How many shards there are.
    pub shards: u32,
    /// Replicas that the StatefulSet wants.
    pub wanted: Option<u32>,
    /// Who exposes what, by number; 0 for none.
    pub generation: u64,
    /// How a change of that stands.
    pub handover: Handover,
    /// By ordinal: all that there are or should be. Outside a fleet, the one that was asked.
    pub replicas: Vec<Replica>,
    /// All that any of them watches.
    pub resources: Vec<Resource>,
    /// What the replica that found this out was asked to do beyond the defaults.
    pub enabled: Vec<Feature>,
}

/// One replica of an [`Overview`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replica {
    /// Its shard.
    pub ordinal: u32,
    /// Name of its pod, if it is known.
    pub pod: Option<String>,
    /// How it is.
    pub standing: Standing,
    /// What is wrong, or what it waits for.
    pub notes: Vec<String>,
    /// Whether it decides for the fleet.
    pub coordinator: bool,
    /// `ip:port` of its `/metrics`, if it answered.
    pub metrics: Option<String>,
    /// The share of all UIDs that it exposes, from 0 to 1.
    pub share: f64,
    /// Objects that it exposes, of all resources.
    pub objects: u64,
    /// Resident memory in bytes.
    pub memory: Option<u64>,
    /// How long it has run, in seconds.
    pub uptime: Option<u64>,
}

/// How a replica is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Standing {
    /// It does not answer.
    #[default]
    Silent,
    /// It is not there yet, and has no share before it is.
    Expected,
    /// It is not there, and others expose what would be its objects.
    Absent,
    /// It is not there, and nobody has the memory for its objects.
    Untaken,
    /// It answers, and exposes what is its.
    Serving,
    /// It loads.
    Loading,
    /// It has loaded, and waits for its fleet.
    Waiting,
    /// It has heard from nobody for so long that it exposes nothing.
    Isolated,
    /// It was told to end, and exposes what others have not taken over yet.
    Leaving,
}

/// One resource of an [`Overview`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// The plural.
    pub resource: String,
    /// Objects that the replicas that answered expose, all together.
    pub owned: u64,
    /// The same by ordinal.
    pub by_replica: BTreeMap<u32, u64>,
    /// Objects in the cluster, as far as one replica sees all of them.
    pub seen: Option<u64>,
    /// What the last audit has shown.
    pub cover: Verdict,
    /// How many seconds ago it did.
    pub cover_age: Option<u64>,
    /// Whether all replicas that answered have loaded it.
    pub loaded: bool,
    /// The HTTP status by which the API server refuses it.
    pub refused: Option<u16>,
    /// How many seconds ago the API server last said anything about it, to the replica that waits for longest.
    pub silent: Option<u64>,
}

/// Asks `others`, by ordinal at their telemetry ports, and puts together what they and `own` say.
pub async fn survey(own: Report, others: BTreeMap<u32, Option<String>>, door: &dyn Door) -> Overview {
    let asked = others.into_iter().map(|(ordinal, address)| async move {
        let answer = match &address {
            None => Err("nobody knows its address".to_owned()),
            Some(address) => door::ask_for(door, address, door::REPLICA, None, (LONGEST, PATIENCE)).await,
        };
        (ordinal, address, answer)
    });
    let answers = join_all(asked).await;
    put_together(own, answers)
}

/// What one other replica answered, and where.
type Answer = (u32, Option<String>, Result<Report, String>);

fn put_together(own: Report, answers: Vec<Answer>) -> Overview {
    let fleet = own.part.as_ref().map(|part| part.fleet.clone());
    let of_ours = |(ordinal, address, answer): Answer| {
        (ordinal, address, answer.and_then(|report| of_this_fleet(report, fleet.as_deref())))
    };
    let answers: Vec<_> = answers.into_iter().map(of_ours).collect();
    let own_part = own.part.clone().unwrap_or_default();
    // Whoever has heard of a newer generation knows more.
    let parts = answers.iter().filter_map(|(_, _, answer)| answer.as_ref().ok()?.part.clone());
    let newest = parts.fold(own_part, |best, part| if part.generation > best.generation { part } else { best });
    let mut overview = Overview {
        fleet,
        answered_by: own.ordinal,
        version: own.version.clone(),
        coordinated: newest.coordinated,
        shards: own.shards,
        wanted: newest.wanted,
        generation: newest.generation,
        handover: newest.handover.clone(),
        enabled: own.enabled.clone(),
        ..Overview::default()
    };
    let mut resources = Resources::default();
    let ordinal = own.ordinal;
    for (ordinal, address, answer) in std::iter::once((ordinal, None, Ok(own))).chain(answers) {
        overview.replicas.push(match answer {
            Ok(report) => {
                resources.add(ordinal, &report);
                answering(ordinal, address.as_deref(), report)
            }
            Err(_) if ordinal >= overview.shards => to_come(ordinal),
            Err(problem) => missing(ordinal, &newest, problem),
        });
    }
    overview.replicas.sort_by_key(|replica| replica.ordinal);
    overview.resources = resources.finish();
    overview
}

/// Addresses of pods are given to others when they end.
fn of_this_fleet(report: Report, fleet: Option<&str>) -> Result<Report, String> {
    let theirs = report.part.as_ref().map(|part| part.fleet.as_str());
    if theirs == fleet {
        return Ok(report);
    }
    Err(format!("who answers there is of {}", theirs.unwrap_or("no fleet")))
}

fn answering(ordinal: u32, address: Option<&str>, report: Report) -> Replica {
    let part = report.part.clone().unwrap_or_default();
    let standing = if part.leaving {
        Standing::Leaving
    } else if part.isolated {
        Standing::Isolated
    } else if report.ready {
        Standing::Serving
    } else if report.resources.iter().any(|kept| !kept.loaded) {
        Standing::Loading
    } else {
        Standing::Waiting
    };
    let at = address.and_then(|address| address.parse::<SocketAddr>().ok());
    Replica {
        ordinal,
        pod: report.pod,
        standing,
        notes: report.waits_for,
        coordinator: part.coordinator,
        metrics: at.map(|at| SocketAddr::new(at.ip(), report.metrics_port).to_string()),
        share: report.share,
        objects: report.resources.iter().map(|kept| kept.owned).sum(),
        memory: report.memory,
        uptime: Some(report.uptime),
    }
}

/// One that the StatefulSet wants, and that has no share yet.
fn to_come(ordinal: u32) -> Replica {
    let note = "it is not there yet, and has no share".to_owned();
    Replica { ordinal, standing: Standing::Expected, notes: vec![note], ..Replica::default() }
}

fn missing(ordinal: u32, part: &Part, problem: String) -> Replica {
    let (standing, note) = if part.untaken.contains(&ordinal) {
        (Standing::Untaken, "nobody has the memory for its objects".to_owned())
    } else if part.absent.contains(&ordinal) {
        (Standing::Absent, "others expose its objects".to_owned())
    } else {
        (Standing::Silent, problem)
    };
    Replica { ordinal, standing, notes: vec![note], ..Replica::default() }
}

/// The resources of all replicas, in the order in which they come up.
#[derive(Debug, Default)]
struct Resources {
    all: Vec<Resource>,
    cover: BTreeMap<String, Cover>,
}

impl Resources {
    fn add(&mut self, ordinal: u32, report: &Report) {
        for kept in &report.resources {
            let at = self.all.iter().position(|known| known.resource == kept.resource).unwrap_or_else(|| {
                self.all.push(Resource { resource: kept.resource.clone(), loaded: true, ..Resource::default() });
                self.all.len() - 1
            });
            let known = &mut self.all[at];
            known.owned += kept.owned;
            known.by_replica.insert(ordinal, kept.owned);
            known.seen = known.seen.max(kept.seen);
            known.loaded &= kept.loaded;
            known.refused = known.refused.or(kept.refused);
            known.silent = known.silent.max(kept.silent);
        }
        let part = report.part.iter().filter(|part| part.coordinator);
        self.cover.extend(part.flat_map(|part| &part.cover).map(|cover| (cover.resource.clone(), cover.clone())));
    }

    fn finish(mut self) -> Vec<Resource> {
        for resource in &mut self.all {
            if let Some(cover) = self.cover.get(&resource.resource) {
                (resource.cover, resource.cover_age) = (cover.verdict, Some(cover.age));
            }
        }
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ordinal: u32, generation: u64, owned: u64) -> Report {
        let kept = Kept { resource: "pods".to_owned(), owned, seen: Some(7), loaded: true, ..Kept::default() };
        let part = Part { generation, coordinated: true, absent: vec![2], ..Part::default() };
        Report {
            ordinal,
            shards: 3,
            ready: true,
            metrics_port: 8080,
            part: Some(part),
            resources: vec![kept],
            ..Report::default()
        }
    }

    #[test]
    fn what_all_say_is_added_up_and_the_newest_generation_counts() {
        let mut other = report(1, 5, 4);
        let exact = Cover { resource: "pods".to_owned(), verdict: Verdict::Exact, age: 9 };
        let part = other.part.as_mut().expect("it has one");
        (part.coordinator, part.cover) = (true, vec![exact]);
        (part.handover.state, other.resources[0].silent) = (HandoverState::Switching, Some(50));
        let overview = put_together(report(0, 4, 3), vec![(1, Some("10.0.0.2:8081".to_owned()), Ok(other))]);
        assert_eq!((overview.answered_by, overview.generation, overview.shards), (0, 5, 3));
        assert_eq!(overview.handover.state, HandoverState::Switching);
        let [pods] = &overview.resources[..] else { panic!("{overview:?}") };
        assert_eq!((pods.owned, pods.seen, pods.silent), (7, Some(7), Some(50)));
        assert_eq!(pods.by_replica, [(0, 3), (1, 4)].into());
        assert_eq!((pods.cover, pods.cover_age), (Verdict::Exact, Some(9)));
        assert_eq!(overview.replicas[1].metrics.as_deref(), Some("10.0.0.2:8080"));
        assert!(overview.replicas[1].coordinator && !overview.replicas[0].coordinator);
    }

    #[test]
    fn who_does_not_answer_is_shown_as_what_the_fleet_takes_it_for() {
        let mut own = report(1, 4, 3);
        let part = own.part.as_mut().expect("it has one");
        (part.absent, part.untaken) = (vec![2, 3], vec![3]);
        own.shards = 4;
        let silent = |ordinal| (ordinal, None, Err("refused".to_owned()));
        let overview = put_together(own, vec![silent(0), silent(2), silent(3), silent(4)]);
        let standings: Vec<_> = overview.replicas.iter().map(|replica| (replica.ordinal, replica.standing)).collect();
        let expected = [
            (0, Standing::Silent),
            (1, Standing::Serving),
            (2, Standing::Absent),
            (3, Standing::Untaken),
            (4, Standing::Expected),
        ];
        assert_eq!(standings, expected);
        assert_eq!(overview.replicas[0].notes, ["refused"]);
    }

    #[test]
    fn who_answers_for_another_fleet_counts_for_nothing() {
        let (own, mut stranger) = (report(0, 4, 3), report(1, 9, 4));
        stranger.part.get_or_insert_default().fleet = "ops/other".to_owned();
        let overview = put_together(own, vec![(1, None, Ok(stranger))]);
        assert_eq!(overview.replicas[1].standing, Standing::Silent);
        assert_eq!(overview.replicas[1].notes, ["who answers there is of ops/other"]);
        assert_eq!((overview.generation, overview.resources[0].owned), (4, 3));
    }

    #[test]
    fn an_answering_replica_is_what_hinders_it_most() {
        let with = |change: fn(&mut Report)| {
            let mut report = report(0, 4, 3);
            change(&mut report);
            answering(0, None, report).standing
        };
        assert_eq!(with(|_| {}), Standing::Serving);
        assert_eq!(with(|report| report.ready = false), Standing::Waiting);
        assert_eq!(with(|report| (report.ready, report.resources[0].loaded) = (false, false)), Standing::Loading);
        let isolated = |report: &mut Report| report.part.get_or_insert_default().isolated = true;
        assert_eq!(with(isolated), Standing::Isolated);
        let leaving = |report: &mut Report| {
            let part = report.part.get_or_insert_default();
            (part.isolated, part.leaving) = (true, true);
        };
        assert_eq!(with(leaving), Standing::Leaving);
    }

    #[test]
    fn a_verdict_names_the_worst() {
        let state = |exact, missing, doubled, unproven| Verdict::from(State { exact, missing, doubled, unproven });
        assert_eq!(state(true, false, false, false), Verdict::Exact);
        assert_eq!(state(false, true, false, false), Verdict::Missing);
        assert_eq!(state(false, false, true, false), Verdict::Doubled);
        assert_eq!(state(false, true, true, false), Verdict::MissingAndDoubled);
        assert_eq!(state(false, false, false, true), Verdict::Unproven);
        assert_eq!(state(false, false, false, false), Verdict::Unknown);
    }
}
