//! Collectors for custom resources, from a CustomResourceStateMetrics config.
//!
//! [`Definition`] is the compiled form of the metrics in a config. [`CustomCollector`] turns JSON objects of one group, version
//! and kind into a [`Block`].
//! Must not depend on the syntax of a config or the source of an object.

mod duration;
mod each;
mod entries;
mod hints;
mod labels;
mod mask;
mod number;
mod path;
mod read;
mod secret;
#[cfg(test)]
mod tests;
mod value;
mod walk;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::Deserializer;
use serde::de::DeserializeSeed;

use super::label_names::LabelName;
use crate::exposition::{Block, BlockBuilder, Header, MetricType, Parts};
pub use each::{Each, Kind, NO_VALUE};
use each::{Line, Out};
pub use entries::{Convert, Entries, EntryKind, EntryLabels, Number, NumberSource};
pub use hints::{Hints, SeriesCount};
pub use labels::LabelPaths;
use labels::Labels;
use mask::{Counts, Mask, NodeIds, ROOT};
pub use path::{Path, PathError};
use read::Read;
pub use secret::LAST_APPLIED;
use secret::{Hidden, MANAGED_FIELDS, SECRET_DATA, SECRET_FIELDS};
use value::Value;
pub use walk::{Reach, Walk, WalkError, is_extended};

/// The group, version and kind of objects.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupVersionKind {
    /// API group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Kind.
    pub kind: String,
}

impl GroupVersionKind {
    /// Whether it is the kind of Secrets, of which only the metadata and the type are read.
    pub fn is_secret(&self) -> bool {
        self.group.is_empty() && self.kind == "Secret"
    }

    /// Returns `v1`, or `apps/v1`.
    pub fn api_version(&self) -> String {
        let Self { group, version, .. } = self;
        if group.is_empty() { version.clone() } else { format!("{group}/{version}") }
    }
}

/// Like `databases.v1.db.example.com` for a resource, but with the kind: `Database.v1.db.example.com`.
impl fmt::Display for GroupVersionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, version, kind } = self;
        if group.is_empty() { write!(f, "{kind}.{version}") } else { write!(f, "{kind}.{version}.{group}") }
    }
}

/// Labels with fixed values.
pub type CommonLabels = BTreeMap<LabelName<'static>, String>;

/// The config of a resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definition {
    /// `commonLabels` of all metrics.
    pub common_labels: CommonLabels,
    /// The metrics, at most 65,536.
    pub metrics: Vec<Metric>,
}

/// The config of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// The name of the family, with its prefix.
    pub name: String,
    /// The HELP text.
    pub help: String,
    /// `commonLabels` of the metric. They win over those of the resource.
    pub common_labels: CommonLabels,
    /// `labelsFromPath` of the resource and of the metric, which win. Relative to the object.
    pub labels: LabelPaths,
    /// `errorLogV`: the verbosity from which on its problems are logged.
    pub error_log_v: i32,
    /// The path, the type and the labels.
    pub series: SeriesOf,
}

impl Metric {
    /// Returns the field that the metric reads and that Secrets do not have here, with the reason.
    pub fn not_of_secrets(&self) -> Option<(String, &'static str)> {
        let mut mask = Mask::default();
        self.labels.need(&mut mask, ROOT);
        self.series.need(&mut mask);
        if mask.names(&["metadata", "annotations", LAST_APPLIED]) {
            return Some((
                LAST_APPLIED.to_owned(),
                "kubectl copies the data of Secrets into this annotation, which is never read",
            ));
        }
        if mask.names(&["metadata", MANAGED_FIELDS]) {
            let field = format!("metadata.{MANAGED_FIELDS}");
            return Some((field, "the managedFields of Secrets list the keys of their data, and are never read"));
        }
        let field = mask.named().find(|name| !SECRET_FIELDS.contains(name))?;
        let reason = match SECRET_DATA.contains(&field) {
            true => "the data of Secrets is never read",
            false => "of Secrets, only the metadata and the type are read",
        };
        Some((field.to_owned(), reason))
    }
}

/// The rules by which the series of a metric are generated.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesOf {
    /// Those of kube-state-metrics.
    Each(Each),
    /// Those of the richer format.
    Entries(Box<Entries>),
}

impl SeriesOf {
    /// Returns the type of the family.
    pub fn metric_type(&self) -> MetricType {
        match self {
            Self::Each(each) => each.metric_type(),
            Self::Entries(entries) => entries.metric_type(),
        }
    }

