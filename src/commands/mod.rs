//! The subcommands: `run` (the default), `render`, `demo`, `verify`, `status`, `forget`, `estimate`, `migrate`, `rules`, `lint-custom-resources`, `docs`, `completion`, `version`.
//!
//! Parses the command line, resolves the settings, runs the subcommand, and turns its result into an exit code: 0 for
//! success, 1 for bad input, 2 for a command line or environment that is not valid.

mod cli;
mod connect;
#[cfg(feature = "simulator")]
mod demo;
mod docs;
mod estimate;
mod lint;
mod migrate;
mod output;
mod plugin;
mod progress;
mod render;
mod rules;
mod run;
mod status;
mod upstream;
mod verify;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use jiff::tz::TimeZoneDatabase;

use crate::collectors::schedule;
use crate::settings::{Environment, Flags, Layers, LayersError, Settings, Warning};
use cli::{Command, Invocation};
use output::print_line;
pub use rules::fuzz::rewrite as rules_fuzz;

/// The exit code for a command line or environment that is not valid.
const USAGE: u8 = 2;
/// The exit code for input that is not valid.
const FAILURE: u8 = 1;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    schedule::set_time_zones(TimeZoneDatabase::from_env());
    execute(std::env::args_os(), &mut io::stdout().lock(), &mut io::stderr())
}

/// Runs the command line `args`, which begins with the program name.
pub fn execute(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let invocation = match cli::read(args) {
        Ok(invocation) => invocation,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return printed(write!(out, "{}", error.render()), err);
        }
        Err(error) => return refuse(err, &cli::one_line(&error)),
    };
    match dispatch(invocation, out, err) {
        Ok(code) => code,
        Err(error) => refuse(err, &error.to_string()),
    }
}

fn dispatch(invocation: Invocation, out: &mut dyn Write, err: &mut dyn Write) -> Result<ExitCode, LayersError> {
    let Invocation { flags, command } = invocation;
    match command {
        Command::Run(_) => run::run(Layers { flags, environment: Environment::of_process(), host_name: host_name() }),
        Command::Render(arguments) => {
            let (settings, warnings) = unsharded(flags)?;
            print_warnings(&warnings, err);
            Ok(match render::render(&settings, &arguments.files, out, err) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => FAILURE.into(),
                Err(render::RenderError::Output(error)) => printed(Err(error), err),
                Err(error) => fail(err, &error.to_string()),
            })
        }
        #[cfg(feature = "simulator")]
        Command::Demo(arguments) => Ok(match demo::run(arguments, &flags, out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(demo::DemoError::Output(error)) => printed(Err(error), err),
            Err(demo::DemoError::Settings(error)) => refuse(err, &error.to_string()),
            Err(error) => fail(err, &error.to_string()),
        }),
        Command::Verify(mut arguments) => {
            arguments.flags = flags.clone();
            let (settings, warnings) = unsharded(flags)?;
            print_warnings(&warnings, err);
            Ok(match verify::run(&settings, &arguments, out) {
                Ok(code) => code,
                Err(verify::VerifyError::Output(error)) => printed(Err(error), err),
                Err(error) => refuse(err, &error.to_string()),
            })
        }
        Command::Status(arguments) => {
            let (settings, warnings) = unsharded(flags)?;
            print_warnings(&warnings, err);
            Ok(match status::run(&settings, &arguments, out) {
                Ok(code) => code,
                Err(status::StatusError::Output(error)) => printed(Err(error), err),
                Err(error) => refuse(err, &error.to_string()),
            })
        }
        Command::Forget(arguments) => {
            let (settings, warnings) = unsharded(flags)?;
            print_warnings(&warnings, err);
            Ok(match status::forget(&settings, &arguments, out) {
                Ok(()) => ExitCode::SUCCESS,
                Err(status::StatusError::Output(error)) => printed(Err(error), err),
                Err(error) => refuse(err, &error.to_string()),
            })
        }
        Command::Estimate(arguments) => {
            let (settings, warnings) = unsharded(flags)?;
            print_warnings(&warnings, err);
            Ok(match estimate::run(&settings, &arguments, out, err) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => FAILURE.into(),
                Err(estimate::EstimateError::Output(error)) => printed(Err(error), err),
                Err(error) => refuse(err, &error.to_string()),
            })
        }
        Command::Migrate(arguments) => Ok(match migrate::run(&arguments, out) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => FAILURE.into(),
            Err(migrate::MigrateError::Output(error)) => printed(Err(error), err),
            Err(error) => refuse(err, &error.to_string()),
        }),
        Command::Rules(arguments) => Ok(match rules::run(&arguments, out, err) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => FAILURE.into(),
            Err(rules::RulesError::Output(error)) => printed(Err(error), err),
            Err(error) => fail(err, &error.to_string()),
        }),
        Command::LintCustomResources(arguments) => Ok(match lint::run(&arguments, out) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => FAILURE.into(),
            Err(lint::LintError::Output(error)) => printed(Err(error), err),
            Err(error) => refuse(err, &error.to_string()),
        }),
        Command::Docs { page } => Ok(printed(docs::write(&page, out)?, err)),
        Command::Completion { shell } => Ok(printed(out.write_all(&cli::completion(shell)), err)),
        Command::Version => Ok(printed(writeln!(out, "{}", cli::VERSION_LINE), err)),
    }
}

/// Returns settings without sharding, for commands that are not a member of a fleet.
fn unsharded(flags: Flags) -> Result<(Settings, Vec<Warning>), LayersError> {
    Layers { flags, ..Layers::default() }.resolve_unsharded()
}

fn host_name() -> Option<String> {
    gethostname::gethostname().into_string().ok()
}

/// Prints one line per warning.
fn print_warnings(warnings: &[Warning], err: &mut dyn Write) {
    for warning in warnings {
        print_line(err, &format!("warning: {warning}"));
    }
}

fn refuse(err: &mut dyn Write, line: &str) -> ExitCode {
    print_line(err, line);
    USAGE.into()
}

fn fail(err: &mut dyn Write, line: &str) -> ExitCode {
    print_line(err, line);
    FAILURE.into()
}

/// Returns the exit code of printing. A reader that closes the pipe (`| head`) is not a failure.
fn printed(result: io::Result<()>, err: &mut dyn Write) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(err, &format!("writing the output failed: {error}")),
    }
}
