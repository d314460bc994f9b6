//! The path from intake to exposition for one source: decode, collect, store.

use std::sync::Arc;

use super::resources::NewSink;
use crate::collectors::parts::FieldSet;
use crate::collectors::{Collector, Resource};
use crate::exposition::{
    Block, Epoch, Fingerprints, Memo, NamespacedBy, Parts, Past, Remembered, ResourceStore, Scope, Stamp, Uid, Update,
};
use crate::intake::{DecodeError, Fingerprinter, Form, Item, Room, Sink};
use crate::sharding::Slice;

/// Makes series from objects.
pub(super) trait Blocks: Send + Sync {
    /// Returns the series of one object.
    ///
    /// # Errors
    /// The object cannot be decoded.
    fn block(&self, item: &Item<'_>) -> Result<Block, DecodeError>;

    /// Returns the fingerprints of the parts of an object; none if it must always be read whole.
    fn fingerprints(&self, item: &Item<'_>, room: &mut Room) -> Option<Fingerprints>;

    /// Returns the series of the families that read `parts`. `None` if only the whole object can be read.
    fn block_of(&self, item: &Item<'_>, parts: Parts) -> Option<Block> {
        let _ = (item, parts);
        None
    }

    /// Returns whether series of an object of which `parts` have changed depend on its past, because they count events.
    fn remembers(&self, parts: Parts) -> bool {
        let _ = parts;
        false
    }

    /// Returns what to remember of one object, and its series: as [`Blocks::block`] for all parts, else as [`Blocks::block_of`].
    ///
    /// # Errors
    /// The object cannot be decoded.
    fn block_after(&self, item: &Item<'_>, parts: Parts, past: &Past) -> Option<Result<(Block, Memo), DecodeError>> {
        let _ = (item, parts, past);
        None
    }
}

/// The series of a built-in resource.
struct Typed<R: Resource> {
    collector: Collector<R>,
    fields: FieldSet,
    fingerprinter: Option<Fingerprinter>,
}

impl<R: Resource> Typed<R> {
    fn new(collector: Collector<R>) -> Self {
        let fields = collector.fields();
        let fingerprinter = Fingerprinter::new::<R>(fields, collector.shows_annotations());
        Self { collector, fields, fingerprinter }
    }

    fn decode<'a>(&self, item: &Item<'a>) -> Result<R::Object<'a>, DecodeError> {
        // Its families read no more, even if others need the whole object.
        Item { form: Form::of::<R>(), ..*item }.decode::<R>(self.fields)
    }
}

impl<R: Resource> Blocks for Typed<R> {
    fn block(&self, item: &Item<'_>) -> Result<Block, DecodeError> {
        Ok(self.collector.collect(&self.decode(item)?))
    }

    fn fingerprints(&self, item: &Item<'_>, room: &mut Room) -> Option<Fingerprints> {
        item.fingerprints(self.fingerprinter.as_ref()?, room).map(Fingerprints::from)
    }

    fn block_of(&self, item: &Item<'_>, parts: Parts) -> Option<Block> {
        let object = item.decode_view::<R>(R::CUT.view(self.fields, parts)?)?;
        Some(self.collector.collect_parts(&object, &Memo::default(), parts))
    }

    fn remembers(&self, parts: Parts) -> bool {
        self.collector.remembers(parts)
    }

    fn block_after(&self, item: &Item<'_>, parts: Parts, past: &Past) -> Option<Result<(Block, Memo), DecodeError>> {
        let read = match parts {
            Parts::ALL => self.decode(item),
            _ => Ok(item.decode_view::<R>(R::CUT.view(self.fields, parts)?)?),
        };
        Some(read.map(|object| {
            let memo = self.collector.remember(&object, past);
            let block = match parts {
                Parts::ALL => self.collector.collect_remembered(&object, &memo),
                _ => self.collector.collect_parts(&object, &memo, parts),
            };
            (block, memo)
        }))
    }
}

/// Returns the constructor of the sinks of a built-in resource.
pub(super) fn typed<R: Resource>(collector: Collector<R>) -> NewSink {
    sinks(Typed::new(collector))
}

/// The series of a built-in resource, and behind them those of a config, from the same JSON.
struct Joined<R: Resource, C: Blocks> {
    typed: Typed<R>,
    /// Number of families of `typed`.
    families: usize,
    custom: C,
}

impl<R: Resource, C: Blocks> Blocks for Joined<R, C> {
    fn block(&self, item: &Item<'_>) -> Result<Block, DecodeError> {
        Ok(self.typed.block(item)?.with(self.families, &self.custom.block(item)?))
    }

    fn fingerprints(&self, item: &Item<'_>, room: &mut Room) -> Option<Fingerprints> {
        // Without a fingerprinter, a family shows the resourceVersion.
        self.typed.fingerprinter.as_ref().and_then(|_| self.custom.fingerprints(item, room))
    }

    fn remembers(&self, parts: Parts) -> bool {
        self.typed.remembers(parts)
    }

