//! `--deleted-linger`: gives a store the names of its objects and a clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::exposition::ResourceStore;
use crate::intake::{DecodeError, Item, Sink};
use crate::sharding::{Hasher, Slice};

/// A tick lasts a tenth of the linger time, within these bounds.
const TICKS: u32 = 10;
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

fn tick(time: Duration) -> Duration {
    (time / TICKS).clamp(SHORTEST, LONGEST)
}

/// Makes the series of deleted objects stay in `objects` for `time`. The future must run while `objects` is served.
pub(super) fn keep(objects: Arc<ResourceStore>, time: Duration) -> impl Future<Output = ()> + Send + 'static {
    let tick = tick(time);
    objects.linger(time.as_nanos().div_ceil(tick.as_nanos()).try_into().unwrap_or(u64::MAX));
    async move {
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            objects.tick();
        }
    }
}

/// Forwards to a sink, and ends the lingering of objects that are created again.
pub(super) struct LingerSink {
    pub sink: Box<dyn Sink>,
    pub objects: Arc<ResourceStore>,
}

fn hash(namespace: &str, name: &str) -> u64 {
    Hasher::XxHash64.hash(&format!("{namespace}/{name}"))
}

impl Sink for LingerSink {
    fn init(&mut self, slice: &Slice) {
        self.sink.init(slice);
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let (namespace, name) = item.names();
        let name = hash(&namespace, &name);
        // Before `apply`, so that no scrape sees two objects of one name.
        self.objects.end_lingering(name, Some(item.uid));
        self.sink.apply(item)?;
        self.objects.named(item.uid, name);
        Ok(())
    }

    fn keep(&mut self, uid: &str) {
        self.sink.keep(uid);
    }

    fn give_up(&mut self) {
        self.sink.give_up();
    }

    fn rewind(&mut self) {
        self.sink.rewind();
    }

    fn delete(&mut self, uid: &str, version: u64) {
        self.sink.delete(uid, version);
    }

    fn wants_foreign(&self) -> bool {
        self.objects.lingering() > 0
    }

    fn foreign(&mut self, namespace: &str, name: &str) {
        self.objects.end_lingering(hash(namespace, name), None);
    }

    fn init_done(&mut self, version: u64) {
        self.sink.init_done(version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposition::{BlockBuilder, Stamp};

    use crate::intake::{Encoding, Unreadable};

    /// A pipeline for objects without series.
    struct Plain(Arc<ResourceStore>);

    impl Sink for Plain {
        fn init(&mut self, _: &Slice) {}

        fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
            let stamp = Stamp { version: item.version, listed: item.listed };
            self.0.apply(0, item.uid.into(), item.hashes, stamp, BlockBuilder::new(&[]).finish());
            Ok(())
        }

        fn rewind(&mut self) {}

        fn delete(&mut self, uid: &str, version: u64) {
            self.0.delete(0, uid, version);
        }

        fn init_done(&mut self, _: u64) {}
    }

    fn apply(sink: &mut LingerSink, uid: &str, version: u64, name: &str) {
        let json = format!(r#"{{"metadata":{{"name":"{name}","namespace":"n","uid":"{uid}"}}}}"#);
        let unreadable = Unreadable::default();
        let item = Item::changed(uid, version, Encoding::Json, json.as_bytes(), &unreadable);
        sink.apply(&item).expect("it is applied");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_object_lingers_for_its_time_and_little_longer() {
        for time in [Duration::from_millis(300), Duration::from_secs(7), Duration::from_secs(600)] {
            let objects = ResourceStore::new("things", Vec::new());
            let mut sink = LingerSink { sink: Box::new(Plain(Arc::clone(&objects))), objects: Arc::clone(&objects) };
            let _ticks = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(keep(Arc::clone(&objects), time)));
            apply(&mut sink, "1", 1, "a");
            tokio::time::sleep(Duration::from_millis(1234)).await;
            sink.delete("1", 2);
            assert!(sink.wants_foreign());
            tokio::time::sleep(time).await;
            assert_eq!(objects.lingering(), 1, "{time:?}");
            tokio::time::sleep(2 * tick(time)).await;
            assert_eq!(objects.lingering(), 0, "{time:?}");
        }
    }

    #[test]
    fn names_are_of_a_namespace() {
        let objects = ResourceStore::new("things", Vec::new());
        objects.linger(9);
        let mut sink = LingerSink { sink: Box::new(Plain(Arc::clone(&objects))), objects: Arc::clone(&objects) };
        apply(&mut sink, "1", 1, "a");
        apply(&mut sink, "2", 1, "b");
        sink.delete("1", 2);
        sink.foreign("other", "a");
        sink.foreign("n", "b");
        assert_eq!((objects.lingering(), objects.len()), (1, 1));
        sink.foreign("n", "a");
        assert_eq!((objects.lingering(), objects.len()), (0, 1));
        sink.delete("2", 3);
        apply(&mut sink, "3", 4, "b");
        assert_eq!((objects.lingering(), objects.len()), (0, 1));
    }
}
