//! The command line: which commands there are, and what is said about them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;

use super::docs::page::Page;
use crate::collectors::quantity;
use crate::settings::Flags;

/// What `version` prints; kube-state-metrics' part says whose flags and metrics these are.
pub(super) const VERSION_LINE: &str =
    concat!("kube-state-fleet ", env!("CARGO_PKG_VERSION"), " (metrics and flags of kube-state-metrics v2.20.0)");

const EXAMPLES: &str = "\
Examples:
  kube-state-fleet demo                           a fleet at work, without a cluster
  kube-state-fleet --kubeconfig ~/.kube/config    your cluster on :8080/metrics
  kube-state-fleet                                the same, in a pod
  kubectl get pods -A -o yaml | kube-state-fleet render -    metrics of a dump
  kube-state-fleet verify --kubeconfig ~/.kube/config        is each object served once?
  kubectl -n kube-system get deploy kube-state-metrics -o yaml | kube-state-fleet migrate -f -    what would change?
";

/// Turns the objects of a Kubernetes cluster into Prometheus metrics.
///
/// Metrics, flags and ports are those of kube-state-metrics; but the work can be split over a fleet of replicas, each of
/// which watches the cluster and keeps its share of the objects.
#[derive(Debug, Parser)]
#[command(
    name = "kube-state-fleet",
    bin_name = "kube-state-fleet",
    version,
    before_long_help = EXAMPLES,
    after_help = "Flags may stand before or after the command. klog's flags are accepted too: see docs/cli.md.",
    args_override_self = true,
    disable_help_subcommand = true,
    allow_negative_numbers = true
)]
struct Cli {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Watch the cluster and serve its metrics; what is done without a command
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Run(Box<Flags>),
    /// Print the metrics of objects in files; no cluster is asked
    ///
    /// Reads JSON or YAML as kubectl prints it (single objects, lists, many documents) and prints what an exporter with
    /// these flags, alone, would serve for them. Objects of other kinds are counted on stderr.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Render(Box<Render>),
    /// Run a fleet against a simulated cluster, all in this process; no cluster is needed
    ///
    /// The cluster lives: rollouts, jobs, a crash loop, a pod that fits nowhere, a node that fails. The fleet grows and shrinks by
    /// itself until + or - is pressed (or comes through a pipe), then by these alone; q or Ctrl-C ends it.
    Demo(Demo),
    /// Prove that the replicas together serve each object of the cluster once
    ///
    /// Asks the API server for the metadata of all objects and every replica for what it serves, prints a table and names
    /// what is missing or doubled. What differs is asked for again before it is told, so that a fleet is not accused of what
    /// changes meanwhile. Flags that select objects must be those of the replicas. Needs the rights to list what is served,
    /// to get the StatefulSet and list its pods, and from outside the cluster to get pods/proxy. Exit codes: 0 for each
    /// object served once, 1 for a difference, 2 for no answer.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Verify(Box<Verify>),
    /// Tell what a cluster's metrics amount to, and how many replicas to run
    ///
    /// Counts series and bytes, plain and gzipped, memory and label values, by resource, family and label, for the objects of the
    /// live cluster, or of files as kubectl prints them, under the flags that are given: what an allowlist adds is seen before it
    /// is rolled out. Exit codes: 0 for done, 1 for objects that could not be read, 2 for no estimate.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Estimate(Box<Estimate>),
    /// Tell what changes for who runs kube-state-metrics with these arguments and takes this program instead
    ///
    /// Prints a line for each flag that is ignored or refused or does something else here, for defaults that differ, and for what is
    /// broken there; nothing if nothing changes. Exit codes: 0 if all that is asked for is done, 1 if something is refused, 2 if
    /// the manifest cannot be read.
    Migrate(Migrate),
    /// Print a page of the reference: the source of docs/metrics.md, docs/cli.md and the ClusterRole
    Docs {
        /// The page.
        #[command(subcommand)]
        page: Page,
    },
    /// Print the completions of a shell
    ///
    /// For bash, for example: source <(kube-state-fleet completion bash)
    Completion {
        /// The shell.
        #[arg(value_name = "SHELL")]
        shell: Shell,
    },
    /// Print the version
    Version,
}

