//! The command line: its commands, their arguments and their help.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::SignedDuration;

use super::docs::page::Page;
use super::plugin;
use crate::collectors::quantity;
use crate::settings::{Flags, names};

/// The output of `version`, with the version of kube-state-metrics whose metrics and flags these are.
pub(super) const VERSION_LINE: &str =
    concat!("kube-state-fleet ", env!("CARGO_PKG_VERSION"), " (metrics and flags of kube-state-metrics v2.20.0)");

const EXAMPLES: &str = "\
Examples:
  kube-state-fleet demo                           run a fleet without a cluster
  kube-state-fleet --kubeconfig ~/.kube/config    serve your cluster on :8080/metrics
  kube-state-fleet                                the same, in a pod
  kubectl get pods -A -o yaml | kube-state-fleet render -    print the metrics of a dump
  kube-state-fleet verify --kubeconfig ~/.kube/config        check that each object is served once
  kubectl get deploy kube-state-metrics -o yaml | kube-state-fleet migrate -f -    report what changes
";

/// Exposes the objects of a Kubernetes cluster as Prometheus metrics.
///
/// Metrics, flags and ports are those of kube-state-metrics. The work can be split over a fleet of replicas, each of which
/// watches the cluster and keeps its share of the objects.
#[derive(Debug, Parser)]
#[command(
    name = "kube-state-fleet",
    bin_name = "kube-state-fleet",
    version,
    before_long_help = EXAMPLES,
    after_help = "Flags may be given before or after the command. klog's flags are also accepted: see docs/cli.md.",
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

/// A command.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Watch the cluster and serve its metrics. This is the default command
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Run(Box<Flags>),
    /// Print the metrics of objects in files, without a cluster
    ///
    /// Reads JSON or YAML as printed by kubectl (single objects, lists, several documents), and prints the metrics that a single
    /// replica with these flags serves for them. Counts objects of other kinds on stderr.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Render(Box<Render>),
    /// Run a fleet against a simulated cluster, all in this process
    ///
    /// The cluster has rollouts, jobs, a crash loop, an unschedulable pod and a failing node. The keys + and - scale the
    /// fleet, also through a pipe. q or Ctrl-C ends the demo.
    #[cfg(feature = "simulator")]
    Demo(Demo),
    /// Verify that the replicas together serve each object of the cluster once
    ///
    /// Lists the metadata of all objects from the API server and the served objects from every replica, prints a table, and names
    /// missing and duplicate objects. Checks differences again before it reports them, because the cluster changes meanwhile.
    /// Flags that select objects must be the same as those of the replicas. Needs permission to list the served resources,
    /// to get the StatefulSet and list its pods, and, from outside the cluster, to get pods/proxy. Exit codes: 0 if each
    /// object is served once, 1 if there is a difference, 2 if there is no result.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Verify(Box<Verify>),
    /// Show the members of a fleet, its assignment, and what a handover waits for
    ///
    /// Reads the StatefulSet and the Leases of the fleet from the API server, and no replica. Needs permission to get the StatefulSet
    /// and to list Leases. Exit codes: 0 if the fleet is settled, 1 if not, 2 if there is no result.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Status(Box<Status>),
    /// Declare that a member of a fleet is gone for good, so that the others take over at once
    ///
    /// For a member whose node is lost, or whose Pod is stuck. It must not run any more: otherwise its objects are missing or served
    /// twice for a moment, as after a crash. Watches its Lease for 7 s, and refuses a member that renews it. Needs permission to get and
    /// update Leases. Exit codes: 0 for success, 2 if the member is alive or unknown, or a request fails.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Forget(Box<Forget>),
    /// Estimate the size of a cluster's metrics, and how many replicas to run
    ///
    /// Counts series, bytes (plain and gzipped), memory and label values, by resource, family and label. The objects come from the
    /// live cluster, or from files as printed by kubectl. Flags apply as in run, so you see the effect of an allowlist before you
    /// roll it out. Exit codes: 0 for success, 1 if some objects could not be read, 2 if there is no estimate.
    #[command(args_override_self = true, allow_negative_numbers = true)]
    Estimate(Box<Estimate>),
    /// Report what changes when you replace kube-state-metrics with this program, given its arguments
    ///
    /// Prints a line for each flag that is ignored, rejected or works differently, for each default that differs, and for settings
    /// that do not work in kube-state-metrics. Prints nothing if nothing changes. Exit codes: 0 if all arguments are supported, 1
    /// if some are rejected, 2 if the manifest cannot be read.
    Migrate(Migrate),
    /// Rewrite alert and recording rules so that they hold while objects move between the replicas of a fleet
    ///
    /// For rules that were written for one kube-state-metrics, and fleets without a seamless handover. Wraps each selector of a family
    /// in `max without (instance, pod)`, where that is right. Reads rule files of Prometheus and PrometheusRule objects, and changes
    /// nothing but their expressions. Names on stderr each expression that it leaves as it is, and why. See docs/scaling.md. Exit
    /// codes: 0 if all rules hold, 1 if some are left as they are, or a file cannot be read.
    Rules(Rules),
    /// Check a config of custom resources, and measure its metrics with objects from a dump
    ///
    /// Reports unknown keys, labels that Prometheus reserves, entries that a later one replaces, and Infos without labels. With a dump, as
    /// printed by kubectl, also kinds of which it has neither an object nor a CustomResourceDefinition, paths that lead to lists or maps where
    /// a value is needed, metrics without series, and the number of series of each metric. Exit codes: 0 for no finding, 1 for findings, 2 if
    /// the config or the dump cannot be read.
    LintCustomResources(LintCustomResources),
    /// Print a page of the reference, such as docs/metrics.md, docs/cli.md or the ClusterRole
    Docs {
        /// The page.
        #[command(subcommand)]
        page: Page,
    },
    /// Print the completion script for a shell
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
    /// Files to read; - for standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