    fn lines<'v>(&'v self, object: &'v Value<'_>, out: &mut Out<'v, '_>) {
        match self {
            Self::Each(each) => each.lines(object, out),
            Self::Entries(entries) => entries.lines(object, out),
        }
    }

    fn need(&self, mask: &mut Mask) {
        match self {
            Self::Each(each) => each.need(mask),
            Self::Entries(entries) => entries.need(mask),
        }
    }
}

/// Labels of an object that several families share.
#[derive(PartialEq)]
struct Base {
    fixed: CommonLabels,
    paths: LabelPaths,
}

struct Family {
    metric: Metric,
    /// The index in the bases.
    base: usize,
    reports_problems: bool,
}

/// Turns objects of one group, version and kind into blocks.
pub struct CustomCollector {
    families: Vec<Family>,
    bases: Vec<Base>,
    mask: Mask,
    root: Option<NodeIds>,
    hidden: Hidden,
    /// Whether the series of an object share labels.
    shares: bool,
    /// Whether the series get labels of their Namespaces.
    yields: bool,
}

/// A field of an object that does not fit a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{metric}: {problem}")]
pub struct Problem {
    /// The name of the family.
    pub metric: String,
    /// The reason.
    pub problem: String,
}

/// The result for an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collected {
    /// The series.
    pub block: Block,
    /// The problems.
    pub problems: Vec<Problem>,
    /// `namespace/name`, or the name. Empty without problems.
    pub object: String,
}

impl CustomCollector {
    /// Creates the collector for objects of `of`, with the families whose names `enabled` selects. Reports problems of families
    /// with an `errorLogV` of at most `verbosity`.
    pub fn new(
        definition: &Definition,
        of: &GroupVersionKind,
        mut enabled: impl FnMut(&str) -> bool,
        verbosity: u8,
    ) -> Self {
        let mut common = definition.common_labels.clone();
        for (part, value) in [("group", &of.group), ("version", &of.version), ("kind", &of.kind)] {
            common.extend(LabelName::new(format!("customresource_{part}")).map(|name| (name, value.clone())));
        }
        let (mut bases, mut mask) = (Vec::<Base>::new(), Mask::default());
        let mut families = Vec::new();
        for metric in definition.metrics.iter().filter(|metric| enabled(&metric.name)) {
            let mut fixed = common.clone();
            fixed.extend(metric.common_labels.clone());
            let base = Base { fixed, paths: metric.labels.clone() };
            let at = bases.iter().position(|known| *known == base).unwrap_or_else(|| {
                base.paths.need(&mut mask, ROOT);
                bases.push(base);
                bases.len() - 1
            });
            metric.series.need(&mut mask);
            let reports_problems = metric.error_log_v <= i32::from(verbosity);
            families.push(Family { metric: metric.clone(), base: at, reports_problems });
        }
        for key in ["namespace", "name"] {
            mask.add_fields(&["metadata", key]);
        }
        let root = mask.root().into_narrow();
        let hidden = if of.is_secret() { Hidden::OfSecret } else { Hidden::Nothing };
        Self { families, bases, mask, root, hidden, shares: true, yields: false }
    }

    /// Returns it for blocks that stand beside those of another collector: their series carry all their labels themselves.
    #[must_use]
    pub fn beside(self) -> Self {
        Self { shares: false, ..self }
    }

    /// Returns it for series that get labels of their Namespaces, whose names other labels must not have.
    #[must_use]
    pub fn yielding_names(self) -> Self {
        Self { yields: true, ..self }
    }

    /// Returns whether a path may reach the managedFields or the resourceVersion.
    pub fn reads_what_every_write_changes(&self) -> bool {
        let Some(root) = &self.root else { return true };
        let Some(metadata) = self.mask.field(root, "metadata").map(Counts::into_narrow) else { return false };
        let reaches = |nodes: &NodeIds, name| self.mask.field(nodes, name).is_some();
        metadata.is_none_or(|nodes| reaches(&nodes, "managedFields") || reaches(&nodes, "resourceVersion"))
    }

    /// Returns the headers of the families, in order. The family index of a block points into this list.
    pub fn headers(&self) -> Vec<Header> {
        let header = |family: &Family| Header {
            name: family.metric.name.clone(),
            help: family.metric.help.clone(),
            kind: family.metric.series.metric_type(),
            reads: Parts::ALL,
            shares: self.shares,
        };
        self.families.iter().map(header).collect()
    }

