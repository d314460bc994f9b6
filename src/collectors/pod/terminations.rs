//! Counters of the terminations of containers.
//!
//! A container status shows the newest termination, the one before it at most, and the number of restarts. The total follows from
//! the number of restarts, so no termination is missed: those that no state showed count under [`UNKNOWN`]. What a state shows
//! is defined by `convertToAPIContainerStatuses` of the kubelet:
//! <https://github.com/kubernetes/kubernetes/blob/master/pkg/kubelet/kubelet_pods.go>
//!
//! Nothing is counted that may have been counted before: neither by this replica nor by the one that exposed the pod earlier. So
//! counts begin at 0 with the first state that is seen, and a number of restarts that goes back counts nothing.

use twox_hash::XxHash64;

use super::super::common::text;
use super::super::objects::{ContainerStateTerminated, ContainerStatus, Pod};
use super::super::time::seconds;
use super::containers::{Containers, Init, Main};
use crate::exposition::{Memo, Past, Samples};

/// The label `reason`. All of them are always shown, because `increase()` misses the first value of a series.
const REASONS: [&str; 6] = ["Completed", "Error", "OOMKilled", "Other", "StartError", UNKNOWN];

/// Nobody knows the reason: the kubelet lost the container, or no state showed the termination.
const UNKNOWN: &str = "Unknown";

/// The index of [`UNKNOWN`] in [`REASONS`].
const OF_UNKNOWN: usize = REASONS.len() - 1;

/// Number of containers that are remembered although the status of their pod lacks them. No real pod has as many. Those beyond begin
/// again, and nothing of before is counted.
const MOST_MISSING: usize = 1024;

/// No later end is news. The current states of init containers are read without a time.
const NO_TIME: i64 = i64::MAX;

/// What is remembered of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Tally {
    /// A hash of its name.
    name: u32,
    /// Number of terminations, counted or not.
    ends: u32,
    /// The end of the newest termination that was seen, in Unix seconds; 0 for none, [`NO_TIME`] if it has no time.
    latest: i64,
    /// Number of terminations that are counted, by reason.
    counts: [u32; REASONS.len()],
}

/// Shows the counts of main containers or of init containers.
pub fn terminations<C: Containers>(pod: &Pod, memo: &Memo, samples: &mut Samples) {
    let tallies = read(memo);
    for status in C::statuses(pod) {
        let name = hash(&status.name);
        let counts = tallies.iter().find(|tally| tally.name == name).map(|tally| tally.counts).unwrap_or_default();
        for (reason, count) in REASONS.iter().zip(counts) {
            samples.sample(&[("container", &status.name), ("reason", reason)], f64::from(count));
        }
    }
}

/// Counts what has happened to the containers of a pod since its last state.
pub fn remember(pod: &Pod, past: &Past) -> Memo {
    let mut known = read(&past.memo);
    // Some may have been forgotten, so no container is sure to be new. Later memos are not smaller.
    let is_full = known.len() >= MOST_MISSING;
    let mut tallies: Vec<Tally> = Vec::new();
    for status in Main::statuses(pod).iter().chain(Init::statuses(pod)) {
        let name = hash(&status.name);
        if tallies.iter().any(|tally| tally.name == name) {
            continue;
        }
        let tally = match known.iter().position(|tally| tally.name == name) {
            Some(at) => known.remove(at).after(status, past.is_exposed),
            None if past.is_known && !is_full => Tally::of_known_pod(name, status, past.is_exposed),
            None => Tally::new(name, status),
        };
        tallies.push(tally);
    }
    // A status without containers must not make them unknown. Those of the latest states come first.
    known.truncate(MOST_MISSING);
    tallies.extend(known);
    written(&tallies)
}

fn hash(name: &str) -> u32 {
    // A collision within a pod mixes two counters, no more.
    XxHash64::oneshot(0, name.as_bytes()) as u32
}

/// What a status says about terminations.
struct Seen<'a> {
    restarts: u32,
    /// The newest termination, if the container has not been restarted since.
    state: Option<&'a ContainerStateTerminated<'a>>,
    /// The termination before that, or the newest one.
    last: Option<&'a ContainerStateTerminated<'a>>,
    /// Whether the newest termination is that of the container which was restarted this often. `None`: it may be that of the
    /// container before.
    ends_last_run: Option<bool>,
}

