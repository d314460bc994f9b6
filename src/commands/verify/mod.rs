//! `verify`: proves from outside that the replicas together serve each object of the cluster exactly once.
//!
//! It requests UIDs from the API server and from all replicas. Replicas see changes at different times, so it checks each
//! difference a second time before it reports it. It does not share code with the intake that it checks, and lists with kube's
//! own client. [`cluster`] asks the API server, [`replicas`] finds and asks the replicas over a [`connection`], [`compare`] compares without I/O, and
//! [`report`] prints.

mod cluster;
mod compare;
mod connection;
mod replicas;
mod report;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use super::cli::Verify;
use super::connect::{ConnectError, connect};
use super::progress::Progress;
use super::run::runtime;
use crate::server::WebConfig;
use crate::settings::Settings;
use crate::settings::resources::{self, Kind};
use crate::settings::yaml::FileError;
use cluster::{Cluster, ClusterError};
use compare::Finding;
use connection::Connection;
use replicas::{AskError, FindError, ReplicaFinder, ReplicaTarget};

/// The delay before a difference is checked again: longer than a watch may lag, and than other replicas need to take over from
/// one that crashed.
const CONFIRM_DELAY: Duration = Duration::from_secs(4);

/// Maximum number of attempts while replicas come and go.
const MAX_ATTEMPTS: u32 = 5;

/// The exit code if there are differences.
const DIFFERENT: u8 = 1;
/// The exit code if nothing could be verified.
const NO_ANSWER: u8 = 2;

/// Why nothing could be verified.
#[derive(Debug, thiserror::Error)]
pub(super) enum VerifyError {
    /// A flag that selects objects by more than their UIDs.
    #[error("{0} cannot be verified, because the objects that it excludes change over time; remove the flag")]
    Flag(&'static str),
    #[error("starting failed: {0}")]
    Start(#[source] io::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("--tls-config: {0}")]
    WebConfig(#[from] FileError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("writing the output failed: {0}")]
    Output(#[from] io::Error),
}

/// Verifies once, or repeatedly with `--watch`.
///
/// Returns 0 if each object is served exactly once in all rounds, 1 if not, and 2 if a round could not be verified.
pub(super) fn run(settings: &Settings, arguments: &Verify, out: &mut dyn Write) -> Result<ExitCode, VerifyError> {
    refuse_unstable_selection(settings)?;
    let runtime = runtime().map_err(VerifyError::Start)?;
    runtime.block_on(async {
        let (client, config) = connect(settings).await?;
        let namespace = config.default_namespace.clone();
        let web = WebConfig::of(settings).await?;
        let filtered = settings.fixed.auth_filter.then_some(&config);
        let connection = Connection::new(web, filtered).map_err(|error| ConnectError::SetUp(Box::new(error)))?;
        let verifier = Verifier {
            cluster: Cluster::new(client.clone()),
            finder: ReplicaFinder::new(client, connection, settings, arguments, namespace),
            settings,
        };
        match arguments.watch {
            None => {
                let (names, findings) = verifier.round().await?;
                report::whole(out, &names, &findings)?;
                Ok(if findings.iter().any(Finding::has_differences) { DIFFERENT.into() } else { ExitCode::SUCCESS })
            }
            Some(period) => verifier.watch(period, out).await,
        }
    })
}

/// Refuses flags whose selection of objects changes without a change of the objects' metadata.
fn refuse_unstable_selection(settings: &Settings) -> Result<(), VerifyError> {
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

/// The names of the replicas, and one finding per resource.
type Round = (Vec<String>, Vec<Finding>);

/// Verifies all resources of the settings.
struct Verifier<'a> {
    cluster: Cluster,
    finder: ReplicaFinder,
    settings: &'a Settings,
}

impl Verifier<'_> {
    /// Runs rounds until a signal. A round that fails is reported, and the next one tries again.
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
                    trouble |= findings.iter().any(Finding::has_differences);
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

    /// Runs one round. It starts over if replicas come or go meanwhile, as in a rolling update, because pods that were not
    /// asked make the result meaningless.
    async fn round(&self) -> Result<Round, VerifyError> {
        for _ in 1..MAX_ATTEMPTS {
            match self.attempt(false).await {
                Ok(Some(round)) => return Ok(round),
                Ok(None) => {}
                Err(VerifyError::Ask(_)) if self.finder.is_dynamic() => tokio::time::sleep(CONFIRM_DELAY).await,
                Err(error) => return Err(error),
            }
        }
        self.attempt(true).await.map(Option::unwrap_or_default)
    }

    /// Makes one attempt. Returns `None` if the replicas changed meanwhile, unless it is the `last` attempt.
    async fn attempt(&self, last: bool) -> Result<Option<Round>, VerifyError> {
        let replicas = self.finder.find().await?;
        let kinds =
            resources::all().iter().filter(|k| self.settings.live.resources.iter().any(|name| name == k.plural));
        let (mut found, mut progress) = (Vec::new(), Progress::new());
        for kind in kinds {
            progress.report(|| format!("asking for {}", kind.plural));
            if let Some(finding) = self.compare(kind, &replicas).await? {
                found.push((kind, finding));
            }
        }
        if found.iter().any(|(_, finding)| finding.has_differences()) {
            tokio::time::sleep(CONFIRM_DELAY).await;
            if !last
                && !self
                    .finder
                    .find()
                    .await?
                    .iter()
                    .map(ReplicaTarget::target)
                    .eq(replicas.iter().map(ReplicaTarget::target))
            {
                return Ok(None);
            }
            for (kind, finding) in found.iter_mut().filter(|(_, finding)| finding.has_differences()) {
                if let Some(second) = self.compare(kind, &replicas).await? {
                    *finding = second.confirming(finding);
                }
            }
        }
        let names = replicas.into_iter().map(|r| r.name).collect();
        Ok(Some((names, found.into_iter().map(|(_, finding)| finding).collect())))
    }

    /// Compares one resource. Returns `None` if the API server does not have it.
    async fn compare(&self, kind: &Kind, replicas: &[ReplicaTarget]) -> Result<Option<Finding>, VerifyError> {
        let Some(before) = self.cluster.objects(self.settings, kind).await? else { return Ok(None) };
        let served = self.finder.ask(kind.plural, replicas).await?;
        let Some(after) = self.cluster.objects(self.settings, kind).await? else { return Ok(None) };
        Ok(Some(Finding::new(kind.plural, &before, &served, &after)))
    }
}
