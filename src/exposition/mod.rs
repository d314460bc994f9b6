//! Stores series and writes them in the formats that Prometheus reads.
//!
//! [`Header`] holds name, type and HELP of a family, and [`Block`] all series of one object, which a collector generates.
//! [`Store`] holds the series of all resources, in pages of objects and columns of families. [`Scrape`] is a response: plain
//! or gzipped text, chunk by chunk.
//! Must not use Kubernetes types, clients, clocks or HTTP.

mod block;
mod column;
mod gzip;
mod header;
mod held_back;
mod history;
mod linger;
mod memo;
mod namespaces;
mod number;
mod page;
mod pages;
mod parts;
mod records;
mod resource;
mod scrape;
mod served;
mod store;
mod text;
mod uid;
mod uids;
mod view;

pub use block::{Block, BlockBuilder, Samples};
pub use header::{Header, MetricType};
pub use history::Unknown;
pub use memo::{Exposes, Memo, Past, Remembered};
pub use namespaces::{NamespaceLabels, NamespacedBy};
pub use number::write_number;
pub use parts::{Fingerprints, Parts};
pub use resource::{Epoch, FamilyFootprint, Footprint, ResourceStore, Scope, Stamp, Update};
pub use scrape::Scrape;
pub use store::Store;
pub use text::{Format, Selection};
pub use uid::Uid;
pub use uids::Uids;
pub use view::Departing;