    /// Returns all series and problems of the object in `json`, a text or a tree.
    ///
    /// # Errors
    /// The input is not JSON.
    pub fn collect<'de, D: Deserializer<'de>>(&self, json: D) -> Result<Collected, D::Error> {
        self.collect_with(json, &[])
    }

    /// Like [`CustomCollector::collect`], for an object that has these fields, whatever `json` says.
    ///
    /// # Errors
    /// As [`CustomCollector::collect`].
    pub fn collect_with<'de, D: Deserializer<'de>>(
        &self,
        json: D,
        fields: &[(&'static str, &'de str)],
    ) -> Result<Collected, D::Error> {
        let object = self.read().deserialize(json)?.with(fields);
        let mut bases: Vec<Labels<'_>> = self.bases.iter().map(|base| base.labels(&object)).collect();
        let mut problems = Vec::new();
        let mut lines: Vec<_> = self.families.iter().map(|family| family.lines(&object, &mut problems)).collect();
        if self.yields {
            let of_lines = lines.iter_mut().flatten().map(|line| &mut line.labels);
            bases.iter_mut().chain(of_lines).for_each(Labels::yield_names);
        }
        let shared = self.shared(&bases, &lines);
        let shown: Vec<_> = shared.iter().collect();
        let mut block = BlockBuilder::new(&shown);
        let mut labels = Vec::new();
        for (index, (family, lines)) in self.families.iter().zip(&lines).enumerate() {
            let mut known = HashSet::new();
            let has_empty = |labels: &Labels<'_>| labels.iter().any(|(_, value)| value.is_empty());
            let has_empty = has_empty(&bases[family.base]) || lines.iter().any(|line| has_empty(&line.labels));
            block.family(index as u16, |samples| {
                for line in lines {
                    labels.clear();
                    let base = bases[family.base].iter().filter(|(name, _)| shared.get(name).is_none());
                    labels.extend(base.filter(|(name, _)| line.labels.get(name).is_none()));
                    labels.extend(line.labels.iter());
                    labels.sort_unstable();
                    // To Prometheus, a label with an empty value is no label. Without such labels `samples` finds equal series.
                    let identity = || labels.iter().copied().filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>();
                    if !has_empty || known.insert(identity()) {
                        samples.sample(&labels, line.value);
                    }
                }
            });
        }
        let object = if problems.is_empty() { String::new() } else { name_of(&object) };
        Ok(Collected { block: block.finish(), problems, object })
    }

    /// Returns the reader of objects.
    fn read(&self) -> Read<'_> {
        Read { mask: &self.mask, at: self.root.as_ref(), hidden: self.hidden }
    }

    /// Returns the labels that all series of an object share.
    fn shared<'v>(&self, bases: &[Labels<'v>], lines: &[Vec<Line<'_>>]) -> Labels<'v> {
        if !self.shares {
            return Labels::default();
        }
        let mut used =
            self.families.iter().zip(lines).filter(|(_, lines)| !lines.is_empty()).map(|(family, _)| family.base);
        let Some(first) = used.next() else { return Labels::default() };
        let mut shared = bases[first].clone();
        for other in used.filter(|base| *base != first) {
            shared.retain(|name, value| bases[other].get(name) == Some(value));
        }
        shared.retain(|name, _| lines.iter().flatten().all(|line| line.labels.get(name).is_none()));
        shared
    }
}

/// Returns `namespace/name`, or only the name.
fn name_of(object: &Value<'_>) -> String {
    let part = |key| match object.get("metadata").and_then(|metadata| metadata.get(key)) {
        Some(Value::Text(text)) => text.as_ref(),
        _ => "",
    };
    [part("namespace"), part("name")].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

impl Base {
    fn labels<'v>(&'v self, object: &'v Value<'_>) -> Labels<'v> {
        let mut labels = Labels::default();
        for (name, value) in &self.fixed {
            labels.set(name.reborrow(), Cow::Borrowed(value));
        }
        self.paths.set(Some(object), &mut labels);
        labels
    }
}

impl Family {
    fn lines<'v>(&'v self, object: &'v Value<'_>, problems: &mut Vec<Problem>) -> Vec<Line<'v>> {
        let mut texts = Vec::new();
        let mut out = Out { lines: Vec::new(), problems: self.reports_problems.then_some(&mut texts) };
        self.metric.series.lines(object, &mut out);
        let lines = out.lines;
        problems.extend(texts.into_iter().map(|problem| Problem { metric: self.metric.name.clone(), problem }));
        lines
    }
}
