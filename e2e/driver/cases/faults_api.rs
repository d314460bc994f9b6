//! What goes wrong with the API server, or on the way to it: replicas that can hear each other serve on what they have.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::handover::start_delay;
use crate::api;
use crate::cluster::{Cluster, Options};
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::proxy::{Proxy, Way};
use crate::stage::Stage;

/// The replica whose way to the API server is cut.
const CUT: u8 = 1;
/// For how long the API server says nothing: twice as long as a Lease lasts.
const SILENCE: Duration = Duration::from_secs(30);

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, Options::FLEET).await?;
    cluster.fill(stage, stage.pods()).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let proxy = Proxy::start(stage, 2, &cluster).await?;
    let options = fleet::Options::lean(2, &[]);
    let kubeconfig = stage.directory.join("kubeconfig-proxy");
    proxy.write_kubeconfig(&kubeconfig, &cluster)?;
    options.board.lock().kubeconfigs.insert(CUT, kubeconfig);
    let fleet = Fleet::start_with(stage, &cluster, options).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = start_delay(stage);

    cut(&fleet, &proxy, &mut observer).await?;
    silent(&mut cluster, &fleet, &mut observer).await?;
    observer.told()
}

/// A replica does not reach the API server, while its peer and the API server are well: nobody takes its ranges, and it
/// serves on.
async fn cut(fleet: &Fleet, proxy: &Proxy, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "one without the API server", Bounds::SEAMLESS, async || {
            for way in [Way::Silent, Way::Closed] {
                proxy.set(way);
                // Longer than a Lease lasts, both together.
                tokio::time::sleep(Duration::from_secs(12)).await;
                let (absent, untaken) = uncovered(fleet).await?;
                ensure!(absent + untaken == 0.0, "{way:?}: {absent} absent, {untaken} untaken");
            }
            proxy.set(Way::Open);
            Ok(())
        })
        .await
}

/// How many members each replica counts as absent and as untaken, all together.
async fn uncovered(fleet: &Fleet) -> Result<(f64, f64)> {
    let (mut absent, mut untaken) = (0.0, 0.0);
    for (ordinal, _) in fleet.live() {
        absent += fleet.metric(ordinal, "kube_state_fleet_members", &[("state", "absent")]).await?;
        untaken += fleet.metric(ordinal, "kube_state_fleet_members", &[("state", "untaken")]).await?;
    }
    Ok((absent, untaken))
}

/// The API server stands still while the fleet changes.
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
