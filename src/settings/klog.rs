//! The flags of klog, Kubernetes' logging library. `-v` sets how much is logged; the others steer files and headers that
//! this program does not write, and are accepted so that a command line of kube-state-metrics works as it is.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches, value_parser};

use crate::go::parse_bool;

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

/// What was given of klog's flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Klog {
    /// `-v`.
    pub verbosity: Option<i32>,
    /// The names of those that have no effect.
    pub ignored: Vec<&'static str>,
}

/// The names of klog's flags that have no effect.
pub fn ignored() -> impl Iterator<Item = &'static str> {
    IGNORED.iter().map(|(name, _)| *name)
}

impl Args for Klog {
    fn augment_args(command: Command) -> Command {
        let verbosity = Arg::new(VERBOSITY)
            .short('v')
            .long("v")
            .value_name("N")
            .value_parser(value_parser!(i32))
            .help("How much is logged: 0 tells what matters, 4 and more what is done, 8 and more all. Default: 0")
            .help_heading(HEADING);
        let ignored = IGNORED.iter().map(|&(name, is_boolean)| {
            let arg = Arg::new(name).long(name).help_heading(HEADING).hide(true);
            if is_boolean {
                arg.value_name("BOOL")
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
                    .value_parser(parse_bool)
                    .help("klog's; no effect")
            } else {
                arg.value_name("VALUE").action(ArgAction::Set).help("klog's; no effect")
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
