//! Two API servers on one etcd, behind a load balancer that changes the server with each connection. One of them lags or dies. No
//! object is missing or doubled: lists never go back behind the known version, and watches continue at the other server.

use std::time::Duration;

use anyhow::Result;

use super::faults_restore::{Fate, create, ensure_exact, pod};
use crate::api;
use crate::cluster::{Cluster, Options};
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::proxy::{Mode, Proxy};
use crate::stage::Stage;
use crate::wait::until;

const REPLICAS: u8 = 3;
/// How long one server does not hear of changes: longer than a Lease lasts.
const LAG: Duration = Duration::from_secs(17);
/// How long after that replicas may serve an earlier state: until the lagging server has caught up.
const CAUGHT_UP: Duration = Duration::from_secs(20);

pub async fn run(stage: &Stage) -> Result<String> {
    let mut cluster = Cluster::start(stage, Options::FLEET).await?;
    cluster.fill(stage, stage.pods()).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    create(&cluster, Fate::Deleted).await?;
    let etcd = Proxy::forward((stage.address(4), 0).into(), cluster.etcd()?).await?;
    let (second, mut process) = Cluster::another_server(stage, etcd.address()).await?;
    let servers = [cluster.server_address()?, second];
    let balancer = Proxy::balance((stage.address(2), 0).into(), &servers).await?;
    let kubeconfig = stage.directory.join("kubeconfig-balanced");
    balancer.write_kubeconfig(&kubeconfig, &cluster)?;
    let options = fleet::Options { kubeconfig: Some(kubeconfig), ..fleet::Options::lean(REPLICAS, &[]) };
    let fleet = Fleet::start_with(stage, &cluster, options).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = Duration::from_secs(1);

    observer
        .phase(&fleet, "one lags while scaling up", Bounds::SEAMLESS, async || {
            etcd.set(Mode::Silent);
            change(&cluster).await?;
            fleet.scale(REPLICAS + 1).await?;
            tokio::time::sleep(LAG).await;
            process.ensure_running()?;
            etcd.set(Mode::Open);
            exact(&fleet, &cluster).await
        })
        .await?;
    observer
        .phase(&fleet, "one dies while scaling down", Bounds::SEAMLESS, async || {
            fleet.scale(REPLICAS).await?;
            fleet.changing(false).await?;
            process.kill()?;
            exact(&fleet, &cluster).await
        })
        .await?;
    observer.summary()
}

/// Creates and deletes Pods.
async fn change(cluster: &Cluster) -> Result<()> {
    let pods = cluster.api.core("pods");
    cluster.api.delete(&format!("{pods}/{}", pod(Fate::Deleted, 0))).await?;
    create(cluster, Fate::Created).await
}

async fn exact(fleet: &Fleet, cluster: &Cluster) -> Result<()> {
    until("the current objects", CAUGHT_UP, async || ensure_exact(fleet, cluster).await).await
}
