//! The body of `GET /fleet/objects`: the UIDs that a replica exposes, written while they are sent.
//!
//! A client that does not read holds one chunk. So the objects may change meanwhile: the answer names the generation of its
//! start and of its end, and a client compares them.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::Stream;

use crate::exposition::{Uid, Uids};

/// Approximate size of a chunk in bytes: 400 UIDs.
const CHUNK: usize = 16 << 10;

/// The objects that a replica exposes.
pub trait Inventory: Send + Sync {
    /// Returns the objects of `resource`, or `None` if the resource is not enabled.
    fn objects(&self, resource: &str) -> Option<Uids>;
    /// Returns the generation by which they are exposed now; 0 outside a fleet.
    fn generation(&self) -> u64;
}

/// The chunks of an answer, in the format of [`crate::fleet::coverage::Objects`].
pub(super) struct ObjectsBody {
    inventory: Arc<dyn Inventory>,
    /// `None` after the last page.
    uids: Option<Uids>,
    out: Vec<u8>,
    /// Whether a UID was written.
    began: bool,
}

impl ObjectsBody {
    /// Returns the answer for `resource`, or `None` if the resource is not enabled.
    pub fn new(inventory: Arc<dyn Inventory>, resource: &str) -> Option<Self> {
        // NB: asked before the objects, so that a change of the generation in between shows at the end.
        let generation = inventory.generation();
        let uids = inventory.objects(resource)?;
        let out = format!("{{\"generation\":{generation},\"uids\":[").into_bytes();
        Some(Self { inventory, uids: Some(uids), out, began: false })
    }

    fn write(&mut self, uid: &Uid) {
        if std::mem::replace(&mut self.began, true) {
            self.out.push(b',');
        }
        // NB: cannot fail, since writing to a vector does not.
        let _ = serde_json::to_writer(&mut self.out, &uid.to_string());
    }
}

impl Iterator for ObjectsBody {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut uids = self.uids.take()?;
        self.out.reserve(CHUNK + CHUNK / 2);
        while self.out.len() < CHUNK {
            match uids.next() {
                Some(page) => page.iter().for_each(|uid| self.write(uid)),
                None => {
                    let end = format!("],\"finalGeneration\":{}}}", self.inventory.generation());
                    self.out.extend_from_slice(end.as_bytes());
                    return Some(std::mem::take(&mut self.out).into());
                }
            }
        }
        self.uids = Some(uids);
        Some(std::mem::take(&mut self.out).into())
    }
}

impl Stream for ObjectsBody {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.get_mut().next().map(Ok))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    use super::*;
    use crate::exposition::{BlockBuilder, ResourceStore, Stamp};
    use crate::fleet::coverage::Objects;
    use crate::sharding::{Hashes, Slice};

    struct Pods(Arc<ResourceStore>, AtomicU64);

    impl Pods {
        fn new(uids: impl Iterator<Item = String>) -> Arc<Self> {
            let store = ResourceStore::new("pods", Vec::new());
            for uid in uids {
                let stamp = Stamp { version: 1, listed: false };
                store.apply(0, uid.as_str().into(), Hashes::of(&uid), stamp, BlockBuilder::new(&[]).finish());
            }
            Arc::new(Self(store, 4.into()))
        }
    }

    impl Inventory for Pods {
        fn objects(&self, resource: &str) -> Option<Uids> {
            (resource == "pods").then(|| Uids::new(Arc::clone(&self.0), &Arc::new(Slice::all())))
        }

        fn generation(&self) -> u64 {
            self.1.load(Relaxed)
        }
    }

    fn read(chunks: &[Bytes]) -> Objects {
        serde_json::from_slice(&chunks.concat()).expect("JSON")
    }

    #[test]
    fn the_chunks_hold_each_object_once_and_none_is_large() {
        for count in [0, 1, 400, 20_000] {
            let mut expected: Vec<_> = (0..count).map(|n| format!("\"{n}\\")).collect();
            let pods = Pods::new(expected.iter().cloned());
            let chunks: Vec<_> = ObjectsBody::new(pods, "pods").expect("enabled").collect();
            assert!(chunks.iter().all(|chunk| chunk.len() < 2 * CHUNK));
            let mut objects = read(&chunks);
            objects.uids.sort();
            expected.sort();
            assert_eq!(objects, Objects { generation: 4, uids: expected, final_generation: Some(4) });
        }
        assert!(ObjectsBody::new(Pods::new(std::iter::empty()), "nodes").is_none());
    }

    #[test]
    fn an_answer_shows_that_the_generation_changed_meanwhile() {
        let pods = Pods::new((0..10_000).map(|n| n.to_string()));
        let mut body = ObjectsBody::new(Arc::clone(&pods) as _, "pods").expect("enabled");
        let mut chunks = vec![body.next().expect("a chunk")];
        pods.1.store(5, Relaxed);
        chunks.extend(body);
        let objects = read(&chunks);
        assert_eq!((objects.generation, objects.final_generation), (4, Some(5)));
    }
}
