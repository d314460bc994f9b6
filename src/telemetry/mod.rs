//! Self-metrics (the only user of prometheus-client) and the setup of logs.
//!
//! Other rooms count through plain handles such as [`crate::intake::Status`], which a scrape of the self-metrics reads.
//! Only [`log_to_stderr`] sets up something global, so several replicas fit in one process.

mod definitions;
mod encode;
mod exporter;
mod fleet;
mod lines;
mod logs;
mod metrics;
mod process;
mod reloads;
mod text;

pub use definitions::DefinitionEvents;
pub use exporter::Telemetry;
pub use logs::{log_to_stderr, warnings_to_stderr};
pub use metrics::MetricSources;
pub use reloads::{ConfigKind, Reloads};
