//! Specs of the built-in resources that the settings enable, or for which the config of custom resources has families.

use std::collections::BTreeMap;

use super::custom::CustomBlocks;
use super::pipeline;
use super::resources::{Partition, ReadOptions, ResourceShape, ResourceSpec, SeriesOptions};
use crate::collectors::custom::Definition;
use crate::collectors::labels::KeyFilter;
use crate::collectors::{Resource, Visitor, visit_all};
use crate::exposition::Header;
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
        let settings = self.settings;
        let kind = Kind::of::<R>();
        let own = settings.live.resources.iter().any(|name| name == kind.plural).then(|| settings.collector::<R>());
        let custom = Custom::of(settings, &kind, own.is_some());
        let keys = |lists: &BTreeMap<String, KeyFilter>| lists.get(kind.plural).cloned().unwrap_or_default();
        let endpoint = endpoint(&kind, custom.is_some());
        let (headers, series, sink) = match (own, custom) {
            (None, None) => return,
            (Some(own), custom) => {
                let Live { labels, annotations, promoted, .. } = &settings.live;
                let mut headers = own.headers();
                headers.extend(custom.iter().flat_map(|custom| custom.headers.clone()));
                let series = SeriesOptions::BuiltIn {
                    labels: keys(labels),
                    annotations: keys(annotations),
                    promoted: keys(promoted),
                    custom: custom.as_ref().map(|custom| custom.definition.clone()),
                };
                let sink = match custom {
                    Some(custom) => pipeline::joined(own, custom.blocks),
                    None => pipeline::typed(own),
                };
                (headers, series, sink)
            }
            (None, Some(custom)) => {
                (custom.headers, SeriesOptions::Custom(custom.definition), pipeline::sinks(custom.blocks))
            }
        };
        let shape = ResourceShape {
            endpoint,
            partitions: selectors(settings, &kind).iter().map(Partition::of).collect(),
            selected: settings.selects(kind.plural, kind.namespaced),
            follows: settings.live.selected_namespaces.is_some() && kind.namespaced,
            options: ReadOptions::of(settings, self.cluster),
            headers,
            of_namespaces: settings.live.promote_namespace_labels.clone(),
            series,
        };
        let (name, kind) = (kind.plural.to_owned(), shape.endpoint.go_type());
        self.specs.push(ResourceSpec { name, kind, shape, sink });
    }
}

/// The families of a built-in kind from the config of custom resources.
struct Custom {
    headers: Vec<Header>,
    definition: Definition,
    blocks: CustomBlocks,
}

impl Custom {
    /// Returns those that are enabled, if there are any. `beside`: the kind has families of its own.
    fn of(settings: &Settings, kind: &Kind, beside: bool) -> Option<Self> {
        let entry = settings.live.custom.of_built_in(kind)?;
        if !settings.reads(kind) {
            return None;
        }
        let of = kind.group_version_kind();
        let collector = settings.custom_collector(entry, &of);
        let collector = if beside { collector.beside() } else { collector };
        let headers = collector.headers();
        let blocks = CustomBlocks::of(collector, &of);
        (!headers.is_empty()).then(|| Self { headers, definition: entry.definition.clone(), blocks })
    }
}

/// Returns the endpoint of a kind. With families of a config, any field may count, so whole objects come as JSON; of Secrets
/// still only metadata and type.
fn endpoint(kind: &Kind, is_custom: bool) -> Endpoint {
    let form = Form::of_kind(kind.group, kind.kind);
    Endpoint {
        group: kind.group.to_owned(),
        version: kind.version.to_owned(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
        namespaced: kind.namespaced,
        form: if is_custom && form == Form::Metadata { Form::Object } else { form },
        protobuf: !is_custom,
        typed: true,
    }
}