    fn block_after(&self, item: &Item<'_>, parts: Parts, past: &Past) -> Option<Result<(Block, Memo), DecodeError>> {
        // The fingerprint is one of the whole object, so it does not say which parts have changed.
        let read = (parts == Parts::ALL).then(|| self.typed.block_after(item, parts, past)).flatten()?;
        Some(read.and_then(|(block, memo)| Ok((block.with(self.families, &self.custom.block(item)?), memo))))
    }
}

/// As [`typed`], with the families of `custom` behind those of `collector`. The objects come as JSON.
pub(super) fn joined<R: Resource>(collector: Collector<R>, custom: impl Blocks + 'static) -> NewSink {
    let families = collector.headers().len();
    sinks(Joined { typed: Typed::new(collector), families, custom })
}

/// Returns the constructor of a resource's sinks, whose objects `blocks` decodes.
pub(super) fn sinks(blocks: impl Blocks + 'static) -> NewSink {
    let blocks: Arc<dyn Blocks> = Arc::new(blocks);
    Box::new(move |partition, objects| {
        Box::new(Pipeline { blocks: Arc::clone(&blocks), objects, partition, list: None, room: Room::default() })
    })
}

/// Returns the only sink of a resource: for benches and tests.
pub fn sink<R: Resource>(collector: Collector<R>, objects: Arc<ResourceStore>) -> Box<dyn Sink> {
    typed(collector)(0, objects)
}

/// Turns the events of one source into changes of the store.
pub(super) struct Pipeline {
    pub blocks: Arc<dyn Blocks>,
    pub objects: Arc<ResourceStore>,
    /// Number of the source within its resource.
    pub partition: u32,
    /// The list in progress, and the slice that it covers.
    pub list: Option<(Epoch, Slice)>,
    /// For fingerprints.
    pub room: Room,
}

/// Returns the fingerprints of an object that was read; none if fields of it cannot be read, so that each event counts them.
fn complete(fingerprints: &Fingerprints, item: &Item<'_>) -> Fingerprints {
    if item.unreadable.count() == 0 { fingerprints.clone() } else { Fingerprints::default() }
}

/// The series of an object, and what to remember of it.
type Read = (Block, Option<Remembered>);

/// Reads an object, which may have a past.
struct Reader<'a> {
    blocks: &'a dyn Blocks,
    objects: &'a ResourceStore,
    item: &'a Item<'a>,
    uid: &'a Uid,
}

impl Reader<'_> {
    /// Reads the whole object.
    fn whole(&self) -> Result<Read, DecodeError> {
        match self.after(Parts::ALL) {
            Some(read) => read,
            None => Ok((self.blocks.block(self.item)?, None)),
        }
    }

    /// Reads some parts. `None` if only the whole object can be read.
    fn parts(&self, parts: Parts) -> Option<Result<Read, DecodeError>> {
        if self.blocks.remembers(parts) {
            return (parts != Parts::ALL).then(|| self.after(parts)).flatten();
        }
        self.blocks.block_of(self.item, parts).map(|block| Ok((block, None)))
    }

    /// Reads some parts, or all, whose series depend on the past of the object. `None` if they do not.
    fn after(&self, parts: Parts) -> Option<Result<Read, DecodeError>> {
        let past = self.blocks.remembers(parts).then(|| self.objects.past(self.uid, self.item.hashes))?;
        let of_known = past.is_known;
        let read = self.blocks.block_after(self.item, parts, &past)?;
        Some(read.map(|(block, memo)| (block, Some(Remembered { memo, of_known }))))
    }
}

impl Sink for Pipeline {
    fn init(&mut self, slice: &Slice) {
        let previous = self.list.take().map(|(epoch, _)| epoch);
        let epoch = self.objects.begin(previous);
        self.list = Some((epoch, slice.clone()));
    }

    fn apply(&mut self, item: &Item<'_>) -> Result<(), DecodeError> {
        let Self { blocks, objects, partition, room, .. } = self;
        let namespace = || match objects.namespaced_by() {
            None => String::new(),
            Some(NamespacedBy::Namespace) => item.names().0,
            Some(NamespacedBy::Name) => item.names().1,
        };
        let blocks = &**blocks;
        let (uid, stamp) = (Uid::from(item.uid), Stamp { version: item.version, listed: item.listed });
        let fingerprints = blocks.fingerprints(item, room).unwrap_or_default();
        let parts = objects.compare(*partition, &uid, item.hashes, stamp, &fingerprints);
        if parts == Parts::NONE {
            return Ok(());
        }
        let reader = Reader { blocks, objects, item, uid: &uid };
        if let Some(read) = reader.parts(parts) {
            let ((block, remembered), fingerprints) = (read?, complete(&fingerprints, item));
            // A known object, and so in a known namespace.
            let update = Update { block, parts, fingerprints, namespace: String::new(), remembered };
            if objects.apply(*partition, uid.clone(), item.hashes, stamp, update) {
                return Ok(());
            }
            // Read again below.
            item.unreadable.reset();
        }
        loop {
            let (block, remembered) = reader.whole()?;
            let fingerprints = complete(&fingerprints, item);
            let update = Update { block, parts: Parts::ALL, fingerprints, namespace: namespace(), remembered };
            if objects.apply(*partition, uid.clone(), item.hashes, stamp, update) {
                return Ok(());
            }
            // Another thread has removed or added the object since its past was looked up.
            item.unreadable.reset();
        }
    }

