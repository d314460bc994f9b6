//! The sinks of partitions that come and go while a resource is served.
//!
//! The objects of a new partition appear together, when its first list is complete: until then its sink keeps them. A partition that ends
//! changes nothing any more once its gate is closed, although its source stops a moment later.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::intake::{DecodeError, Encoding, Form, Item, Sink, Unreadable};
use crate::sharding::{Hashes, Slice};
use crate::sync::lock;

/// Whether the sinks of a partition still change the store.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<Closed>);

#[derive(Debug, Default)]
struct Closed(bool);

impl Gate {
    /// Ends all changes. When it returns, no change is in progress.
    pub fn close(&self) {
        lock(&self.0).0 = true;
    }

    /// Returns a guard against the end of the changes; `None` after it.
    fn pass(&self) -> Option<MutexGuard<'_, Closed>> {
        Some(lock(&self.0)).filter(|closed| !closed.0)
    }
}

/// Returns the sinks of a partition and their gate. With `scratch`, a sink that fills a store of its own, the first sink, which has the
/// list and watch, keeps the objects of its first list to the end of it.
pub(super) fn sinks(
    [main, backfill]: [Box<dyn Sink>; 2],
    scratch: Option<Box<dyn Sink>>,
) -> ([Box<dyn Sink>; 2], Arc<Gate>) {
    let gate = Arc::new(Gate::default());
    let gated = |sink, staging| -> Box<dyn Sink> { Box::new(GatedSink { sink, gate: Arc::clone(&gate), staging }) };
    let staging = scratch.map(|scratch| Staging { scratch, objects: BTreeMap::new() });
    ([gated(main, staging), gated(backfill, None)], gate)
}

struct GatedSink {
    sink: Box<dyn Sink>,
    gate: Arc<Gate>,
    /// Until the first list is complete.
    staging: Option<Staging>,
}

/// The objects of a list in progress.
struct Staging {
    /// Decodes each object, so that its source sees the errors.
    scratch: Box<dyn Sink>,
    /// By UID.
    objects: BTreeMap<String, Staged>,
}

struct Staged {
    version: u64,
    listed: bool,
    encoding: Encoding,
    form: Form,
    table_type: Option<String>,
    bytes: Box<[u8]>,
}

impl Staging {
    fn take(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        self.scratch.apply(item)?;
        let staged = Staged {
            version: item.version,
            listed: item.listed,
            encoding: item.encoding,
            form: item.form,
            table_type: item.table_type.map(str::to_owned),
            bytes: item.bytes.into(),
        };
        self.objects.insert(item.uid.to_owned(), staged);
        Ok(())
    }

    fn flush(self, sink: &mut dyn Sink) {
        for (uid, Staged { version, listed, encoding, form, table_type, bytes }) in self.objects {
            let unreadable = Unreadable::default();
            let item = Item {
                uid: &uid,
                hashes: Hashes::of(&uid),
                version,
                listed,
                encoding,
                form,
                table_type: table_type.as_deref(),
                bytes: &bytes,
                unreadable: &unreadable,
            };
            // It was decoded when it arrived, and its unreadable fields were counted.
            let _ = sink.apply(&item);
        }
    }
}

impl Sink for GatedSink {
    fn init(&mut self, slice: &Slice) {
        let Some(_open) = self.gate.pass() else { return };
        if let Some(staging) = &mut self.staging {
            staging.objects.clear();
            staging.scratch.init(slice);
        }
        self.sink.init(slice);
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let Some(_open) = self.gate.pass() else { return Ok(()) };
        match &mut self.staging {
            Some(staging) => staging.take(item),
            None => self.sink.apply(item),
        }
    }

    fn keep(&mut self, uid: &str) {
        let Some(_open) = self.gate.pass() else { return };
        self.sink.keep(uid);
    }

    fn give_up(&mut self) {
        let Some(_open) = self.gate.pass() else { return };
        if let Some(staging) = &mut self.staging {
            staging.objects.clear();
            staging.scratch.give_up();
        }
        self.sink.give_up();
    }

    fn rewind(&mut self) {
        let Some(_open) = self.gate.pass() else { return };
        if let Some(staging) = &mut self.staging {
            staging.scratch.rewind();
        }
        self.sink.rewind();
    }

