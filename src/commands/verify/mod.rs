//! `verify`: proves from outside that the replicas together serve each object of the cluster once.
//!
//! The API server and all replicas are asked for UIDs, and what differs is asked for again before it is told: replicas hear of
//! changes at different moments, and a fleet that is well must never be accused. Nothing here shares code with what it
//! checks: lists are made by kube, not by our intake. [`cluster`] asks the API server, [`replicas`] finds and asks the replicas,
//! [`compare`] is the pure middle, [`report`] prints.

mod cluster;
mod compare;
mod replicas;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::cli::Verify;
use super::progress::Progress;
use super::run::runtime;
use crate::intake;
use crate::replica::{ClientError, PeerConnector, client_config};
use crate::server::WebConfig;
use crate::settings::Settings;
use crate::settings::resources::{self, Kind};
use crate::settings::yaml::FileError;
use cluster::{Cluster, ClusterError};
use compare::Finding;
use replicas::{AskError, FindError, Fleet, Replica};

/// How long what differs is given to be the same: longer than a watch is behind, or than it takes from one replica's crash
/// until others serve for it.
const CONFIRM: Duration = Duration::from_secs(4);

/// How often it is begun anew while replicas come and go.
const TRIES: u32 = 5;

/// What differences end with.
const DIFFERENT: u8 = 1;
/// What ends with no answer.
const NO_ANSWER: u8 = 2;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerifyError {
    /// Which objects a replica serves hangs on more than their UIDs.
    #[error("{0} cannot be verified: which objects it leaves out changes while the cluster lives")]
    Flag(&'static str),
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot set up a client: {0}")]
    SetUp(#[from] Box<kube::Error>),
    #[error("--tls-config: {0}")]
    WebConfig(#[from] FileError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Verifies once, or again and again. The exit code is 0 if each object is served once, 1 if not; of many rounds the worst.
pub(super) fn run(settings: &Settings, arguments: &Verify, out: &mut dyn Write) -> Result<ExitCode, VerifyError> {
    refuse_what_moves(settings)?;
    let runtime = runtime().map_err(VerifyError::Start)?;
    runtime.block_on(async {
        let config = client_config(settings).await?;
        let namespace = config.default_namespace.clone();
        let web = WebConfig::of(settings).await?;
        let filtered = settings.fixed.auth_filter.then(|| watch::channel(config.clone()).1);
        let door = PeerConnector::new(web, filtered).map_err(Box::new)?;
        let client = intake::shared_client(config).map_err(Box::new)?;
        let verifier = Verifier {
            cluster: Cluster::new(client.clone()),
            fleet: Fleet::new(client, door, settings, arguments, namespace),
            settings,
        };
        match arguments.watch {
            None => {
                let (names, findings) = verifier.round().await?;
                report::whole(out, &names, &findings)?;
                Ok(if findings.iter().any(Finding::is_trouble) { DIFFERENT.into() } else { ExitCode::SUCCESS })
            }
            Some(period) => verifier.watch(period, out).await,
        }
    })
}

/// Objects come and go from these slices of the cluster without a change that both sides could be asked about.
fn refuse_what_moves(settings: &Settings) -> Result<(), VerifyError> {
    for (flag, given) in [
        ("--node", !settings.live.nodes.is_empty()),
        ("--track-unscheduled-pods", settings.live.track_unscheduled_pods),
        ("--object-limit", settings.live.object_limit != 0),
    ] {
        if given {
            return Err(VerifyError::Flag(flag));
        }
    }
    Ok(())
}

/// The names of the replicas, and a finding a resource.
type Round = (Vec<String>, Vec<Finding>);

/// Who is asked, and about what.
struct Verifier<'a> {
    cluster: Cluster,
    fleet: Fleet,
    settings: &'a Settings,
}

impl Verifier<'_> {
    /// Rounds until a signal ends it. What could not be asked is told, and asked again in the next round.
    async fn watch(&self, period: Duration, out: &mut dyn Write) -> Result<ExitCode, VerifyError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(VerifyError::Start)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(VerifyError::Start)?;
        let (mut trouble, mut no_answer) = (false, false);
        loop {
            let round = tokio::select! {
                round = self.round() => round,
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            };
            match round {
                Ok((names, findings)) => {
                    trouble |= findings.iter().any(Finding::is_trouble);
                    report::line(out, &names, &findings)?;
                }
                Err(error) => {
                    no_answer = true;
                    report::no_answer(out, &error.to_string())?;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(period) => {}
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
            }
        }
        Ok(match (trouble, no_answer) {
            (true, _) => DIFFERENT.into(),
            (false, true) => NO_ANSWER.into(),
            (false, false) => ExitCode::SUCCESS,
        })
    }

    /// The names of the replicas, and what was found of each resource. Replicas may come and go meanwhile, as in a rolling
    /// update: then it begins anew, since a pod that nobody asked proves nothing.
    async fn round(&self) -> Result<Round, VerifyError> {
        for _ in 1..TRIES {
            match self.attempt(false).await {
                Ok(Some(round)) => return Ok(round),
                Ok(None) => {}
                Err(VerifyError::Ask(_)) if self.fleet.is_looked_for() => tokio::time::sleep(CONFIRM).await,
                Err(error) => return Err(error),
            }
        }
        self.attempt(true).await.map(Option::unwrap_or_default)
    }

    /// One try; `None` if the replicas have changed meanwhile, and it is not the `last` one.
    async fn attempt(&self, last: bool) -> Result<Option<Round>, VerifyError> {
        let replicas = self.fleet.find().await?;
        let kinds =
            resources::all().iter().filter(|k| self.settings.live.resources.iter().any(|name| name == k.plural));
        let (mut found, mut progress) = (Vec::new(), Progress::new());
        for kind in kinds {
            progress.tell(|| format!("asking for {}", kind.plural));
            if let Some(finding) = self.look(kind, &replicas).await? {
                found.push((kind, finding));
            }
        }
        if found.iter().any(|(_, finding)| finding.is_trouble()) {
            tokio::time::sleep(CONFIRM).await;
            if !last && !self.fleet.find().await?.iter().map(Replica::place).eq(replicas.iter().map(Replica::place)) {
                return Ok(None);
            }
            for (kind, finding) in found.iter_mut().filter(|(_, finding)| finding.is_trouble()) {
                if let Some(second) = self.look(kind, &replicas).await? {
                    *finding = second.confirming(finding);
                }
            }
        }
        let names = replicas.into_iter().map(|r| r.name).collect();
        Ok(Some((names, found.into_iter().map(|(_, finding)| finding).collect())))
    }

    /// One look at a resource; `None` if the API server does not have it.
    async fn look(&self, kind: &Kind, replicas: &[Replica]) -> Result<Option<Finding>, VerifyError> {
        let Some(before) = self.cluster.objects(self.settings, kind).await? else { return Ok(None) };
        let served = self.fleet.ask(kind.plural, replicas).await?;
        let Some(after) = self.cluster.objects(self.settings, kind).await? else { return Ok(None) };
        Ok(Some(Finding::new(kind.plural, &before, &served, &after)))
    }
}
