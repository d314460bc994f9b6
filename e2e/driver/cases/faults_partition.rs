//! Networks that are cut between replicas in one direction, and partitions that heal.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::handover::start_delay;
use crate::api;
use crate::cluster::Cluster;
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::proxy::{Mode, Proxy};
use crate::stage::Stage;

const REPLICAS: u8 = 2;
/// The replica that loses the API server, too.
const CUT: u8 = 1;
/// How long a direction is cut: longer than a Lease lasts.
const ONE_WAY: Duration = Duration::from_secs(16);
/// How long the partition lasts: others take over when the Lease has expired, 20 s at most, and both sides serve for a while.
const PARTITION: Duration = Duration::from_secs(26);
/// How long objects may be doubled by a partition, in seconds: from the end of the Lease, 15 s after its last renewal, which can be 5 s
/// before the partition, until the partition heals and the replica has the news.
const DOUBLED: f64 = PARTITION.as_secs() as f64 - 10.0 + 3.0;

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let server = Proxy::start(stage, 2, &cluster).await?;
    let options = fleet::Options { proxied: REPLICAS, ..fleet::Options::lean(REPLICAS, &[]) };
    server.lead(stage, &cluster, &options.board, CUT)?;
    let fleet = Fleet::start_with(stage, &cluster, options).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = start_delay(stage);

    one_way(&fleet, &mut observer).await?;
    partition(&fleet, &server, &mut observer).await?;
    observer.summary()
}

/// Packets from one replica to the other one are lost, not those in the other direction: it cannot connect, and connections to it
/// carry requests without answers. Nobody is dismissed, since both renew their Leases.
async fn one_way(fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let generations = fleet.generations().await?;
    for (from, to) in [(0, 1), (1, 0)] {
        observer
            .phase(fleet, &format!("nothing gets from {from} to {to}"), Bounds::SEAMLESS, async || {
                fleet.proxies[to].set(Mode::Silent);
                fleet.proxies[from].set(Mode::Unanswered);
                tokio::time::sleep(ONE_WAY).await;
                ensure!(fleet.generations().await? == generations, "the assignment has changed");
                fleet.proxies.iter().for_each(|proxy| proxy.set(Mode::Open));
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// A replica loses the API server and its peer, both of which are well. The peer takes its ranges when its Lease has expired. It
/// serves them too, as `--on-lost-quorum=serve` says, until the partition heals.
async fn partition(fleet: &Fleet, server: &Proxy, observer: &mut Observer) -> Result<()> {
    let bounds = Bounds { doubled: DOUBLED, ..Bounds::SEAMLESS };
    observer
        .phase(fleet, "a partition that heals", bounds, async || {
            let all = || fleet.proxies.iter().chain([server]);
            all().for_each(|proxy| proxy.set(Mode::Silent));
            tokio::time::sleep(PARTITION).await;
            let absent = fleet.metric(1 - CUT, "kube_state_fleet_members", &[("state", "absent")]).await?;
            ensure!(absent == 1.0, "the others count {absent} absent members");
            all().for_each(|proxy| proxy.set(Mode::Open));
            Ok(())
        })
        .await
}
