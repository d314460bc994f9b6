//! Lists and watches resources: bytes of the API server in, changes to this replica's objects out. Nothing else does.
//!
//! A [`Source`] is (endpoint, namespace, slice). Several sources of one resource may run at once. Each calls its [`Sink`] with
//! `init, apply*, init_done, (apply | delete)*`, and starts over at `init` when it relists. When its slice grows, it
//! backfills the new part through a second sink, with `init, (apply | keep)*, init_done`. Watch events of that part still go
//! to the first sink. Objects of other shards are dropped after a peek at their UID in the raw bytes.
//! May not import Prometheus, families or series.

mod api;
mod backfill;
mod checkpoint;
mod client;
mod condition;
mod decode;
mod discard;
mod encoding;
mod event;
mod failure;
mod feed;
mod fingerprint;
mod form;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod json;
pub mod mend;
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
mod tree;
mod uid_observer;
mod uid_tally;
mod unpooled;
mod unreadable;
mod watch;
pub mod wipe;

pub use client::{SwappableClient, private_client, shared_client};
pub use condition::{Condition, Trouble, Vitals};
pub use decode::{DecodeError, Item, decode_object};
pub use encoding::Encoding;
#[doc(hidden)]
pub use feed::Feed;
pub use fingerprint::{Fingerprinter, Room};
pub use form::Form;
pub use shard_state::ShardState;
pub use sink::Sink;
pub use source::{Endpoint, Source, Status};
pub use uid_tally::TallyError;
pub use unreadable::Unreadable;
pub use watch::run;
