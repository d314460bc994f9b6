//! The shard: from the flags, else from the environment, else, if only the number of shards is known, from the name of the pod.

use crate::sharding::{MOST_SHARDS, ordinal};

use super::{Environment, SettingsError};

/// One of several shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Below `total`.
    pub ordinal: u32,
    /// At least 1.
    pub total: u32,
}

/// Determines the shard. The pod's name, else the host's, counts only if the environment sets the number of shards and
/// nothing sets the ordinal: `--total-shards` alone means shard 0, as in kube-state-metrics.
pub(super) fn shard(
    shard: Option<u32>,
    total: Option<u32>,
    environment: &Environment,
    host_name: impl FnOnce() -> Option<String>,
) -> Result<Shard, SettingsError> {
    let from_environment = total.is_none();
    let (total_source, total) = match total {
        Some(total) => ("--total-shards", total),
        None => environment.total()?.unwrap_or(("default", 1)),
    };
    if total == 0 || total > MOST_SHARDS {
        return Err(SettingsError::Total { source_name: total_source, total, maximum: MOST_SHARDS });
    }
    let given = match shard {
        Some(shard) => Some(("--shard", shard)),
        None => environment.shard()?,
    };
    let (source_name, ordinal) = match given {
        Some((name, ordinal)) => (name.to_owned(), ordinal),
        None if from_environment && total_source != "default" => of_name(total_source, environment, host_name)?,
        None => ("default".to_owned(), 0),
    };
    if ordinal >= total {
        return Err(SettingsError::Ordinal { source_name, ordinal, total, total_source });
    }
    Ok(Shard { ordinal, total })
}

fn of_name(
    total_source: &'static str,
    environment: &Environment,
    host_name: impl FnOnce() -> Option<String>,
) -> Result<(String, u32), SettingsError> {
    let (source_name, name) = match environment.pod_name() {
        Some(name) => (format!("POD_NAME {name:?}"), name.to_owned()),
        None => {
            let name = host_name().unwrap_or_default();
            (format!("host name {name:?}"), name)
        }
    };
    match ordinal(&name) {
        Some(ordinal) => Ok((source_name, ordinal)),
        None => Err(SettingsError::NoOrdinal { total_source, source_name }),
    }
}
