//! The messages to the task of a member.

use super::handover::Event;
use super::record::Record;

/// A message to the task of a member.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events, and few are queued at a time")]
pub(super) enum Message {
    /// An event for the state machine.
    Event(Event),
    /// The Lease of the fleet, as the API server has it.
    Stored {
        /// The record in it, if it can be parsed.
        record: Option<Record>,
        /// Its resourceVersion; `None` if there is no such Lease.
        version: Option<String>,
        /// Whether this replaces all earlier knowledge, also of higher resourceVersions.
        reset: bool,
    },
    /// The member has stopped exposing objects: its Lease is to say that it left.
    MarkLeft,
}