    fn keep(&mut self, uid: &str) {
        self.objects.touch(uid);
    }

    fn give_up(&mut self) {
        if let Some((epoch, _)) = self.list.take() {
            self.objects.abandon(epoch);
        }
    }

    fn rewind(&mut self) {
        self.objects.rewind(self.partition);
    }

    fn delete(&mut self, uid: &str, version: u64) {
        self.objects.delete(self.partition, uid, version);
    }

    fn init_done(&mut self, version: u64) {
        if let Some((epoch, slice)) = self.list.take() {
            self.objects.finish(epoch, Scope { partition: self.partition, slice: &slice }, version);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collectors::objects::Namespace;
    use crate::collectors::{Api, Family, Identity, labels::KeyFilter};
    use crate::exposition::{Format, Samples, Selection, Store};
    use crate::intake::{Encoding, Unreadable};

    struct Things;

    impl Resource for Things {
        type Object<'a> = Namespace<'a>;
        const API: Api = Api::cluster("v1", "Namespace", "things");
        const FAMILIES: &'static [Family<Self>] = &[Family::<Self>::gauge("kube_thing_info", "A thing.", info)];

        fn identity<'o>(object: &'o Namespace<'_>) -> Identity<'o> {
            vec![("thing", object.metadata.name.as_deref().unwrap_or_default())]
        }
    }

    fn info(_: &Namespace, samples: &mut Samples) {
        samples.sample(&[], 1.0);
    }

    fn pipeline() -> Pipeline {
        let collector = Collector::<Things>::new(|_| true, KeyFilter::None, KeyFilter::None);
        let objects = ResourceStore::new("things", collector.headers());
        let blocks = Arc::new(Typed { collector, fields: FieldSet::Usual, fingerprinter: None });
        Pipeline { blocks, objects, partition: 0, list: None, room: Room::default() }
    }

    fn apply(pipeline: &mut Pipeline, uid: &str, version: u64, json: &str) -> Result<(), DecodeError> {
        pipeline.apply(&Item::changed(uid, version, Encoding::Json, json.as_bytes(), &Unreadable::default()))
    }

    fn named(name: &str) -> String {
        format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#)
    }

    fn served(pipeline: &Pipeline) -> Vec<String> {
        let store = Store::new(vec![Arc::clone(&pipeline.objects)]);
        let text: Vec<u8> = store.scrape(&Selection::All, Format::Text, &Slice::all()).flatten().collect();
        let text = String::from_utf8(text).expect("UTF-8");
        let mut series: Vec<_> = text.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect();
        series.sort();
        series
    }

    #[test]
    fn events_of_a_source_change_the_served_objects() {
        let mut pipeline = pipeline();
        pipeline.init(&Slice::all());
        for (uid, name) in [("1", "a"), ("2", "b")] {
            apply(&mut pipeline, uid, 1, &named(name)).expect("it decodes");
        }
        pipeline.init_done(1);
        apply(&mut pipeline, "2", 2, &named("b2")).expect("it decodes");
        assert_eq!(served(&pipeline), ["kube_thing_info{thing=\"a\"} 1", "kube_thing_info{thing=\"b2\"} 1"]);
        pipeline.delete("1", 3);
        assert_eq!(served(&pipeline), ["kube_thing_info{thing=\"b2\"} 1"]);
    }

    #[test]
    fn an_object_that_no_longer_decodes_stays_as_it_was_through_a_new_list() {
        let mut pipeline = pipeline();
        pipeline.init(&Slice::all());
        apply(&mut pipeline, "1", 1, &named("a")).expect("it decodes");
        apply(&mut pipeline, "2", 1, &named("gone")).expect("it decodes");
        pipeline.init_done(1);
        pipeline.init(&Slice::all());
        apply(&mut pipeline, "1", 2, "{\"metadata\":7}").expect_err("it does not decode");
        // A source calls it after a decoding error.
        pipeline.keep("1");
        pipeline.init_done(3);
        assert_eq!(served(&pipeline), ["kube_thing_info{thing=\"a\"} 1"]);
    }

    #[test]
    fn a_list_that_is_given_up_removes_nothing() {
        let mut pipeline = pipeline();
        pipeline.init(&Slice::all());
        apply(&mut pipeline, "1", 1, &named("a")).expect("it decodes");
        pipeline.init_done(1);
        pipeline.init(&Slice::all());
        pipeline.init(&Slice::all());
        apply(&mut pipeline, "1", 1, &named("a")).expect("it decodes");
        pipeline.init_done(2);
        assert_eq!(served(&pipeline), ["kube_thing_info{thing=\"a\"} 1"]);
    }
}
