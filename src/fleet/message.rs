//! The messages to the task of a member. Those that peers cause have a bounded queue of their own.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::format_error::FormatError;
use super::handover::Event;
use super::record::Record;
use super::refusals::{Reason, Refusals};

/// Maximum number of heartbeats that wait for the task of a member. More are dropped: each peer sends another one within a second.
const MAX_HEARTBEATS: usize = 256;

/// A message to the task of a member.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are events, and few are queued at a time")]
pub(super) enum Message {
    /// An event for the state machine.
    Event(Event),
    /// The Lease of the fleet, as the API server has it.
    Stored {
        /// The record in it, or why it cannot be read; `None` if it contains none.
        record: Option<Result<Record, FormatError>>,
        /// Its resourceVersion; `None` if there is no such Lease.
        version: Option<String>,
        /// Whether this replaces all earlier knowledge, also of higher resourceVersions.
        reset: bool,
        /// Whether no list and no watch contains the Lease.
        hidden: bool,
    },
    /// The member has stopped exposing objects: its Lease is to say that it left.
    MarkLeft,
}

/// The sender of messages.
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    /// For what this process and the API server cause.
    messages: mpsc::UnboundedSender<Message>,
    /// For what peers cause.
    heartbeats: mpsc::Sender<Event>,
    refusals: Arc<Refusals>,
}

/// The receiver of messages.
#[derive(Debug)]
pub(super) struct Inbox {
    messages: mpsc::UnboundedReceiver<Message>,
    heartbeats: mpsc::Receiver<Event>,
}

/// Returns both ends of the queues. Dropped heartbeats are counted in `refusals`.
pub(super) fn queue(refusals: Arc<Refusals>) -> (Outbox, Inbox) {
    let (messages, received) = mpsc::unbounded_channel();
    let (heartbeats, from_peers) = mpsc::channel(MAX_HEARTBEATS);
    (Outbox { messages, heartbeats, refusals }, Inbox { messages: received, heartbeats: from_peers })
}

impl Outbox {
    /// Sends a message. It is lost only during shutdown, when the task of the member has ended.
    pub fn send(&self, message: Message) {
        let _ = self.messages.send(message);
    }

    /// Sends an event that a peer caused, unless too many wait.
    pub fn send_from_peer(&self, event: Event) {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.heartbeats.try_send(event) {
            self.refusals.note(Reason::QueueFull, format_args!("{MAX_HEARTBEATS} heartbeats wait for a decision"));
        }
    }
}

impl Inbox {
    /// Returns the next message; `None` once all senders are gone.
    pub async fn recv(&mut self) -> Option<Message> {
        tokio::select! {
            biased;
            message = self.messages.recv() => message,
            Some(event) = self.heartbeats.recv() => Some(Message::Event(event)),
        }
    }

    /// Returns the next message if one waits. Those of peers come last.
    pub fn try_recv(&mut self) -> Option<Message> {
        let message = self.messages.try_recv().ok();
        message.or_else(|| self.heartbeats.try_recv().ok().map(Message::Event))
    }
}
