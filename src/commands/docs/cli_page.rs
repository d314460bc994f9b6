//! The pages about the command line, generated from clap's definition and the list of kube-state-metrics' flags.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::builder::StyledStr;
use clap::{Arg, Command};

use super::markdown::{GENERATED, cell};
use crate::commands::cli;
use crate::commands::upstream::{self, UpstreamFlag};
use crate::settings::{difference, ignored_flags};

/// docs/cli.md.
pub(super) fn commands() -> String {
    let mut root = cli::definition();
    root.build();
    let mut page = format!("{GENERATED}\n# Command line\n\n");
    if let Some(about) = root.get_long_about().or(root.get_about()) {
        let _ = writeln!(page, "{about}\n");
    }
    page.push_str(
        "Write flags as `--flag=value` or `--flag value`, and booleans as `--flag` or `--flag=false`. Lists are comma-separated, and \
         add up when a flag is repeated. Of any other repeated flag the last one counts. The file of `--config` overrides flags, flags override the \
         environment, and the environment overrides defaults. The only environment variables are `SHARD`, `TOTAL_SHARDS`, `SHARD_COUNT`, \
         `POD_NAME`, `POD_NAMESPACE` and `POD_IP` (the address at which the other members of a fleet reach this one).\n\nExit codes: 0 for \
         success, 1 for unreadable input, 2 for an invalid command line or environment.\n\n## Commands\n",
    );
    for command in root.get_subcommands() {
        let text = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
        let (first, more) = text.split_once("\n\n").unwrap_or((&text, ""));
        let _ = write!(
            page,
            "\n### {}\n\n{}.{}{more}\n",
            command.get_name(),
            first.trim_end_matches('.'),
            if more.is_empty() { "" } else { " " }
        );
        let listed: Vec<_> = own_flags(command).chain(pages(command)).collect();
        if !listed.is_empty() {
            let _ = write!(page, "\n{}", listed.concat());
        }
    }
    page.push_str("\n## Flags\n\nThese are the flags of `run`, `render`, `estimate`, `verify`, `status` and `forget`. `render` and `estimate` serve nothing and belong to no fleet, so they ignore flags for ports and sharding. Without a cluster they also ignore flags for the cluster. `verify` uses the flags for the cluster and for objects. It also uses `--telemetry-port`, to query the replicas, and `--tls-config` and `--auth-filter`, to authenticate to them. `status` and `forget` use only the flags for the cluster.\n");
    let mut heading = None;
    for arg in root.get_arguments().filter(|a| a.get_long().is_some() && !a.is_hide_set()) {
        let of_group = arg.get_help_heading().unwrap_or("Other");
        if heading != Some(of_group) {
            heading = Some(of_group);
            let _ = write!(page, "\n### {of_group}\n\n| flag | meaning |\n|---|---|\n");
        }
        let _ = writeln!(
            page,
            "| {} | {} |",
            form(arg),
            cell(&arg.get_help().map(ToString::to_string).unwrap_or_default())
        );
    }
    let ignored: Vec<_> = ignored_flags().map(|name| format!("`--{name}`")).collect();
    let _ = write!(
        page,
        "\n### Accepted without effect\n\nklog's flags for log files and headers: {}. Flags for Go's garbage collector, with a \
         warning: `--auto-gomemlimit`, `--auto-gomemlimit-ratio`.\n",
        ignored.join(", ")
    );
    page
}

/// The flags of a command, without those that `run` has too.
fn own_flags(command: &Command) -> impl Iterator<Item = String> {
    let shared: BTreeSet<String> =
        cli::definition().get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect();
    // `docs rbac` has flags of the same names that are its own.
    let shares = command.get_arguments().any(|a| a.get_long() == Some("kubeconfig"));
    let own = move |long: &str| long != "help" && !(shares && shared.contains(long));
    command.get_arguments().filter(move |a| a.get_long().is_some_and(&own)).map(|a| {
        let default: Vec<_> = a.get_default_values().iter().map(|v| v.to_string_lossy()).collect();
        let default = if default.is_empty() { String::new() } else { format!(". Default: {}", default.join(",")) };
        format!("- {}: {}{default}\n", form(a), about(a.get_help()))
    })
}

/// The subcommands of a command, with their flags.
fn pages(command: &Command) -> impl Iterator<Item = String> {
    command.get_subcommands().map(|page| {
        let flags: String = own_flags(page).map(|flag| format!("  {flag}")).collect();
        format!("- `{} {}`: {}\n{flags}", command.get_name(), page.get_name(), about(page.get_about()))
    })
}

fn about(text: Option<&StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default()
}

/// The syntax of a flag.
fn form(arg: &Arg) -> String {
    let mut text = String::new();
    if let Some(short) = arg.get_short() {
        let _ = write!(text, "`-{short}`, ");
    }
    let _ = write!(text, "`--{}", arg.get_long().unwrap_or_default());
    if arg.get_action().takes_values() {
        let value = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
        let optional = arg.get_num_args().is_some_and(|n| n.min_values() == 0);
        let _ = if optional { write!(text, "[={value}]") } else { write!(text, "={value}") };
    }
    text.push('`');
    text
}

/// The table of flags in docs/compatibility.md.
pub(super) fn compatibility() -> String {
    let mut root = cli::definition();
    root.build();
    let mut table = "| flag of kube-state-metrics | default there | support here |\n|---|---|---|\n".to_owned();
    for UpstreamFlag { name, default, .. } in upstream::flags() {
        let default = if default.is_empty() { String::new() } else { format!("`{default}`") };
        let ours = root.get_arguments().find(|a| a.get_long() == Some(name));
        let status = if ours.is_some_and(Arg::is_hide_set) {
            "accepted, no effect".to_owned()
        } else if ours.is_some() {
            let difference = difference(name).map(|text| format!("; {text}"));
            format!("supported{}", difference.unwrap_or_default())
        } else {
            "not yet".to_owned()
        };
        let _ = writeln!(table, "| `--{name}` | {default} | {status} |");
    }
    let own: Vec<_> = root
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .filter_map(Arg::get_long)
        .filter(|long| upstream::flag(long).is_none())
        .map(|long| format!("`--{long}`"))
        .collect();
    let _ = writeln!(table, "\nFlags that only kube-state-fleet has: {}.", own.join(", "));
    table
}
