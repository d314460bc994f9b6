//! The series of a config, from the JSON of objects.

use std::sync::Arc;

use super::super::pipeline::{self, Blocks};
use super::problems::ProblemLog;
use crate::collectors::custom::{CustomCollector, GroupVersionKind};
use crate::collectors::{Collector, Resource};
use crate::exposition::{Block, Fingerprints, ResourceStore};
use crate::intake::{DecodeError, Form, Item, Room, Sink};
use crate::settings::resources::Kind;

/// The series of a config. Logs the problems of objects.
pub(in crate::replica) struct CustomBlocks {
    collector: CustomCollector,
    problems: ProblemLog,
    /// `apiVersion` and `kind` of objects that lack them in lists, and of metadata without the rest of an object.
    of: Option<(String, String)>,
}

impl CustomBlocks {
    /// For custom resources, which all have an `apiVersion` and a `kind`.
    pub fn new(collector: CustomCollector) -> Self {
        Self { collector, problems: ProblemLog::default(), of: None }
    }

    /// For objects that are of this kind, whatever they say.
    pub fn of(collector: CustomCollector, of: &GroupVersionKind) -> Self {
        Self { of: Some((of.api_version(), of.kind.clone())), ..Self::new(collector) }
    }
}

impl Blocks for CustomBlocks {
    fn block(&self, item: &Item<'_>) -> Result<Block, DecodeError> {
        let mut json = serde_json::Deserializer::from_slice(item.json()?);
        let of = self.of.iter().flat_map(|(version, kind)| [("apiVersion", version.as_str()), ("kind", kind)]);
        let fields: Vec<_> = of.chain(item.table_type.map(|text| ("type", text))).collect();
        let collected = self.collector.collect_with(&mut json, &fields)?;
        json.end()?;
        for problem in &collected.problems {
            self.problems.log(&collected.object, problem);
        }
        Ok(collected.block)
    }

    fn fingerprints(&self, item: &Item<'_>, room: &mut Room) -> Option<Fingerprints> {
        // Secret data stays out of the room.
        let has_print = item.form == Form::Object && !self.collector.reads_what_every_write_changes();
        has_print.then(|| item.fingerprint_of_custom(room)).flatten().map(Fingerprints::from)
    }
}

/// Returns the only sink of a custom resource: for tests.
pub fn custom_sink(collector: CustomCollector, objects: Arc<ResourceStore>) -> Box<dyn Sink> {
    pipeline::sinks(CustomBlocks::new(collector))(0, objects)
}

/// Returns the only sink of a resource with families of a config behind its own: for benches and tests.
pub fn joined_sink<R: Resource>(
    collector: Collector<R>,
    custom: CustomCollector,
    objects: Arc<ResourceStore>,
) -> Box<dyn Sink> {
    let of = Kind::of::<R>().group_version_kind();
    pipeline::joined(collector, CustomBlocks::of(custom, &of))(0, objects)
}
