//! The driver of a resource's table: turns objects into blocks of series.

use super::labels::{self, KeyFilter};
use super::objects::Object;
use super::parts::{FieldSet, Parts};
use super::table::{Family, Resource, Series};
use crate::exposition::{Block, BlockBuilder, Header, Memo, Past};

/// Turns objects of one resource into blocks. Holds the enabled families, and the keys of labels and annotations to show.
pub struct Collector<R: Resource> {
    families: Vec<&'static Family<R>>,
    labels: KeyFilter,
    annotations: KeyFilter,
    promoted: KeyFilter,
    /// The parts that families read which count events.
    counted: Parts,
}

impl<R: Resource> Collector<R> {
    /// Keeps the families that `enabled` selects.
    pub fn new(mut enabled: impl FnMut(&Family<R>) -> bool, labels: KeyFilter, annotations: KeyFilter) -> Self {
        let families: Vec<_> = R::FAMILIES.iter().filter(|f| enabled(f)).collect();
        let all = families.iter().any(|family| matches!(family.series, Series::AllLabels));
        let labels = if all { KeyFilter::All } else { labels };
        let counts = families.iter().filter(|family| matches!(family.series, Series::Counted(_)));
        let counted = counts.fold(Parts::NONE, |parts, family| parts.and(family.reads));
        Self { families, labels, annotations, promoted: KeyFilter::None, counted }
    }

    /// Adds the object's labels that `promoted` includes to every series of the object.
    pub fn promoting(self, promoted: KeyFilter) -> Self {
        Self { promoted, ..self }
    }

    /// Returns the headers of the enabled families, in order. The family index of a block points into this list.
    pub fn headers(&self) -> Vec<Header> {
        self.families.iter().map(|f| f.header()).collect()
    }

    /// Returns the fields of objects that the enabled families read.
    pub fn fields(&self) -> FieldSet {
        let reads_more = self.families.iter().any(|family| family.fields == FieldSet::More);
        if reads_more { FieldSet::More } else { FieldSet::Usual }
    }

    /// Returns whether annotations of objects are shown.
    pub fn shows_annotations(&self) -> bool {
        self.annotations != KeyFilter::None
    }

    /// Returns whether series depend on earlier states of an object, of which `parts` have changed.
    pub fn remembers(&self, parts: Parts) -> bool {
        self.counted.meets(parts)
    }

    /// Returns what to remember of an object. `object` needs only the fields that the families read which count events.
    pub fn remember(&self, object: &R::Object<'_>, past: &Past) -> Memo {
        R::REMEMBER
            .filter(|_| self.counted != Parts::NONE)
            .map_or_else(Memo::default, |remember| remember(object, past))
    }

    /// Returns the series of the families that read `parts`, without the labels that all series of the object share. `object`
    /// needs only the fields that they read. `memo` is what is remembered of it, if any of them counts events.
    pub fn collect_parts(&self, object: &R::Object<'_>, memo: &Memo, parts: Parts) -> Block {
        let mut block = BlockBuilder::beside();
        for (index, family) in self.families.iter().enumerate().filter(|(_, family)| family.reads.meets(parts)) {
            match family.series {
                Series::Of(series) => block.family(index as u16, |samples| series(object, samples)),
                Series::Counted(series) => block.family(index as u16, |samples| series(object, memo, samples)),
                Series::Labels | Series::AllLabels | Series::Annotations => {}
            }
        }
        block.finish()
    }

    /// Returns all series of an object without a past: nothing that happened to it before is counted.
    pub fn collect(&self, object: &R::Object<'_>) -> Block {
        self.collect_remembered(object, &self.remember(object, &Past::default()))
    }

    /// Returns all series of an object of which `memo` is remembered.
    pub fn collect_remembered(&self, object: &R::Object<'_>, memo: &Memo) -> Block {
        let of_object = object.metadata().labels.as_ref();
        let shown = labels::shown("label", of_object, &self.promoted, &self.labels);
        let mut shared: Vec<(&str, &str)> = R::identity(object);
        shared.extend(shown.promoted.iter().map(|(name, value)| (name.as_str(), *value)));
        let mut block = BlockBuilder::new(&shared);
        for (index, family) in self.families.iter().enumerate() {
            block.family(index as u16, |samples| match family.series {
                Series::Of(series) => series(object, samples),
                Series::Counted(series) => series(object, memo, samples),
                Series::Labels | Series::AllLabels => shown.emit(samples),
                Series::Annotations => {
                    labels::emit("annotation", object.metadata().annotations.as_ref(), &self.annotations, samples);
                }
            });
        }
        block.finish()
    }
}
