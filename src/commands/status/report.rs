//! What the stored state of a fleet means, as a table or JSON.

use std::collections::BTreeSet;
use std::io::{self, Write};

use serde::Serialize;

use crate::fleet::StoredFleet;
use crate::fleet::handover::LEASE_DURATION;
use crate::fleet::record::{Member, Phase, Record};
use crate::shown;

/// The state of a fleet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    pub fleet: String,
    /// Whether every wanted member serves, nothing is in progress, and there is no problem.
    pub settled: bool,
    replicas: Option<u32>,
    generation: Option<u64>,
    total: Option<u32>,
    absent: Vec<u32>,
    untaken: Vec<u32>,
    next: Option<Next>,
    coordinator: Option<u32>,
    paused: bool,
    members: Vec<Row>,
    /// What an operator should look at, most important first.
    problems: Vec<String>,
}

/// The assignment that is prepared.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Next {
    generation: u64,
    total: u32,
    absent: Vec<u32>,
    /// Whether its switch time is set.
    scheduled: bool,
    /// Present members that have not prepared it. Those that gain ranges block the switch.
    unprepared: Vec<u32>,
    /// Seconds since the record was written.
    since: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    ordinal: u32,
    pod: String,
    role: &'static str,
    phase: &'static str,
    /// Seconds since its Lease was renewed, by this machine's clock.
    lease_age: Option<u64>,
    version: String,
    /// Number of crashes within the last hour.
    crashes: usize,
    /// The revision of the record that it follows.
    follows: u64,
}

impl Report {
    /// Judges the stored state at `now`, in Unix milliseconds.
    pub fn new(fleet: String, stored: &StoredFleet, now: u64) -> Self {
        let seconds_since = |at: u64| now.saturating_sub(at) / 1000;
        let set = stored.statefulset.as_ref();
        let mut problems = Vec::new();
        if set.is_none() {
            problems.push("the StatefulSet does not exist; the fleet keeps its size".to_owned());
        }
        let record: Option<&Record> = match &stored.record {
            Some(Ok(record)) => Some(record),
            Some(Err(error)) => {
                problems.push(format!("the record cannot be read: {}", shown::value(error)));
                None
            }
            None => {
                problems.push("there is no record: the fleet has not started, or has lost it".to_owned());
                None
            }
        };
        let current = record.map(|record| &record.current);
        let start = set.map_or(0, |set| set.start);
        let name = fleet.rsplit('/').next().unwrap_or_default().to_owned();
        let mut expired = BTreeSet::new();
        let mut versions = BTreeSet::new();
        let mut members = Vec::new();
        let first_missing = set.map_or(0, |set| set.replicas).max(current.map_or(0, |it| it.total));
        let ordinals: BTreeSet<u32> = (0..first_missing).chain(stored.members.keys().copied()).collect();
        for ordinal in ordinals {
            let role = match current {
                Some(it) if it.untaken.contains(&ordinal) => "untaken",
                Some(it) if it.has(ordinal) => "present",
                Some(it) if it.absent.contains(&ordinal) => "absent",
                _ => "-",
            };
            let mut row = Row {
                ordinal,
                pod: format!("{name}-{}", u64::from(start) + u64::from(ordinal)),
                role,
                phase: "no lease",
                lease_age: None,
                version: String::new(),
                crashes: 0,
                follows: 0,
            };
            match stored.members.get(&ordinal) {
                Some(Ok(member)) => {
                    let age = member.renewed.map(seconds_since);
                    let is_expired = age.is_none_or(|age| age > LEASE_DURATION.as_secs());
                    if is_expired && member.phase != Phase::Left {
                        expired.insert(ordinal);
                    } else if member.phase != Phase::Left {
                        versions.insert(shown::within(&member.program, 32));
                    }
                    row.phase = phase(member);
                    row.lease_age = age;
                    row.version = shown::within(&member.program, 32);
                    row.crashes = member.crashes.len();
                    row.follows = member.follows;
                }
                Some(Err(error)) => {
                    row.phase = "unreadable";
                    problems.push(format!("the Lease of member {ordinal} cannot be read: {}", shown::value(error)));
                }
                None => {}
            }
            members.push(row);
        }
        let next = record.and_then(|record| record.next.as_ref()).map(|next| Next {
            generation: next.view.generation,
            total: next.view.total,
            absent: next.view.absent.clone(),
            scheduled: next.switch.is_some(),
            unprepared: next.view.present().filter(|o| !has_prepared(stored, *o, next.view.generation)).collect(),
            since: stored.record_written.map(seconds_since),
        });
        let untaken: Vec<u32> = current.map_or_else(Vec::new, |it| it.untaken.iter().copied().collect());
        if !untaken.is_empty() {
            let text = format!("nobody serves the objects of members {untaken:?}: the others lack memory");
            problems.insert(0, text);
        }
        if !expired.is_empty() {
            problems.push(format!("the Leases of members {:?} have expired", Vec::from_iter(&expired)));
        }
        if versions.len() > 1 {
            problems.push(format!("members run different versions: {}", Vec::from_iter(versions).join(", ")));
        }
        problems.extend(set.into_iter().flat_map(|set| set.instructions.problems.clone()));
        let replicas = set.map(|set| set.replicas);
        let is_complete =
            current.is_some_and(|it| it.absent.is_empty() && replicas.is_none_or(|wanted| wanted == it.total));
        Self {
            fleet,
            settled: is_complete && next.is_none() && problems.is_empty(),
            replicas,
            generation: current.map(|it| it.generation),
            total: current.map(|it| it.total),
            absent: current.map_or_else(Vec::new, |it| it.absent.clone()),
            untaken,
            next,
            coordinator: record.map(|record| record.coordinator.ordinal),
            paused: set.is_some_and(|set| set.instructions.paused),
            members,
            problems,
        }
    }

