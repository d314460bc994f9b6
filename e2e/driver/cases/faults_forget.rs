//! The commands `status` and `forget` against a running fleet: a live member is not forgotten, and the objects of one whose node is
//! lost are served as soon as it is.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::handover::{KILL_SLACK, start_delay};
use crate::api;
use crate::cluster::Cluster;
use crate::fleet::{self, Fleet};
use crate::observer::{Bounds, Observer};
use crate::process::{self, Outcome, Signal};
use crate::stage::Stage;

const REPLICAS: u8 = 3;
/// How long `forget` watches a Lease, in seconds.
const WATCHED: f64 = 7.0;
/// How long a replica that still runs may take to read its Lease and write it again, in seconds.
const REFUTED: f64 = 1.0;
/// How long a command may take.
const LIMIT: Duration = Duration::from_secs(30);

pub async fn run(stage: &Stage) -> Result<String> {
    let cluster = Cluster::shared(stage).await?;
    let expected = cluster.api.keys("/api/v1/pods?labelSelector=team", api::uid).await?;
    let fleet = Fleet::start_with(stage, &cluster, fleet::Options::lean(REPLICAS, &[])).await?;
    let mut observer = Observer::new(stage, &fleet, &expected)?;
    observer.settle(&fleet).await?;
    fleet.board.lock().start_delay = start_delay(stage);
    let command = Command { stage, cluster: &cluster };

    let outcome = command.run(&["status"]).await?;
    ensure!(outcome.code == 0, "status of a settled fleet: {outcome:?}");
    alive(&command, &fleet, &mut observer).await?;
    lost(&command, &fleet, &mut observer).await?;
    observer.summary()
}

/// `forget` refuses a live member. With --force it declares it gone, and it refutes that.
async fn alive(command: &Command<'_>, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    observer
        .phase(fleet, "forget a live member", Bounds::SEAMLESS, async || {
            let outcome = command.run(&["forget", "1"]).await?;
            ensure!(outcome.code == 2 && outcome.text.contains("member 1 is alive"), "{outcome:?}");
            let outcome = command.run(&["forget", "7"]).await?;
            ensure!(outcome.code == 2 && outcome.text.contains('7'), "{outcome:?}");
            Ok(())
        })
        .await?;
    let bounds = Bounds { missing: KILL_SLACK, doubled: REFUTED, ..Bounds::SEAMLESS };
    observer
        .phase(fleet, "forget --force a live member", bounds, async || {
            let outcome = command.run(&["forget", "1", "--force"]).await?;
            ensure!(outcome.code == 0, "{outcome:?}");
            Ok(())
        })
        .await
}

/// The node of a replica is lost: it is suspended, and its Pod stays. The others take its ranges as soon as it is forgotten. When it
/// continues, it serves nothing that they have taken.
async fn lost(command: &Command<'_>, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let mut forgotten = 0.0;
    let bounds = Bounds::missing(WATCHED + 1.0 + KILL_SLACK);
    observer
        .phase(fleet, "forget a member of a lost node", bounds, async || {
            fleet.signal(2, Signal::STOP)?;
            let start = Instant::now();
            let outcome = command.run(&["forget", "2"]).await?;
            ensure!(outcome.code == 0, "{outcome:?}");
            fleet.until_taken_over(2, Duration::from_secs(10)).await?;
            forgotten = start.elapsed().as_secs_f64();
            let outcome = command.run(&["status", "--output=json"]).await?;
            ensure!(outcome.code == 1, "status without a member: {outcome:?}");
            let state = serde_json::Deserializer::from_str(&outcome.text).into_iter::<Value>().next();
            let state = state.context("status prints nothing")??;
            ensure!(state["absent"] == json!([2]) && state["settled"] == false, "{state}");
            fleet.signal(2, Signal::CONT)
        })
        .await?;
    observer.note(format!("others served {forgotten:.1} s after the loss of the node"));
    killed(command, fleet, observer).await
}

/// A replica is killed, and its Pod does not come back. It may be forgotten, which changes nothing: the others have taken over.
async fn killed(command: &Command<'_>, fleet: &Fleet, observer: &mut Observer) -> Result<()> {
    let change = async || {
        fleet.board.lock().pending.insert(1);
        fleet.signal(1, Signal::KILL)?;
        let outcome = command.run(&["forget", "1"]).await?;
        ensure!(outcome.code == 0, "{outcome:?}");
        Ok(())
    };
    let settled = async || {
        for (other, _) in fleet.live() {
            let absent = fleet.metric(other, "kube_state_fleet_members", &[("state", "absent")]).await?;
            ensure!(absent == 1.0, "replica {other} counts {absent} absent members");
        }
        Ok(())
    };
    observer.phase_until("SIGKILL, and forget", Bounds::missing(KILL_SLACK), change, None, settled).await
}

/// The program with an administrator's access.
struct Command<'a> {
    stage: &'a Stage,
    cluster: &'a Cluster,
}

impl Command<'_> {
    async fn run(&self, arguments: &[&str]) -> Result<Outcome> {
        let mut all: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        all.push(format!("--kubeconfig={}", self.cluster.kubeconfig.display()));
        all.push(format!("--fleet-namespace={}", self.cluster.api.namespace));
        process::run(&self.stage.exporter()?, &all, &self.stage.directory, arguments[0], LIMIT).await
    }
}