    fn delete(&mut self, uid: &str, version: u64) {
        let Some(_open) = self.gate.pass() else { return };
        if let Some(staging) = &mut self.staging {
            staging.objects.remove(uid);
            staging.scratch.delete(uid, version);
        }
        self.sink.delete(uid, version);
    }

    fn wants_foreign(&self) -> bool {
        self.sink.wants_foreign()
    }

    fn foreign(&mut self, namespace: &str, name: &str) {
        let Some(_open) = self.gate.pass() else { return };
        self.sink.foreign(namespace, name);
    }

    fn init_done(&mut self, version: u64) {
        let Some(_open) = self.gate.pass() else { return };
        if let Some(staging) = self.staging.take() {
            staging.flush(&mut *self.sink);
        }
        self.sink.init_done(version);
    }
}

impl Drop for GatedSink {
    /// The store outlives the source: a list that is never finished must not stay open.
    fn drop(&mut self) {
        self.sink.give_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{BlockBuilder, ResourceStore, Scope, Stamp};

    /// A pipeline for objects without series.
    struct Plain(Arc<ResourceStore>, Option<crate::exposition::Epoch>);

    impl Sink for Plain {
        fn init(&mut self, _: &Slice) {
            self.1 = Some(self.0.begin(self.1));
        }

        fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
            let stamp = Stamp { version: item.version, listed: item.listed };
            self.0.apply(3, item.uid.into(), item.hashes, stamp, BlockBuilder::new(&[]).finish());
            Ok(())
        }

        fn give_up(&mut self) {
            if let Some(epoch) = self.1.take() {
                self.0.abandon(epoch);
            }
        }

        fn rewind(&mut self) {}

        fn delete(&mut self, uid: &str, version: u64) {
            self.0.delete(3, uid, version);
        }

        fn init_done(&mut self, version: u64) {
            if let Some(epoch) = self.1.take() {
                self.0.finish(epoch, Scope { partition: 3, slice: &Slice::all() }, version);
            }
        }
    }

    fn apply(sink: &mut dyn Sink, uid: &str, version: u64) {
        let unreadable = Unreadable::default();
        let item = Item { listed: true, ..Item::changed(uid, version, Encoding::Json, b"{}", &unreadable) };
        sink.apply(&item).expect("it needs no decoding");
    }

    fn plain(objects: &Arc<ResourceStore>) -> Box<dyn Sink> {
        Box::new(Plain(Arc::clone(objects), None))
    }

    #[test]
    fn the_objects_of_a_new_partition_appear_together() {
        let [objects, scratch] = ["things", "scratch"].map(|name| ResourceStore::new(name, Vec::new()));
        let ([mut main, mut backfill], _) = sinks([plain(&objects), plain(&objects)], Some(plain(&scratch)));
        main.init(&Slice::all());
        apply(&mut *main, "a", 1);
        // The list breaks off.
        main.give_up();
        main.init(&Slice::all());
        ["b", "c", "d"].into_iter().for_each(|uid| apply(&mut *main, uid, 2));
        main.delete("c", 3);
        assert_eq!(objects.len(), 0);
        main.init_done(4);
        assert_eq!(objects.len(), 2, "b and d");
        apply(&mut *main, "e", 5);
        apply(&mut *backfill, "f", 5);
        assert_eq!(objects.len(), 4, "after the first list nothing waits");
    }

    #[test]
    fn a_partition_that_ended_changes_nothing_any_more() {
        let objects = ResourceStore::new("things", Vec::new());
        let ([mut main, mut backfill], gate) = sinks([plain(&objects), plain(&objects)], None);
        main.init(&Slice::all());
        apply(&mut *main, "a", 1);
        main.init_done(2);
        main.init(&Slice::all());
        gate.close();
        objects.remove_partition(3);
        apply(&mut *main, "b", 3);
        apply(&mut *backfill, "c", 3);
        main.init_done(4);
        assert_eq!(objects.len(), 0);
        drop((main, backfill));
        assert_eq!(objects.floor(), Some(2), "no list is open");
    }
}