impl<'a> Seen<'a> {
    fn of(status: &'a ContainerStatus<'a>) -> Self {
        let restarts = u32::try_from(status.restart_count).unwrap_or(0);
        let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let now = status.state.as_ref().and_then(|state| state.terminated.as_ref());
        let ends_last_run = match (now, last, waits_for(status)) {
            // The kubelet counts a restart when it finds that a container is lost.
            (Some(now), ..) => Some(!is_lost(now)),
            (None, None, _) | (None, _, None) => Some(false),
            (None, Some(last), _) if is_lost(last) => Some(false),
            (None, Some(_), Some("CrashLoopBackOff")) => Some(true),
            // The next container may exist already, without having started.
            (None, Some(_), Some(_)) => None,
        };
        Self { restarts, state: now, last, ends_last_run }
    }

    /// Returns the number of terminations in the life of the container.
    fn ends(&self, ends_last_run: bool) -> u32 {
        self.restarts.saturating_add(ends_last_run.into())
    }

    /// Returns the end of the newest termination, so that none of this status is news when it is seen again. The clock of a node may
    /// go back, so that the last state has the later end.
    fn latest(&self) -> Option<i64> {
        let newest = self.state.or(self.last).map(|end| end_of(end).unwrap_or(NO_TIME));
        newest.max(self.last.and_then(end_of))
    }
}

/// Returns why a container waits; `None` if it does not wait.
fn waits_for<'a>(status: &'a ContainerStatus<'a>) -> Option<&'a str> {
    let state = status.state.as_ref();
    // A status without a state waits: https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/
    let waits = state.is_none_or(|state| state.running.is_none() && state.terminated.is_none());
    let reason = state.and_then(|state| state.waiting.as_ref()).map(|waiting| text(&waiting.reason));
    waits.then(|| reason.unwrap_or_default())
}

/// Returns whether the kubelet has lost a container, and therefore does not know how it ended.
fn is_lost(end: &ContainerStateTerminated) -> bool {
    matches!(text(&end.reason), "ContainerStatusUnknown" | "RestartingAllContainers")
}

fn end_of(end: &ContainerStateTerminated) -> Option<i64> {
    end.finished_at.as_ref().map(|time| seconds(time.0))
}

/// Returns the index in [`REASONS`] for a termination.
fn reason(end: &ContainerStateTerminated) -> usize {
    let shown = match text(&end.reason) {
        // By cri-dockerd.
        "ContainerCannotRun" => "StartError",
        // By containerd, if it does not know either.
        "ContainerStatusUnknown" | "RestartingAllContainers" | "" => UNKNOWN,
        reason => reason,
    };
    let known = |name: &str| REASONS.iter().position(|reason| *reason == name);
    known(shown).or_else(|| known("Other")).unwrap_or(OF_UNKNOWN)
}

impl Tally {
    /// For a pod without a past: all that happened to it was before.
    fn new(name: u32, status: &ContainerStatus) -> Self {
        let seen = Seen::of(status);
        // A container that waits for a reason has most likely ended. If it has not, its next end is missed, and none is counted
        // twice.
        let ends_last_run = seen.ends_last_run.unwrap_or_else(|| waits_for(status).is_some_and(|why| !why.is_empty()));
        let latest = seen.latest().unwrap_or(0);
        Self { name, ends: seen.ends(ends_last_run), latest, counts: Default::default() }
    }

    /// For a container that is new in a known pod. The end of a first run is new as well. More is not: a mirror pod may be younger
    /// than its containers.
    fn of_known_pod(name: u32, status: &ContainerStatus, is_exposed: bool) -> Self {
        let tally = Self::new(name, status);
        match (tally.ends, status.restart_count) {
            (1, ..=0) => Self { name, ..Self::default() }.after(status, is_exposed),
            _ => tally,
        }
    }

