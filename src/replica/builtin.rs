//! The built-in resources that settings enable.

use super::pipeline;
use super::resources::{Partition, Reading, Shape, Spec};
use crate::collectors::{Resource, Visitor, visit_all};
use crate::intake::{Endpoint, Form};
use crate::settings::Settings;
use crate::settings::resources::Kind;
use crate::settings::selectors::selectors;

/// Those that `settings` enable, in the order of the registry; of the cluster of this number.
pub(super) fn specs(settings: &Settings, cluster: u32) -> Vec<Spec> {
    let mut specs = Specs { settings, cluster, specs: Vec::new() };
    visit_all(&mut specs);
    specs.specs
}

struct Specs<'a> {
    settings: &'a Settings,
    cluster: u32,
    specs: Vec<Spec>,
}

impl Visitor for Specs<'_> {
    fn visit<R: Resource>(&mut self) {
        let kind = Kind::of::<R>();
        if !self.settings.resources.iter().any(|name| name == kind.plural) {
            return;
        }
        let collector = self.settings.collector::<R>();
        let Settings { labels, annotations, promoted, .. } = self.settings;
        let series = format!("{:?}", [labels, annotations, promoted].map(|lists| lists.get(kind.plural)));
        let shape = Shape {
            endpoint: endpoint(&kind),
            partitions: selectors(self.settings, &kind).iter().map(Partition::of).collect(),
            reading: Reading::of(self.settings, self.cluster),
            headers: collector.headers(),
            series,
        };
        let sink = pipeline::sinks(collector);
        let (name, kind) = (kind.plural.to_owned(), format!("*{}.{}", kind.version, kind.kind));
        self.specs.push(Spec { name, kind, shape, sink });
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