/// Arguments of `estimate`.
#[derive(Args, Debug)]
pub(super) struct Estimate {
    /// Files to read; - for standard input. Default: the live cluster.
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Format of the estimate.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Output,
    /// Maximum size of an uncompressed scrape of one replica, such as 50MB, 64Mi or 1000000.
    #[arg(long, value_name = "BYTES", default_value = "64Mi", value_parser = bytes)]
    pub scrape_size: u64,
    #[command(flatten)]
    flags: Flags,
}

/// The format of the estimate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For scripts.
    Json,
}

/// Parses a Kubernetes quantity. `MB` and `MiB` are common spellings of `M` and `Mi`.
fn bytes(text: &str) -> Result<u64, String> {
    let number = quantity::to_f64(text.strip_suffix('B').unwrap_or(text));
    number
        .filter(|number| (1.0..1e15).contains(number))
        .map(|number| number as u64)
        .ok_or_else(|| "not a size; write it as 50MB, 64Mi or 1000000".to_owned())
}

/// Arguments of `verify`.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// StatefulSet of the replicas.
    #[arg(long, value_name = "NAME", default_value = "kube-state-fleet", value_parser = names::object)]
    pub statefulset: String,
    /// Namespace of the StatefulSet. Default: that of the kubeconfig, or of the pod that this program runs in.
    #[arg(long, value_name = "NAMESPACE", value_parser = names::namespace)]
    pub fleet_namespace: Option<String>,
    /// How to reach the replicas: at their pod IPs, or through the API server's pod proxy. Default: direct in a pod, else proxy.
    #[arg(long, value_name = "ROUTE")]
    pub via: Option<Via>,
    /// URL of a replica's telemetry port, such as http://10.0.0.7:8081; may be repeated. The StatefulSet is then not used.
    #[arg(long, value_name = "URL")]
    pub replica: Vec<String>,
    /// Repeat the verification, with this pause after each round. --watch without a value: 30s.
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30s", value_parser = duration)]
    pub watch: Option<Duration>,
    #[command(flatten)]
    pub flags: Flags,
}

/// The fleet that a command is about.
#[derive(Args, Clone, Debug)]
pub(super) struct FleetName {
    /// StatefulSet of the replicas.
    #[arg(long, value_name = "NAME", default_value = "kube-state-fleet", value_parser = names::object)]
    pub statefulset: String,
    /// Namespace of the StatefulSet. Default: that of the kubeconfig, or of the pod that this program runs in.
    #[arg(long, value_name = "NAMESPACE", value_parser = names::namespace)]
    pub fleet_namespace: Option<String>,
}

/// Arguments of `status`.
#[derive(Args, Debug)]
pub(super) struct Status {
    #[command(flatten)]
    pub fleet: FleetName,
    /// Format of the state.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Output,
    #[command(flatten)]
    pub flags: Flags,
}

/// Arguments of `forget`.
#[derive(Args, Debug)]
pub(super) struct Forget {
    /// Ordinal of the member, as in the output of status.
    #[arg(value_name = "ORDINAL")]
    pub ordinal: u32,
    /// Do not check whether the member is alive.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub fleet: FleetName,
    #[command(flatten)]
    pub flags: Flags,
}

/// Arguments of `migrate`.
#[derive(Args, Debug)]
pub(super) struct Migrate {
    /// Manifest of a kube-state-metrics workload, with its ConfigMaps and Roles if there are any; - for standard input.
    #[arg(short = 'f', long = "filename", value_name = "FILE", conflicts_with = "arguments")]
    pub manifest: Option<PathBuf>,
    /// Values of kube-state-metrics' chart, or of kube-prometheus-stack; - for standard input. Prints values of this project's chart.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["arguments", "manifest"])]
    pub values: Option<PathBuf>,
    /// Arguments of kube-state-metrics, as in its container.
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub arguments: Vec<String>,
}