    /// Counts what has happened since. Without `is_exposed`, another replica counts it.
    fn after(mut self, status: &ContainerStatus, is_exposed: bool) -> Self {
        let seen = Seen::of(status);
        let is_news = |end: &&ContainerStateTerminated| end_of(end).is_some_and(|end| end > self.latest);
        // If the end of the run before is known, then this is another one.
        let ends_last_run =
            seen.ends_last_run.unwrap_or_else(|| self.ends >= seen.restarts && seen.last.as_ref().is_some_and(is_news));
        let ends = seen.ends(ends_last_run);
        let new = ends.saturating_sub(self.ends);
        let falls_far = self.ends > ends.saturating_add(1);
        let is_new_end = |end: &&ContainerStateTerminated| is_news(end) && (falls_far || !is_lost(end));
        // If no end was seen, then an end that was before may show up late.
        let last = seen.last.filter(|_| falls_far || self.latest > 0);
        let new_ends: Vec<_> =
            [seen.state, last].into_iter().flatten().filter(is_new_end).take(ends as usize).collect();
        // The node has lost the number of restarts, also if it has grown again to the known one. What ended since is new.
        let is_lost_count = falls_far || new_ends.len() > new as usize;
        let reasons: Vec<usize> = if is_lost_count {
            new_ends.into_iter().map(reason).collect()
        } else {
            // The end of the last run is the only new one, even if it is of the same second as the known one. Of more, the known end
            // is not the reason of two.
            let last = seen.last.filter(|end| new == 1 || end_of(end).is_none_or(|end| end != self.latest));
            [seen.state, last].into_iter().flatten().take(new as usize).map(reason).collect()
        };
        if is_exposed {
            let shown = reasons.len() as u32;
            let unseen = if is_lost_count { 0 } else { new.saturating_sub(shown) };
            let counts = reasons.into_iter().map(|reason| (reason, 1)).chain([(OF_UNKNOWN, unseen)]);
            counts.for_each(|(reason, count)| self.counts[reason] = self.counts[reason].saturating_add(count));
        }
        let latest = seen.latest().unwrap_or(self.latest);
        // What is shown again is not news later. The time of an end without one is known when its restart shows it.
        let is_timed_now = self.latest == NO_TIME && seen.restarts >= self.ends;
        self.latest = if new > 0 || falls_far || is_timed_now { latest } else { self.latest.max(latest) };
        // The kubelet takes one restart back when a container that it had lost appears again.
        self.ends = if falls_far { ends } else { self.ends.max(ends) };
        self
    }

    /// Appends its encoding: the name, then 0 if nothing has ended, or 1, the ends, the latest one and the counts.
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.name.to_le_bytes());
        let is_new = *self == Self { name: self.name, ..Self::default() };
        out.push((!is_new).into());
        if !is_new {
            out.extend_from_slice(&self.ends.to_le_bytes());
            out.extend_from_slice(&self.latest.to_le_bytes());
            self.counts.iter().for_each(|count| out.extend_from_slice(&count.to_le_bytes()));
        }
    }

    /// Returns the first tally in `bytes`, and removes it from them.
    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let mut tally = Self { name: u32::from_le_bytes(chunk(bytes)?), ..Self::default() };
        if chunk(bytes)? != [0] {
            tally.ends = u32::from_le_bytes(chunk(bytes)?);
            tally.latest = i64::from_le_bytes(chunk(bytes)?);
            for count in &mut tally.counts {
                *count = u32::from_le_bytes(chunk(bytes)?);
            }
        }
        Some(tally)
    }
}

fn chunk<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (chunk, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*chunk)
}

fn read(memo: &Memo) -> Vec<Tally> {
    let mut bytes = memo.bytes();
    std::iter::from_fn(|| Tally::read(&mut bytes)).collect()
}