/// Arguments of `render`.
#[derive(Args, Debug)]
pub(super) struct Render {
    /// Files to read; - is standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Arguments of `estimate`.
#[derive(Args, Debug)]
pub(super) struct Estimate {
    /// Files to read; - is standard input. Without one, the live cluster is asked.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// For people (table) or for scripts (json).
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub output: Output,
    /// How many bytes a plain scrape of one replica may have, as 50MB, 64Mi or 1000000.
    #[arg(long, value_name = "BYTES", default_value = "64Mi", value_parser = bytes)]
    pub scrape_size: u64,
    #[command(flatten)]
    flags: Flags,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For scripts.
    Json,
}

/// A Kubernetes quantity; `MB` and `MiB` are what people write for `M` and `Mi`.
fn bytes(text: &str) -> Result<u64, String> {
    let number = quantity::to_f64(text.strip_suffix('B').unwrap_or(text));
    number
        .filter(|number| (1.0..1e15).contains(number))
        .map(|number| number as u64)
        .ok_or_else(|| "it is no size such as 50MB, 64Mi or 1000000".to_owned())
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The StatefulSet of the replicas.
    #[arg(long, value_name = "NAME", default_value = "kube-state-fleet")]
    pub statefulset: String,
    /// The StatefulSet's namespace. Default: that of the kubeconfig or of the pod in which this runs.
    #[arg(long, value_name = "NAMESPACE")]
    pub fleet_namespace: Option<String>,
    /// How replicas are reached: at their pod IPs, or by the API server's pod proxy. Default: direct in a pod, else proxy.
    #[arg(long, value_name = "WAY")]
    pub via: Option<Via>,
    /// URL of a replica's telemetry port, http://10.0.0.7:8081; may be repeated. No StatefulSet is looked for then.
    #[arg(long, value_name = "URL")]
    pub replica: Vec<String>,
    /// Go on, and verify again so long after each round. Default, where only --watch is given: 30s.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = duration)]
    pub watch: Option<Duration>,
    #[command(flatten)]
    pub flags: Flags,
}

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub(super) struct Migrate {
    /// Manifest of a workload of kube-state-metrics, with ConfigMaps and Roles if they are there; - is standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE", conflicts_with = "arguments")]
    pub manifest: Option<PathBuf>,
    /// The arguments of kube-state-metrics, as its container has them.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// How replicas are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Via {
    /// At their pod IPs.
    Direct,
    /// By the API server's pod proxy.
    Proxy,
}

/// As Go prints it: `30s`, `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    Duration::try_from(duration).map_err(|_| "it is negative".to_owned())
}

/// Arguments of `demo`.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Demo {
    /// How many replicas share the cluster.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub shards: u32,
    /// How many pods the cluster has at first.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(24..=100_000))]
    pub pods: u32,
    /// Which life the cluster lives: the same for the same seed.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// A command line that was understood.
pub(super) struct Invocation {
    /// The flags, wherever they stood.
    pub flags: Flags,
    /// The command.
    pub command: Command,
}

/// The definition, for the reference.
pub(super) fn definition() -> clap::Command {
    Cli::command()
}

/// The script that makes `shell` complete our command lines.
pub(super) fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "kube-state-fleet", &mut script);
    script
}

/// Reads a command line, program name first.
pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let matches = Cli::command().try_get_matches_from(args)?;
    let Cli { mut flags, command } = Cli::from_arg_matches(&matches)?;
    // What stands behind the command counts over what stands before it.
    if let (Some(Command::Run(_) | Command::Render(_) | Command::Verify(_) | Command::Estimate(_)), Some((_, behind))) =
        (&command, matches.subcommand())
    {
        flags.update_from_arg_matches(behind)?;
    }
    Ok(Invocation { flags, command: command.unwrap_or_else(|| Command::Run(Box::default())) })
}

/// What is wrong with a command line, without usage and the like, on one line.
pub(super) fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "docs: which page? One of families, cli, flags, rbac".to_owned();
    }
    let text = error.render().to_string();
    let said: Vec<_> = text
        .split("\n\n")
        .take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more information"))
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    said.join("; ").trim_start_matches("error: ").to_owned()
}
