//! Specs of the built-in resources that the settings enable.

use std::collections::BTreeMap;

use super::pipeline;
use super::resources::{Partition, ReadOptions, ResourceShape, ResourceSpec, SeriesOptions};
use crate::collectors::labels::KeyFilter;
use crate::collectors::{Resource, Visitor, visit_all};
use crate::intake::{Endpoint, Form};
use crate::settings::resources::Kind;
use crate::settings::selectors::selectors;
use crate::settings::{Live, Settings};

/// Returns the specs for the cluster of this number, in the order of the registry.
pub(super) fn specs(settings: &Settings, cluster: u32) -> Vec<ResourceSpec> {
    let mut specs = Specs { settings, cluster, specs: Vec::new() };
    visit_all(&mut specs);
    specs.specs
}

struct Specs<'a> {
    settings: &'a Settings,
    cluster: u32,
    specs: Vec<ResourceSpec>,
}

impl Visitor for Specs<'_> {
    fn visit<R: Resource>(&mut self) {
        let kind = Kind::of::<R>();
        if !self.settings.live.resources.iter().any(|name| name == kind.plural) {
            return;
        }
        let collector = self.settings.collector::<R>();
        let keys = |lists: &BTreeMap<String, KeyFilter>| lists.get(kind.plural).cloned().unwrap_or_default();
        let Live { labels, annotations, promoted, .. } = &self.settings.live;
        let series =
            SeriesOptions::BuiltIn { labels: keys(labels), annotations: keys(annotations), promoted: keys(promoted) };
        let shape = ResourceShape {
            endpoint: endpoint(&kind),
            partitions: selectors(self.settings, &kind).iter().map(Partition::of).collect(),
            selected: self.settings.selects(kind.plural, kind.namespaced),
            follows: self.settings.live.selected_namespaces.is_some() && kind.namespaced,
            options: ReadOptions::of(self.settings, self.cluster),
            headers: collector.headers(),
            series,
        };
        let sink = pipeline::typed(collector);
        let (name, kind) = (kind.plural.to_owned(), format!("*{}.{}", kind.version, kind.kind));
        self.specs.push(ResourceSpec { name, kind, shape, sink });
    }
}

fn endpoint(kind: &Kind) -> Endpoint {
    Endpoint {
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
        namespaced: kind.namespaced,
        form: Form::of_kind(kind.group, kind.kind),
        protobuf: true,
    }
}