fn written(tallies: &[Tally]) -> Memo {
    let mut bytes = Vec::new();
    tallies.iter().for_each(|tally| tally.write(&mut bytes));
    bytes.into()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Pods;
    use super::*;
    use crate::intake::{Form, Unreadable, decode_object};

    /// A container through its states, seen by one replica.
    struct Watched {
        past: Past,
    }

    impl Watched {
        /// Returns one that has seen no state of the pod.
        fn new() -> Self {
            Self { past: Past { is_exposed: true, ..Past::default() } }
        }

        /// Shows it the next state of the container.
        fn see(&mut self, status: Value) -> &mut Self {
            let mut status = status;
            status["name"] = json!("app");
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "status": {"containerStatuses": [status]}});
            self.see_pod(pod)
        }

        fn see_pod(&mut self, pod: Value) -> &mut Self {
            let pod = decode_object::<Pods>(pod, Form::Object, &Unreadable::default()).expect("a pod");
            self.past.memo = remember(&pod, &self.past);
            self.past.is_known = true;
            self
        }

        fn counts(&self) -> Vec<(&'static str, u32)> {
            let tallies = read(&self.past.memo);
            let counts = tallies.first().map(|tally| tally.counts).unwrap_or_default();
            REASONS.into_iter().zip(counts).filter(|(_, count)| *count > 0).collect()
        }
    }

    fn end(reason: &str, second: u32) -> Value {
        json!({"terminated": {"exitCode": 1, "reason": reason, "finishedAt": format!("2026-01-01T00:{:02}:{:02}Z", second / 60, second % 60)}})
    }

    fn lost() -> Value {
        json!({"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": null}})
    }

    fn running(restarts: u32, last: Value) -> Value {
        json!({"restartCount": restarts, "containerID": "x://y", "state": {"running": {}}, "lastState": last})
    }

    fn ended(restarts: u32, state: Value, last: Value) -> Value {
        json!({"restartCount": restarts, "containerID": "x://y", "state": state, "lastState": last})
    }

    fn waiting(restarts: u32, reason: &str, last: Value) -> Value {
        json!({"restartCount": restarts, "state": {"waiting": {"reason": reason}}, "lastState": last})
    }

    #[test]
    fn each_termination_of_a_container_that_is_watched_counts_once() {
        let mut app = Watched::new();
        app.see(waiting(0, "ContainerCreating", json!({}))).see(running(0, json!({})));
        assert_eq!(app.counts(), []);
        app.see(ended(0, end("OOMKilled", 5), json!({})));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
        app.see(waiting(0, "CrashLoopBackOff", end("OOMKilled", 5))).see(running(1, end("OOMKilled", 5)));
        assert_eq!(app.counts(), [("OOMKilled", 1)], "shown by four states");
        app.see(waiting(1, "CrashLoopBackOff", end("Error", 9)));
        assert_eq!(app.counts(), [("Error", 1), ("OOMKilled", 1)]);
        app.see(running(2, end("Error", 9))).see(ended(2, end("Completed", 12), end("Error", 9)));
        assert_eq!(app.counts(), [("Completed", 1), ("Error", 1), ("OOMKilled", 1)]);
    }

    #[test]
    fn terminations_that_no_state_shows_have_an_unknown_reason() {
        let mut app = Watched::new();
        app.see(running(0, json!({}))).see(running(4, end("Error", 40)));
        assert_eq!(app.counts(), [("Error", 1), (UNKNOWN, 3)]);
        app.see(ended(6, end("OOMKilled", 60), end("Error", 50)));
        assert_eq!(app.counts(), [("Error", 2), ("OOMKilled", 1), (UNKNOWN, 4)]);
        // The runtime has removed the last container.
        app.see(running(7, json!({}))).see(running(8, json!({})));
        assert_eq!(app.counts(), [("Error", 2), ("OOMKilled", 1), (UNKNOWN, 5)]);
    }

    #[test]
    fn what_was_before_the_first_state_is_not_counted() {
        for first in [
            running(7, end("Error", 3)),
            ended(6, end("Error", 3), json!({})),
            waiting(6, "CrashLoopBackOff", end("Error", 3)),
            waiting(6, "ContainerCreating", end("Error", 3)),
        ] {
            let mut app = Watched::new();
            app.see(first.clone());
            assert_eq!(app.counts(), [], "{first}");
            app.see(running(7, end("Error", 3)));
            assert_eq!(app.counts(), [], "{first}");
            app.see(running(8, end("OOMKilled", 8)));
            assert_eq!(app.counts(), [("OOMKilled", 1)], "{first}");
        }
    }

    #[test]
    fn a_hidden_pod_is_followed_and_not_counted() {
        let mut app = Watched::new();
        app.past.is_exposed = false;
        app.see(running(0, json!({}))).see(running(2, end("Error", 3)));
        app.past.is_exposed = true;
        app.see(running(2, end("Error", 3)));
        assert_eq!(app.counts(), []);
        app.see(ended(2, end("OOMKilled", 9), json!({})));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
    }

    #[test]
    fn a_created_container_does_not_count_its_predecessor_twice() {
        let mut app = Watched::new();
        app.see(running(0, json!({}))).see(waiting(0, "RunContainerError", end("StartError", 3)));
        assert_eq!(app.counts(), [("StartError", 1)]);
        app.see(waiting(1, "", end("StartError", 3))).see(waiting(1, "RunContainerError", end("StartError", 3)));
        assert_eq!(app.counts(), [("StartError", 1)]);
        app.see(waiting(1, "RunContainerError", end("ContainerCannotRun", 6)));
        assert_eq!(app.counts(), [("StartError", 2)]);
    }

    #[test]
    fn an_end_without_a_time_is_not_counted_again_with_it() {
        let mut app = Watched::new();
        let untimed = json!({"terminated": {"exitCode": 1, "reason": "OOMKilled"}});
        app.see(running(0, json!({}))).see(ended(0, untimed, json!({})));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
        app.see(waiting(1, "", end("OOMKilled", 3))).see(running(1, end("OOMKilled", 3)));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
        app.see(waiting(1, "RunContainerError", end("StartError", 6)));
        assert_eq!(app.counts(), [("OOMKilled", 1), ("StartError", 1)]);
    }

    #[test]
    fn a_container_that_the_kubelet_loses_and_finds_again_counts_once() {
        let mut app = Watched::new();
        app.see(running(5, end("Error", 3))).see(ended(6, lost(), end("Error", 3)));
        assert_eq!(app.counts(), [(UNKNOWN, 1)]);
        app.see(waiting(5, "ContainerCreating", end("Error", 3))).see(running(6, end("Error", 3)));
        assert_eq!(app.counts(), [(UNKNOWN, 1)]);
        app.see(waiting(7, "ContainerCreating", lost()));
        assert_eq!(app.counts(), [(UNKNOWN, 2)]);
    }

    #[test]
    fn a_number_of_restarts_that_goes_back_counts_what_ended_since() {
        let mut app = Watched::new();
        app.see(running(50, end("Error", 30)));
        app.see(running(0, json!({})));
        assert_eq!(app.counts(), []);
        app.see(running(1, end("OOMKilled", 50)));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
        let mut app = Watched::new();
        app.see(running(50, end("Error", 30))).see(running(1, end("OOMKilled", 50)));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
        let mut app = Watched::new();
        app.see(running(50, end("Error", 30))).see(running(1, end("Error", 30)));
        assert_eq!(app.counts(), []);
    }

    #[test]
    fn a_number_of_restarts_that_goes_back_by_one_counts_what_ended_since() {
        for last in [end("Error", 5), json!({})] {
            let mut app = Watched::new();
            app.see(running(1, last)).see(running(0, json!({})));
            assert_eq!(app.counts(), []);
            app.see(ended(0, end("OOMKilled", 50), json!({})));
            assert_eq!(app.counts(), [("OOMKilled", 1)]);
            app.see(ended(0, end("OOMKilled", 50), json!({}))).see(running(1, end("OOMKilled", 50)));
            assert_eq!(app.counts(), [("OOMKilled", 1)]);
        }
        let mut app = Watched::new();
        app.see(running(0, json!({})))
            .see(ended(0, end("OOMKilled", 10), json!({})))
            .see(running(1, end("OOMKilled", 10)));
        app.see(running(0, json!({}))).see(ended(0, end("Error", 20), json!({}))).see(running(1, end("Error", 20)));
        app.see(ended(1, end("OOMKilled", 30), end("Error", 20)));
        assert_eq!(app.counts(), [("Error", 1), ("OOMKilled", 2)]);
        // No state shows the lower number.
        let mut app = Watched::new();
        app.see(running(1, end("Error", 5))).see(running(1, end("OOMKilled", 50)));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
        // An older end, and then the known one again.
        app.see(running(1, end("Error", 5))).see(running(1, end("OOMKilled", 50)));
        assert_eq!(app.counts(), [("OOMKilled", 1)]);
    }

    #[test]
    fn a_status_that_is_seen_again_counts_nothing() {
        let mut app = Watched::new();
        app.see(running(2, end("Error", 5)));
        // Both ended since, whatever the clock of the node says about their order.
        for _ in 0..3 {
            app.see(ended(2, end("OOMKilled", 20), end("Error", 50)));
            assert_eq!(app.counts(), [("Error", 1), ("OOMKilled", 1)]);
        }
    }

    #[test]
    fn a_lost_container_that_is_found_and_ends_counts_once() {
        let mut app = Watched::new();
        app.see(running(5, end("Error", 3))).see(ended(6, lost(), end("Error", 3))).see(running(5, end("Error", 3)));
        app.see(ended(5, end("OOMKilled", 50), end("Error", 3))).see(running(6, end("OOMKilled", 50)));
        assert_eq!(app.counts(), [(UNKNOWN, 1)]);
        app.see(ended(6, end("OOMKilled", 60), end("OOMKilled", 50)));
        assert_eq!(app.counts(), [("OOMKilled", 1), (UNKNOWN, 1)]);
    }

    #[test]
    fn an_end_that_is_known_is_the_reason_of_one_more_restart_at_most() {
        let mut app = Watched::new();
        app.see(running(0, json!({}))).see(running(1, end("OOMKilled", 10))).see(running(2, end("OOMKilled", 10)));
        assert_eq!(app.counts(), [("OOMKilled", 2)], "two within a second");
        app.see(running(4, end("OOMKilled", 10)));
        assert_eq!(app.counts(), [("OOMKilled", 2), (UNKNOWN, 2)]);
    }

    #[test]
    fn a_container_of_a_known_pod_that_was_not_listed_counts_its_first_run_only() {
        let mut app = Watched::new();
        app.see_pod(json!({})).see(ended(0, end("Completed", 3), json!({})));
        assert_eq!(app.counts(), [("Completed", 1)]);
        let mut app = Watched::new();
        app.see_pod(json!({})).see(running(9, end("Error", 3)));
        assert_eq!(app.counts(), [], "a mirror pod is younger than its containers");
        let empty = json!({"status": {"containerStatuses": []}});
        app.see(running(10, end("Error", 30))).see_pod(empty).see(running(10, end("Error", 30)));
        assert_eq!(app.counts(), [("Error", 1)]);
    }

    /// A pod with containers of these names, all in the same state.
    fn pod_of(names: std::ops::Range<usize>, status: &Value) -> Value {
        let named = |number: usize| {
            let mut status = status.clone();
            status["name"] = json!(format!("c{number}"));
            status
        };
        json!({"status": {"containerStatuses": names.map(named).collect::<Vec<_>>()}})
    }

    #[test]
    fn a_status_without_containers_changes_no_count() {
        let total = |app: &Watched| -> u32 { read(&app.past.memo).iter().flat_map(|tally| tally.counts).sum() };
        let (first, none) = (ended(0, end("Error", 5), json!({})), json!({"status": {"containerStatuses": []}}));
        for count in [20, 300] {
            let mut app = Watched::new();
            app.see_pod(pod_of(0..count, &first)).see_pod(none.clone()).see_pod(pod_of(0..count, &first));
            assert_eq!(total(&app), 0, "all ended before");
            let mut app = Watched::new();
            app.see_pod(none.clone()).see_pod(pod_of(0..count, &first)).see_pod(none.clone());
            app.see_pod(pod_of(0..count, &running(2, end("OOMKilled", 50))));
            let counts = [("Error", 1), ("OOMKilled", 1)];
            assert_eq!(app.counts(), counts);
            assert_eq!(total(&app) as usize, 2 * count);
        }
    }

    #[test]
    fn more_containers_than_a_pod_can_have_take_bounded_memory_and_count_nothing_of_before() {
        let first = ended(0, end("Error", 5), json!({}));
        let mut app = Watched::new();
        app.see_pod(pod_of(0..2 * MOST_MISSING, &first)).see_pod(json!({}));
        assert_eq!(read(&app.past.memo).len(), MOST_MISSING);
        app.see_pod(pod_of(0..1, &first)).see_pod(pod_of(0..2 * MOST_MISSING, &first));
        assert!(read(&app.past.memo).iter().all(|tally| tally.counts == [0; REASONS.len()]));
    }

    #[test]
    fn reasons_are_a_closed_list() {
        let mut app = Watched::new();
        app.see(running(0, json!({})));
        for (restarts, reason) in (0..).zip(["DeadlineExceeded", "seccomp killed", "", "\"\n", "Unknown"]) {
            app.see(ended(restarts, end(reason, restarts + 1), json!({})));
        }
        assert_eq!(app.counts(), [("Other", 3), (UNKNOWN, 2)]);
    }

    #[test]
    fn statuses_that_make_no_sense_do_not_count_much() {
        let mut app = Watched::new();
        app.see(running(0, json!({})));
        app.see(json!({"restartCount": -5, "state": {}, "lastState": {"terminated": {"exitCode": 1}}}));
        app.see(json!({"restartCount": i32::MAX, "state": end("Error", 5), "lastState": end("Error", 5)}));
        app.see(json!({"restartCount": i32::MIN}));
        app.see(json!({}));
        let total: u64 = app.counts().iter().map(|(_, count)| u64::from(*count)).sum();
        assert_eq!(total, 1 << 31);
    }
}
