//! The stored state of a fleet, for commands of operators: reads it once, and declares members gone.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::leases::{annotation, renewed, statement_in, version_of};
use super::names::{MEMBER, Names, RECORD};
use super::request::{RequestError, with_timeout};
use super::statefulset::{StatefulSetState, state};
use crate::fleet::handover::RENEW_PERIOD;
use crate::fleet::record::{MAX_NUMBER, Member, Record};
use crate::sharding::MOST_SHARDS;
use crate::shown;

const SETS: &str = "statefulsets.apps";
const LEASES: &str = "leases.coordination.k8s.io";

/// How long a Lease is watched for a renewal: a live member renews it within [`RENEW_PERIOD`].
const WATCH_FOR: Duration = Duration::from_secs(RENEW_PERIOD.as_secs() + 2);
/// The time between two looks at it.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// By how much the number of a report grows when a member is declared gone: more reports than a process writes.
const MANY_REPORTS: u64 = 1 << 32;

/// Why the state of a fleet could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// A request failed.
    #[error("cannot {action} in namespace {namespace:?}: {reason}")]
    Request {
        /// What was tried.
        action: String,
        /// The namespace of the fleet.
        namespace: String,
        /// The answer of the API server.
        reason: String,
    },
    /// The user lacks a permission, perhaps because the namespace is the wrong one.
    #[error(
        "missing permission \"{verb} {resource}\" in namespace {namespace:?}; add it to a role of the user, or set --fleet-namespace if the fleet is elsewhere"
    )]
    Forbidden {
        /// For example `get`.
        verb: &'static str,
        /// For example `leases.coordination.k8s.io`.
        resource: &'static str,
        /// The namespace of the fleet.
        namespace: String,
    },
    /// The member has no Lease that describes it.
    #[error(
        "member {ordinal} of {fleet} has no Lease that describes it, so there is nothing to forget; check --statefulset and --fleet-namespace, `kube-state-fleet status` shows the members"
    )]
    Unknown {
        /// The ordinal of the member.
        ordinal: u32,
        /// `namespace/name` of the StatefulSet.
        fleet: String,
    },
    /// The member renews its Lease.
    #[error("member {0} is alive: it has just renewed its Lease; delete its Pod to remove it, or pass --force")]
    Alive(u32),
    /// The Lease changed between reading and writing it.
    #[error("the Lease of member {0} changes; run the command again")]
    Conflict(u32),
}

/// The state that the API server has of a fleet.
#[derive(Debug)]
pub struct StoredFleet {
    /// The StatefulSet; `None` if it does not exist.
    pub statefulset: Option<StatefulSetState>,
    /// The record, or why it cannot be read; `None` if there is none.
    pub record: Option<Result<Record, String>>,
    /// When it was written, in Unix milliseconds by the clock of its coordinator.
    pub record_written: Option<u64>,
    /// The members, or why their Leases cannot be read, by ordinal.
    pub members: BTreeMap<u32, Result<Member, String>>,
}

/// The requests of operators about one fleet.
pub struct Inspector {
    sets: Api<StatefulSet>,
    leases: Api<Lease>,
    names: Names,
}

impl Inspector {
    /// Creates an inspector of the fleet of a StatefulSet.
    pub fn new(client: &Client, namespace: String, statefulset: String) -> Self {
        Self {
            sets: Api::namespaced(client.clone(), &namespace),
            leases: Api::namespaced(client.clone(), &namespace),
            names: Names { namespace, statefulset, ordinal: 0, start: 0 },
        }
    }

    /// Returns `namespace/name` of the StatefulSet.
    pub fn fleet(&self) -> String {
        self.names.fleet()
    }

