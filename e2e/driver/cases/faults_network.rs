//! Networks that refuse, reset, close or swallow the connections between replicas. Live replicas stay, and a crash is noticed in
//! each of these networks.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::handover::{KILL_SLACK, start_delay};
use crate::api;
use crate::cluster::Cluster;
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::process::Signal;
use crate::proxy::Mode;
use crate::stage::Stage;

const REPLICAS: u8 = 4;
/// How long connections between live replicas are disturbed: longer than it takes to dismiss a crashed one.
const DISTURBED: Duration = Duration::from_secs(6);
/// How the addresses of Pods behave that are no longer there.
const NETWORKS: [Mode; 4] = [Mode::Refused, Mode::Reset, Mode::Closed, Mode::Silent];

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let options = fleet::Options { proxied: REPLICAS, ..fleet::Options::lean(REPLICAS, &[]) };
    let fleet = Fleet::start_with(stage, &cluster, options).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = start_delay(stage);
    live(&fleet, &mut observer).await?;
    for (ordinal, mode) in (0..).zip(NETWORKS) {
        killed(&fleet, &mut observer, ordinal, mode).await?;
    }
    observer.summary()
}

/// All connections between live replicas are disturbed in each way, then only those to one of them. Nobody is dismissed.
async fn live(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let generations = fleet.generations().await?;
    for mode in NETWORKS {
        observer
            .phase(fleet, &format!("{mode:?} between all"), Bounds::SEAMLESS, async || {
                set_all(fleet, mode);
                tokio::time::sleep(DISTURBED).await;
                ensure!(fleet.generations().await? == generations, "the assignment has changed");
                set_all(fleet, Mode::Open);
                Ok(())
            })
            .await?;
    }
    observer
        .phase(fleet, "Refused to one, which reaches the others", Bounds::SEAMLESS, async || {
            fleet.proxies[1].set(Mode::Refused);
            tokio::time::sleep(DISTURBED).await;
            ensure!(fleet.generations().await? == generations, "the assignment has changed");
            set_all(fleet, Mode::Open);
            Ok(())
        })
        .await
}

fn set_all(fleet: &Fleet, mode: Mode) {
    fleet.proxies.iter().for_each(|proxy| proxy.set(mode));
}

/// A replica is killed, and its address treats new connections as `mode` says. Then a new Pod replaces its Pod, since one that
/// crashed returns late.
async fn killed(fleet: &Fleet, observer: &mut Observer, ordinal: u8, mode: Mode) -> Result<()> {
    observer
        .phase(fleet, &format!("SIGKILL, then {mode:?}"), Bounds::missing(KILL_SLACK), async || {
            fleet.proxies[usize::from(ordinal)].set_for_new(mode);
            fleet.signal(ordinal, Signal::KILL)?;
            fleet.delete_pod(ordinal).await?;
            fleet.until_taken_over(ordinal, Duration::from_secs(60)).await?;
            set_all(fleet, Mode::Open);
            Ok(())
        })
        .await
}
