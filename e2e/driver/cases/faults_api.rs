//! Failures of the API server and of the connections to it: replicas that reach each other continue to serve their objects.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::handover::start_delay;
use crate::api;
use crate::cluster::{Cluster, Options};
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::proxy::{Mode, Proxy};
use crate::stage::Stage;

/// The replica whose connection to the API server is interrupted.
const CUT: u8 = 1;
/// How long the API server does not answer: twice the duration of a Lease.
const SILENCE: Duration = Duration::from_secs(30);

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, Options::FLEET).await?;
    cluster.fill(stage, stage.pods()).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let proxy = Proxy::start(stage, 2, &cluster).await?;
    let options = fleet::Options::lean(2, &[]);
    proxy.lead(stage, &cluster, &options.board, CUT)?;
    let fleet = Fleet::start_with(stage, &cluster, options).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = start_delay(stage);

    cut(&fleet, &proxy, &mut observer).await?;
    silent(&mut cluster, &fleet, &mut observer).await?;
    observer.summary()
}

/// One replica does not reach the API server; its peer does. The peer does not take its ranges, and it continues to serve.
async fn cut(fleet: &Fleet, proxy: &Proxy, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "one without the API server", Bounds::SEAMLESS, async || {
            for mode in [Mode::Silent, Mode::Closed] {
                proxy.set(mode);
                // Both together exceed the duration of a Lease.
                tokio::time::sleep(Duration::from_secs(12)).await;
                let (absent, untaken) = uncovered(fleet).await?;
                ensure!(absent + untaken == 0.0, "{mode:?}: {absent} absent, {untaken} untaken");
            }
            proxy.set(Mode::Open);
            Ok(())
        })
        .await
}

/// The numbers of absent and of untaken members, summed over all replicas.
async fn uncovered(fleet: &Fleet) -> Result<(f64, f64)> {
    let (mut absent, mut untaken) = (0.0, 0.0);
    for (ordinal, _) in fleet.live() {
        absent += fleet.metric(ordinal, "kube_state_fleet_members", &[("state", "absent")]).await?;
        untaken += fleet.metric(ordinal, "kube_state_fleet_members", &[("state", "untaken")]).await?;
    }
    Ok((absent, untaken))
}

/// The API server is paused while the fleet changes.
async fn silent(cluster: &mut Cluster, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "API server silent while scaling up", Bounds::SEAMLESS, async || {
            fleet.scale(3).await?;
            fleet.changing(false).await?;
            cluster.pause(true)?;
            tokio::time::sleep(SILENCE).await;
            cluster.pause(false)
        })
        .await
}
