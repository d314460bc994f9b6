//! The only caller of list and watch: bytes of the API server in, changes of our own objects out.
//!
//! A [`Source`] is (endpoint, namespace, slice); several of one resource may run at once. Each tells its [`Sink`]
//! `init, apply*, init_done, (apply | delete)*`, and starts over at `init` whenever it has to list again. What it gains while it
//! runs is listed aside, through a second sink that is told `init, (apply | keep)*, init_done`; its events come through the first.
//! Objects of other shards are discarded after a peek at their UID on the raw bytes.
//! May not know Prometheus, families or series.

mod api;
mod backfill;
mod client;
mod decode;
mod discard;
mod encoding;
mod event;
mod failure;
mod form;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod json;
mod objects;
pub mod protobuf;
mod redact;
mod request;
mod response;
mod retry;
mod selector;
mod shard_state;
mod sink;
mod socket;
mod source;
mod uid_observer;
mod uid_tally;
mod unpooled;
mod watch;
pub mod wipe;

pub use client::{SwappableClient, private_client, shared_client};
pub use decode::{DecodeError, Item, decode_object};
pub use encoding::Encoding;
pub use form::Form;
pub use shard_state::ShardState;
pub use sink::Sink;
pub use source::{Endpoint, Source, Status};
pub use uid_tally::TallyError;
pub use watch::run;
