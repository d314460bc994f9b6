//! Series as Prometheus reads them: families, the store of what is exposed, and the writers of both text formats.
//!
//! Holds [`Header`] (one family's name, type and HELP), [`Block`] (all series of one object, as a collector makes it),
//! [`Store`] (the series of every resource, in pages of objects and columns of families) and [`Scrape`] (the text, plain or
//! gzipped, chunk by chunk).
//! May not know Kubernetes types, clients, clocks or HTTP.

mod block;
mod column;
mod gzip;
mod history;
mod linger;
mod number;
mod page;
mod pages;
mod records;
mod scrape;
mod store;
mod text;
mod uid;

pub use block::{Block, BlockBuilder, Samples};
pub use history::Unknown;
pub use number::write_number;
pub use scrape::Scrape;
pub use store::{Epoch, FamilyFootprint, Footprint, ResourceStore, Scope, Stamp, Store};
pub use text::{Format, Selection};
pub use uid::Uid;

/// The type of a family, as `# TYPE` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricType {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows.
    Counter,
    /// Always 1, labels carry the message. Text 0.0.4 has no such type and says `gauge`.
    Info,
    /// One series a state, 0 or 1. Text 0.0.4 has no such type and says `gauge`.
    StateSet,
}

/// What stands above a family's series: name, type, HELP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The metric's name.
    pub name: String,
    /// The HELP text, unescaped.
    pub help: String,
    /// The type.
    pub kind: MetricType,
}
