//! The fuzz harness of the intake: reads arbitrary bytes as responses. No input may make it panic.

use std::sync::Arc;
use std::time::Duration;

use super::decode::{DecodeError, Item};
use super::encoding::Encoding;
use super::failure::Failure;
use super::form::Form;
use super::frames::{ListFrames, WatchFrames};
use super::objects::{Objects, Page};
use super::shard_state::ShardState;
use super::sink::Sink;
use super::source::{Endpoint, Source, Status};
use crate::collectors::labels::KeyFilter;
use crate::collectors::{Collector, Resource, Visitor, visit_all};
use crate::sharding::Slice;

/// Reads `bytes` as responses of an API server. The first three bytes choose the resource, its form and encoding, list or
/// watch, and the size of the chunks.
pub fn read(bytes: &[u8]) {
    let Some((&[resource, how, size], answer)) = bytes.split_first_chunk::<3>() else { return };
    let mut reader = Reader { left: resource, how, size: usize::from(size) + 1, answer };
    visit_all(&mut reader);
}

struct Reader<'a> {
    /// Number of resources before the chosen one.
    left: u8,
    how: u8,
    size: usize,
    answer: &'a [u8],
}

impl Visitor for Reader<'_> {
    fn visit<R: Resource>(&mut self) {
        match self.left {
            0 => self.read::<R>(),
            u8::MAX => return,
            _ => {}
        }
        self.left = self.left.wrapping_sub(1);
    }
}

impl Reader<'_> {
    fn read<R: Resource>(&self) {
        let bit = |bit: u8| self.how >> bit & 1 == 1;
        let encoding = if bit(0) { Encoding::Json } else { Encoding::Protobuf };
        let form = if bit(1) { Form::of::<R>() } else { Form::Object };
        let endpoint = Endpoint {
            group: R::API.group().to_owned(),
            version: R::API.version().to_owned(),
            kind: R::API.kind.to_owned(),
            plural: String::new(),
            namespaced: true,
            form,
            protobuf: encoding == Encoding::Protobuf,
            typed: encoding == Encoding::Protobuf,
        };
        let slice = Slice::all();
        let source = Source {
            endpoint,
            namespace: None,
            field_selector: String::new(),
            label_selector: String::new(),
            shard: Arc::new(ShardState::new(slice.clone())),
            server_side: bit(2),
            audited: bit(3),
            use_cache: false,
            object_limit: u64::from(bit(4)) * 2,
            batch_delay: Duration::ZERO,
            summed_up: false,
        };
        let sink: Box<dyn Sink> = Box::new(Collected(
            Collector::<R>::new(|_| true, KeyFilter::All, KeyFilter::All).promoting(KeyFilter::All),
        ));
        let mut objects = Objects::new(&source, sink, Arc::new(Status::default()));
        objects.begin_response(Some(slice.clone()));
        // An error ends the response and nothing else.
        let _ = if bit(5) {
            self.watch(&mut objects, &slice, encoding, bit(6))
        } else {
            self.list(&mut objects, &slice, encoding)
        };
    }

    fn list(&self, objects: &mut Objects, slice: &Slice, encoding: Encoding) -> Result<(), Failure> {
        let (mut frames, mut page) = (ListFrames::new(encoding), Page::default());
        objects.begin(slice);
        for chunk in self.answer.chunks(self.size) {
            frames.feed(chunk, |part| objects.list_part(slice, encoding, part, &mut page))?;
        }
        if frames.finish().is_ok() {
            objects.done(&page.version);
        }
        Ok(())
    }

    fn watch(&self, objects: &mut Objects, slice: &Slice, encoding: Encoding, initial: bool) -> Result<(), Failure> {
        let (mut frames, mut version) = (WatchFrames::new(encoding), String::new());
        for chunk in self.answer.chunks(self.size) {
            frames.feed(chunk, |frame| objects.event(slice, encoding, frame, initial, &mut version).map(drop))?;
        }
        Ok(())
    }
}

/// Collects the series of each object, and drops them.
struct Collected<R: Resource>(Collector<R>);

impl<R: Resource> Sink for Collected<R> {
    fn init(&mut self, _: &Slice) {}

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        item.names();
        drop(self.0.collect(&item.decode::<R>(self.0.fields())?));
        Ok(())
    }

    fn rewind(&mut self) {}

    fn delete(&mut self, _: &str, _: u64) {}

    fn init_done(&mut self, _: u64) {}
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A Pod with a name, a UID and a version, as protobuf.
    const POD: &[u8] = b"\x0a\x15\x0a\x01a\x1a\x01n\x2a\x01u\x32\x015\x5a\x04\x0a\x00\x12\x00\x12\x02\x0a\x00";

    /// A watch event with `object` of this kind.
    fn event(kind: &str, object: &[u8]) -> Vec<u8> {
        let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let types = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        let unknown = [b"k8s\0".to_vec(), field(1, &types), field(2, object)].concat();
        let event = [field(1, b"ADDED"), field(2, &field(1, &unknown))].concat();
        [&(event.len() as u32).to_be_bytes()[..], &event].concat()
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_panics(
            resource in 0_u8..40,
            how in any::<u8>(),
            size in any::<u8>(),
            mut answer in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..400),
                prop::collection::vec(any::<u8>(), 0..120).prop_map(|object| event("Pod", &object)),
                Just(event("Pod", POD)),
            ],
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        ) {
            for (at, byte) in changes.iter().filter(|_| !answer.is_empty()).collect::<Vec<_>>() {
                let at = at.index(answer.len());
                answer[at] = *byte;
            }
            read(&[&[resource, how, size], &answer[..]].concat());
        }
    }
}