    /// Reads the StatefulSet and all Leases.
    ///
    /// # Errors
    /// A request failed.
    pub async fn read(&self) -> Result<StoredFleet, InspectError> {
        let name = &self.names.statefulset;
        let set = with_timeout(self.sets.get_opt(name)).await.map_err(|e| self.error("get", SETS, Some(name), &e))?;
        let selected = ListParams::default().labels(&self.names.selector());
        let leases =
            with_timeout(self.leases.list(&selected)).await.map_err(|e| self.error("list", LEASES, None, &e))?;
        let mut stored = StoredFleet {
            statefulset: set.as_ref().map(state),
            record: None,
            record_written: None,
            members: BTreeMap::new(),
        };
        for lease in &leases.items {
            let name = lease.metadata.name.as_deref().unwrap_or_default();
            if name == self.names.record() {
                stored.record_written = renewed(lease);
                stored.record =
                    annotation(lease, RECORD).map(|text| Record::decode(text.as_bytes()).map_err(|e| e.to_string()));
            } else if let Some(ordinal) = self.names.ordinal(name).filter(|ordinal| *ordinal < MOST_SHARDS) {
                stored.members.insert(ordinal, member(lease, ordinal));
            }
        }
        Ok(stored)
    }

    /// Declares a member gone: writes into its Lease that it has left, so the fleet dismisses it at once. A process that still
    /// runs says so when it reads that. Refuses a member that renews its Lease, unless `force` is set.
    ///
    /// # Errors
    /// The member is alive or unknown, or a request failed.
    pub async fn forget(&self, ordinal: u32, force: bool) -> Result<(), InspectError> {
        let name = self.names.member(ordinal);
        let failed = |verb, error: &RequestError| self.error(verb, LEASES, Some(&name), error);
        let unknown = || InspectError::Unknown { ordinal, fleet: self.fleet() };
        let get = || async { with_timeout(self.leases.get_opt(&name)).await.map_err(|error| failed("get", &error)) };
        let mut lease = get().await?.ok_or_else(unknown)?;
        let mut watched = Duration::ZERO;
        while !force && watched < WATCH_FOR {
            sleep(LOOK_EVERY).await;
            watched += LOOK_EVERY;
            let now = get().await?.ok_or_else(unknown)?;
            if version_of(&now) != version_of(&lease) {
                return Err(InspectError::Alive(ordinal));
            }
        }
        // Fields of another version stay.
        let statement = annotation(&lease, MEMBER).filter(|_| member(&lease, ordinal).is_ok());
        let statement: Option<Value> = statement.and_then(|text| serde_json::from_str(text).ok());
        let mut statement = statement.ok_or_else(unknown)?;
        let sequence = statement.get("sequence").and_then(Value::as_u64).unwrap_or_default();
        statement["sequence"] = json!(sequence.saturating_add(MANY_REPORTS).min(MAX_NUMBER));
        statement["phase"] = json!("left");
        lease.metadata.annotations.get_or_insert_default().insert(MEMBER.to_owned(), statement.to_string());
        match with_timeout(self.leases.replace(&name, &PostParams::default(), &lease)).await {
            Ok(_) => Ok(()),
            Err(RequestError::Conflict) => Err(InspectError::Conflict(ordinal)),
            Err(error) => Err(failed("update", &error)),
        }
    }

    fn error(
        &self,
        verb: &'static str,
        resource: &'static str,
        name: Option<&str>,
        error: &RequestError,
    ) -> InspectError {
        let namespace = self.names.namespace.clone();
        if matches!(error, RequestError::Forbidden(_)) {
            return InspectError::Forbidden { verb, resource, namespace };
        }
        let action = name.map_or_else(|| format!("{verb} {resource}"), |name| format!("{verb} {resource} {name:?}"));
        InspectError::Request { action, namespace, reason: shown::line(&error.to_string()) }
    }
}

fn member(lease: &Lease, ordinal: u32) -> Result<Member, String> {
    let read = statement_in(lease, ordinal).ok_or("it has no annotation that describes the member")?;
    let member = read.map_err(|error| error.to_string())?;
    Ok(Member { renewed: renewed(lease), ..member })
}
