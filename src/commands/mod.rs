//! What the binary does: `run` (the default), `render`, `demo`, `verify`, `estimate`, `migrate`, `docs`, `completion`, `version`.
//!
//! Reads the command line, turns it into settings, hands over to one file a command, and turns the answer into an exit
//! code: 0 for done, 1 for bad input, 2 for a command line or environment that cannot be followed.

mod cli;
mod demo;
mod docs;
mod estimate;
mod migrate;
mod progress;
mod render;
mod run;
mod upstream;
mod verify;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;

use crate::settings::{Environment, Flags, Layers, LayersError, Settings, Warning};
use cli::{Command, Invocation};

/// What a command line that cannot be followed ends with.
const USAGE: u8 = 2;
/// What input that cannot be read ends with.
const FAILURE: u8 = 1;

/// Does what the command line of this process says.
pub fn main() -> ExitCode {
    execute(std::env::args_os(), &mut io::stdout().lock(), &mut io::stderr())
}

/// Does what the command line `args`, program name first, says.
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
            let (settings, warnings) = alone(flags)?;
            tell(&warnings, err);
            Ok(match render::render(&settings, &arguments.files, out, err) {
                Ok(true) => ExitCode::SUCCESS,
                Ok(false) => FAILURE.into(),
                Err(render::RenderError::Output(error)) => printed(Err(error), err),
                Err(error) => fail(err, &error.to_string()),
            })
        }
        Command::Demo(arguments) => Ok(match demo::run(arguments, &flags, out) {
            Ok(()) => ExitCode::SUCCESS,
            Err(demo::DemoError::Output(error)) => printed(Err(error), err),
            Err(demo::DemoError::Settings(error)) => refuse(err, &error.to_string()),
            Err(error) => fail(err, &error.to_string()),
        }),
        Command::Verify(mut arguments) => {
            arguments.flags = flags.clone();
            let (settings, warnings) = alone(flags)?;
            tell(&warnings, err);
            Ok(match verify::run(&settings, &arguments, out) {
                Ok(code) => code,
                Err(verify::VerifyError::Output(error)) => printed(Err(error), err),
                Err(error) => refuse(err, &error.to_string()),
            })
        }
        Command::Estimate(arguments) => {
            let (settings, warnings) = alone(flags)?;
            tell(&warnings, err);
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
        Command::Docs { page } => Ok(printed(docs::write(&page, out)?, err)),
        Command::Completion { shell } => Ok(printed(out.write_all(&cli::completion(shell)), err)),
        Command::Version => Ok(printed(writeln!(out, "{}", cli::VERSION_LINE), err)),
    }
}

/// The settings of something that is no member of a fleet: neither flags nor config file nor the environment shard it.
fn alone(flags: Flags) -> Result<(Settings, Vec<Warning>), LayersError> {
    Layers { flags, ..Layers::default() }.resolve_unsharded()
}

fn host_name() -> Option<String> {
    gethostname::gethostname().into_string().ok()
}

/// One line on `err` a warning.
fn tell(warnings: &[Warning], err: &mut dyn Write) {
    for warning in warnings {
        say(err, &format!("warning: {warning}"));
    }
}

/// One line on `err`.
fn say(err: &mut dyn Write, line: &str) {
    // Who closed stderr does not want to read it.
    let _ = writeln!(err, "kube-state-fleet: {line}");
}

fn refuse(err: &mut dyn Write, line: &str) -> ExitCode {
    say(err, line);
    USAGE.into()
}

fn fail(err: &mut dyn Write, line: &str) -> ExitCode {
    say(err, line);
    FAILURE.into()
}

/// What came of printing. A reader that has seen enough (`| head`) is no failure.
fn printed(result: io::Result<()>, err: &mut dyn Write) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(err, &format!("cannot write the output: {error}")),
    }
}
