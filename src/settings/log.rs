//! How to log.

use clap::ValueEnum;

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One line of text per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// How to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// Whether to write JSON instead of text.
    pub json: bool,
    /// `-v`: 0 to 3 is info, 4 to 7 debug, 8 and above trace.
    pub verbosity: u8,
}
