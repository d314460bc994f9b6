//! Headers of families.

use super::parts::Parts;

/// The type of a family, as in `# TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows.
    Counter,
    /// Always 1, with the information in its labels. Text 0.0.4 has no such type and prints `gauge`.
    Info,
    /// One series per state, 0 or 1. Text 0.0.4 has no such type and prints `gauge`.
    StateSet,
}

/// The header of a family: name, type, HELP, and the parts that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The name of the metric.
    pub name: String,
    /// The HELP text, unescaped.
    pub help: String,
    /// The type.
    pub kind: MetricType,
    /// The parts of an object that its series depend on.
    pub reads: Parts,
    /// Whether its series begin with the labels that the series of an object share. Others carry all their labels themselves.
    pub shares: bool,
}
