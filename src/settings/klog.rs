//! The flags of klog, the logging library of Kubernetes. `-v` sets the verbosity. The other flags control files and headers that
//! this program does not write; they are accepted so that a command line of kube-state-metrics works unchanged.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use super::values::GoBool;

const HEADING: &str = "Logging";
const VERBOSITY: &str = "v";

/// Accepted without effect: name, and whether it is a boolean.
const IGNORED: &[(&str, bool)] = &[
    ("add_dir_header", true),
    ("alsologtostderr", true),
    ("alsologtostderrthreshold", false),
    ("legacy_stderr_threshold_behavior", true),
    ("log_backtrace_at", false),
    ("log_dir", false),
    ("log_file", false),
    ("log_file_max_size", false),
    ("logtostderr", true),
    ("one_output", true),
    ("skip_headers", true),
    ("skip_log_headers", true),
    ("stderrthreshold", false),
    ("vmodule", false),
];

/// klog's flags as given on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Klog {
    /// `-v`.
    pub verbosity: Option<i32>,
    /// The names of the given flags that have no effect.
    pub ignored: Vec<&'static str>,
}

/// The names of klog's flags that have no effect.
pub fn ignored() -> impl Iterator<Item = &'static str> {
    IGNORED.iter().map(|(name, _)| *name)
}

/// How a flag of klog differs from kube-state-metrics' flag of the same name.
pub(super) fn difference(name: &str) -> Option<&'static str> {
    (name == VERBOSITY).then_some("0 to 3 for important events, 4 to 7 for debug, 8 and above for trace")
}

impl Args for Klog {
    fn augment_args(command: Command) -> Command {
        let verbosity = Arg::new(VERBOSITY)
            .short('v')
            .long("v")
            .value_name("N")
            .value_parser(value_parser!(i32))
            .help("Verbosity of the log: 0 to 3 for important events, 4 to 7 for debug, 8 and above for trace. Default: 0")
            .help_heading(HEADING);
        let ignored = IGNORED.iter().map(|&(name, is_boolean)| {
            let arg = Arg::new(name).long(name).help_heading(HEADING).hide(true);
            if is_boolean {
                GoBool::flag(arg.value_name("BOOL")).help("Specific to klog; no effect")
            } else {
                arg.value_name("VALUE").action(ArgAction::Set).help("Specific to klog; no effect")
            }
        });
        command.arg(verbosity).args(ignored)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Klog {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut klog = Self::default();
        klog.update_from_arg_matches(matches)?;
        Ok(klog)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        if let Some(verbosity) = matches.get_one(VERBOSITY) {
            self.verbosity = Some(*verbosity);
        }
        let given = ignored().filter(|name| matches.contains_id(name));
        for name in given {
            if !self.ignored.contains(&name) {
                self.ignored.push(name);
            }
        }
        Ok(())
    }
}
