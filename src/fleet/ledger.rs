//! The results of the audits over time, by resource. No clock, no I/O.

use std::collections::BTreeMap;
use std::time::Duration;

use super::coverage::{Proof, ProofError};

/// How long a resource may go without a proof before it counts as unproven. Two rounds of the
/// audit: after a round with a proof, all attempts of the next one have failed.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(120);

/// The audit results of all resources.
#[derive(Clone, Debug, Default)]
pub struct Ledger(BTreeMap<String, Entry>);

#[derive(Clone, Debug)]
struct Entry {
    proof: Option<Proof>,
    /// Boot time of the proof, or of the first attempt before there is a proof.
    at: Duration,
    /// Why the last attempt failed.
    error: Option<ProofError>,
    /// The state that [`Ledger::changes`] last reported.
    reported: CoverageState,
}

/// The coverage of a resource. All fields are false before the first proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CoverageState {
    /// Each object is exposed once.
    pub exact: bool,
    /// Some objects are exposed by no member.
    pub missing: bool,
    /// Some objects are exposed more than once.
    pub doubled: bool,
    /// There was no proof for [`PROOF_TIMEOUT`].
    pub unproven: bool,
}

/// The coverage of a resource and the proof of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageStatus {
    /// The plural of the resource.
    pub resource: String,
    /// The coverage at the moment of the call.
    pub state: CoverageState,
    /// The last proof.
    pub proof: Option<Proof>,
    /// Time since the last proof, or since the first attempt before there is a proof.
    pub age: Duration,
}

/// A change of a resource's coverage, to be logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoverageChange {
    /// The plural of the resource.
    pub resource: String,
    /// The new state.
    pub state: CoverageState,
    /// The last proof.
    pub proof: Option<Proof>,
    /// Why the last attempt failed; only if the resource is unproven.
    pub error: Option<ProofError>,
}

impl Ledger {
    /// Records the result of an attempt to prove the coverage of `resource`, at `now` (boot time).
    pub fn record(&mut self, resource: &str, result: Result<Proof, ProofError>, now: Duration) {
        let entry = self.0.entry(resource.to_owned()).or_insert_with(|| Entry {
            proof: None,
            at: now,
            error: None,
            reported: CoverageState::default(),
        });
        match result {
            Ok(proof) => (entry.proof, entry.at, entry.error) = (Some(proof), now, None),
            Err(error) => entry.error = Some(error),
        }
    }

    /// Removes a resource that the API server does not have: there is nothing to prove.
    pub fn remove(&mut self, resource: &str) {
        self.0.remove(resource);
    }

    /// Removes all resources but those that are still watched.
    pub fn retain(&mut self, is_watched: impl Fn(&str) -> bool) {
        self.0.retain(|resource, _| is_watched(resource));
    }

    /// Removes all resources: another replica audits from now on.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Returns the status of every resource at `now`.
    pub fn statuses(&self, now: Duration) -> Vec<CoverageStatus> {
        let status = |(resource, entry): (&String, &Entry)| CoverageStatus {
            resource: resource.clone(),
            state: entry.state(now),
            proof: entry.proof,
            age: now.saturating_sub(entry.at),
        };
        self.0.iter().map(status).collect()
    }

    /// Returns the changes since the last call. A first proof that is exact is expected, and no change.
    pub fn changes(&mut self, now: Duration) -> Vec<CoverageChange> {
        let mut changes = Vec::new();
        for (resource, entry) in &mut self.0 {
            let state = entry.state(now);
            let expected = entry.reported == CoverageState::default() && state.exact;
            if std::mem::replace(&mut entry.reported, state) != state && !expected {
                let error = entry.error.clone().filter(|_| state.unproven);
                changes.push(CoverageChange { resource: resource.clone(), state, proof: entry.proof, error });
            }
        }
        changes
    }
}

impl Entry {
    fn state(&self, now: Duration) -> CoverageState {
        let unproven = now.saturating_sub(self.at) > PROOF_TIMEOUT;
        match self.proof.filter(|_| !unproven) {
            Some(proof) => CoverageState {
                exact: proof.is_exact(),
                missing: proof.is_missing(),
                doubled: proof.is_doubled(),
                unproven: false,
            },
            None => CoverageState { unproven, ..CoverageState::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sharding::{Digest, Hashes};

    const RESOURCE: &str = "pods";

    fn proof(seen: &[&str], exposed: &[&str]) -> Proof {
        let digest = |uids: &[&str]| {
            let mut digest = Digest::default();
            uids.iter().for_each(|uid| digest.add(Hashes::of(uid)));
            digest
        };
        Proof { seen: digest(seen), exposed: digest(exposed) }
    }

    #[test]
    fn a_resource_is_unproven_only_after_minutes_and_a_change_of_coordinator_is_not_reported() {
        let second = Duration::from_secs;
        let mut ledger = Ledger::default();
        ledger.record(RESOURCE, Err(ProofError::HandoverInProgress), second(1000));
        let state = |ledger: &Ledger, at| ledger.statuses(second(at))[0].state;
        assert_eq!(state(&ledger, 1120), CoverageState::default());
        assert!(ledger.changes(second(1120)).is_empty());
        assert!(state(&ledger, 1121).unproven);
        let changes = ledger.changes(second(1121));
        assert_eq!((changes.len(), &changes[0].error), (1, &Some(ProofError::HandoverInProgress)));
        ledger.record(RESOURCE, Ok(proof(&["a"], &["a"])), second(1200));
        assert_eq!(state(&ledger, 1201), CoverageState { exact: true, ..CoverageState::default() });
        assert_eq!(ledger.changes(second(1201)).len(), 1, "a recovery is reported");
        ledger.record(RESOURCE, Err(ProofError::HandoverInProgress), second(1300));
        assert!(state(&ledger, 1300).exact, "a failed attempt changes nothing");
        ledger.clear();
        ledger.record(RESOURCE, Ok(proof(&["a"], &["a"])), second(1400));
        assert!(ledger.changes(second(1400)).is_empty());
    }
}