/// Arguments of `rules`.
#[derive(Args, Debug)]
pub(super) struct Rules {
    /// Files to read; - for standard input.
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Labels that differ between the replicas, and that objects do not have.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "instance,pod", value_parser = label)]
    pub labels: Vec<String>,
    /// Whether the scrape job has honor_labels, so that pods keep their own label pod.
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub honor_labels: bool,
    /// Step of the subqueries for rate, increase and the like: the scrape interval. Default: the evaluation interval.
    #[arg(long, value_name = "DURATION", value_parser = prometheus_duration)]
    pub resolution: Option<String>,
    /// Replace the files instead of printing them.
    #[arg(long)]
    pub write: bool,
}

/// Arguments of `lint-custom-resources`.
#[derive(Args, Debug)]
pub(super) struct LintCustomResources {
    /// Config to check, as for --custom-resource-state-config-file.
    #[arg(value_name = "FILE")]
    pub config: PathBuf,
    /// Files with objects and CustomResourceDefinitions; - for standard input.
    #[arg(value_name = "DUMP")]
    pub dumps: Vec<PathBuf>,
    /// The config may name kinds without a CustomResourceDefinition, as for the flag of `run` with this name.
    #[arg(long)]
    pub custom_resource_state_all_kinds: bool,
    /// Format of the findings.
    #[arg(long, value_name = "FORMAT", default_value = "table")]
    pub output: Output,
}

/// Parses the name of a label.
fn label(text: &str) -> Result<String, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(is_part);
    if is_name { Ok(text.to_owned()) } else { Err("not the name of a label".to_owned()) }
}

/// Parses a duration as Prometheus writes it: `30s`, `1m30s`.
fn prometheus_duration(text: &str) -> Result<String, String> {
    let is_duration = regex::Regex::new("^([0-9]+(ms|[smhdwy]))+$").is_ok_and(|pattern| pattern.is_match(text));
    if is_duration { Ok(text.to_owned()) } else { Err("not a duration; write it as 30s or 1m30s".to_owned()) }
}

/// How to reach the replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Via {
    /// At their pod IPs.
    Direct,
    /// Through the API server's pod proxy.
    Proxy,
}

/// Parses a duration as Go writes it: `30s`, `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    let duration: SignedDuration = text.parse().map_err(|e: jiff::Error| e.to_string())?;
    Duration::try_from(duration).map_err(|_| "negative".to_owned())
}

/// Arguments of `demo`.
#[cfg(feature = "simulator")]
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Demo {
    /// Number of replicas that share the cluster.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub shards: u32,
    /// Number of pods at the start.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(24..=100_000))]
    pub pods: u32,
    /// Seed of the simulation. The same seed gives the same sequence of events.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}

/// A parsed command line.
pub(super) struct Invocation {
    /// The flags, from before and after the command.
    pub flags: Flags,
    /// The command.
    pub command: Command,
}

/// Returns clap's definition, for the reference.
pub(super) fn definition() -> clap::Command {
    Cli::command()
}

/// Returns the completion script for `shell`.
pub(super) fn completion(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut definition(), "kube-state-fleet", &mut script);
    script
}

/// Parses a command line that begins with the program's name.
pub(super) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, clap::Error> {
    let mut args = args.into_iter().peekable();
    let is_plugin = plugin::is_called(args.peek());
    let definition =
        if is_plugin { Cli::command().bin_name(plugin::NAME).subcommand_required(true) } else { Cli::command() };
    let matches = definition.try_get_matches_from(args)?;
    let Cli { mut flags, command } = Cli::from_arg_matches(&matches)?;
    // Flags after the command override those before it.
    if let (
        Some(
            Command::Run(_)
            | Command::Render(_)
            | Command::Verify(_)
            | Command::Status(_)
            | Command::Forget(_)
            | Command::Estimate(_),
        ),
        Some((_, behind)),
    ) = (&command, matches.subcommand())
    {
        flags.update_from_arg_matches(behind)?;
    }
    if is_plugin && flags.kubeconfig.is_none() && flags.apiserver.is_none() {
        flags.kubeconfig = plugin::kubeconfig(std::env::var_os("KUBECONFIG").as_deref(), std::env::home_dir());
    }
    Ok(Invocation { flags, command: command.unwrap_or_else(|| Command::Run(Box::default())) })
}

/// Returns the message of an error on one line, without usage and tips.
pub(super) fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "docs: no page given; expected families, cli, flags, custom-resources-schema, rbac or man".to_owned();
    }
    let text = error.render().to_string();
    let parts: Vec<_> = text
        .split("\n\n")
        .take_while(|part| !part.starts_with("Usage:") && !part.starts_with("For more information"))
        .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    parts.join("; ").trim_start_matches("error: ").to_owned()
}
