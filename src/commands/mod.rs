//! What the binary does: `run` (the default), `render`, `demo`, `docs`.

pub mod demo;

use std::process::ExitCode;

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