    /// Prints the state as text, the conclusion first.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        writeln!(out, "{}: {}", self.fleet, if self.settled { "settled" } else { "NOT SETTLED" })?;
        for problem in &self.problems {
            writeln!(out, "  problem: {problem}")?;
        }
        if self.paused {
            writeln!(out, "  handovers are paused by an annotation of the StatefulSet")?;
        }
        if let Some(next) = &self.next {
            let (generation, total, absent, unprepared) = (next.generation, next.total, &next.absent, &next.unprepared);
            let since = number(next.since);
            match next.scheduled {
                true => writeln!(
                    out,
                    "  handover to generation {generation} ({total} shards, absent {absent:?}): the switch is set"
                )?,
                false => writeln!(
                    out,
                    "  handover to generation {generation} ({total} shards, absent {absent:?}) for {since} s; not prepared: {unprepared:?}"
                )?,
            }
        }
        writeln!(
            out,
            "  replicas {}, generation {}, shards {}, absent {:?}, untaken {:?}, coordinator {}\n",
            number(self.replicas.map(u64::from)),
            number(self.generation),
            number(self.total.map(u64::from)),
            self.absent,
            self.untaken,
            number(self.coordinator.map(u64::from)),
        )?;
        let width = self.members.iter().map(|row| row.pod.len()).max().unwrap_or_default().max(3);
        let head = ("MEMBER", "POD", "ROLE", "PHASE", "LEASE", "CRASHES", "FOLLOWS", "VERSION");
        let (a, b, c, d, e, f, g, h) = head;
        writeln!(out, "{a:<7} {b:<width$} {c:<8} {d:<11} {e:>6} {f:>7} {g:>8}  {h}")?;
        for Row { ordinal, pod, role, phase, lease_age, version, crashes, follows } in &self.members {
            let age = lease_age.map_or_else(|| "-".to_owned(), |age| format!("{age}s"));
            writeln!(
                out,
                "{ordinal:<7} {pod:<width$} {role:<8} {phase:<11} {age:>6} {crashes:>7} {follows:>8}  {version}"
            )?;
        }
        // Only a replica knows counts of objects and proofs.
        if let Some(row) = self.members.iter().find(|row| row.phase == "serving") {
            let namespace = self.fleet.split('/').next().unwrap_or_default();
            writeln!(out, "\nObjects and proofs: kubectl -n {namespace} port-forward {} 8080 (--port),", row.pod)?;
            writeln!(out, "then open http://localhost:8080/")?;
        }
        Ok(())
    }
}

fn phase(member: &Member) -> &'static str {
    match member.phase {
        Phase::Starting => "starting",
        Phase::Fit if member.joined.is_some() && member.loading => "loading",
        Phase::Fit if member.joined.is_some() => "serving",
        Phase::Fit => "fit",
        Phase::Leaving => "leaving",
        Phase::Left => "left",
    }
}

fn has_prepared(stored: &StoredFleet, ordinal: u32, generation: u64) -> bool {
    matches!(stored.members.get(&ordinal), Some(Ok(member)) if member.prepared == Some(generation))
}
