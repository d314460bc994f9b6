//! Feeds the events of a watch to a sink without a connection: for benches, and for tests of what follows the intake.

use std::sync::Arc;
use std::time::Duration;

use super::encoding::Encoding;
use super::objects::Objects;
use super::shard_state::ShardState;
use super::sink::Sink;
use super::source::{Endpoint, Source, Status};
use crate::sharding::Slice;

/// A source whose events the caller supplies.
pub struct Feed {
    objects: Objects,
    status: Arc<Status>,
    slice: Slice,
    version: String,
}

impl Feed {
    /// Creates a source of `slice` that passes its objects to `sink`.
    #[must_use]
    pub fn new(endpoint: Endpoint, slice: Slice, sink: Box<dyn Sink>) -> Self {
        let source = Source {
            endpoint,
            namespace: None,
            field_selector: String::new(),
            label_selector: String::new(),
            shard: Arc::new(ShardState::new(slice.clone())),
            server_side: false,
            audited: false,
            use_cache: false,
            object_limit: 0,
            batch_delay: Duration::ZERO,
            summed_up: false,
        };
        let status = Arc::new(Status::default());
        let mut objects = Objects::new(&source, sink, Arc::clone(&status));
        objects.begin_response(None);
        objects.begin(&slice);
        Self { objects, status, slice, version: String::new() }
    }

    /// Ends the list. The events so far were its initial events.
    pub fn listed(&mut self, version: &str) {
        self.objects.done(version);
    }

    /// Handles an event: a frame of a watch without its length. `initial` marks the events of a streaming list.
    pub fn event(&mut self, encoding: Encoding, frame: &[u8], initial: bool) {
        // The caller sends no event of the type ERROR.
        let _ = self.objects.event(&self.slice, encoding, frame, initial, &mut self.version);
    }

    /// Returns the counters of the source.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }
}
