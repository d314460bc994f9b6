//! The shape of a resource's table: one [`Family`] per row, and the [`Resource`] that holds the rows.

use super::common;
use super::objects::Object;
use super::parts::{Cut, DESIRED, FieldSet, Parts};
use crate::exposition::{Header, Memo, MetricType, Past, Samples};

/// The promise of kube-state-metrics about the name and the labels of a family. Only docs/metrics.md shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// They do not change.
    Stable,
    /// They may change.
    Alpha,
}

/// The labels that all series of an object share, in printing order.
pub type Identity<'a> = Vec<(&'static str, &'a str)>;

/// The names of a resource in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    /// Group and version, for example `apps/v1`; only the version for the core group.
    pub api_version: &'static str,
    /// The kind, for example `Deployment`.
    pub kind: &'static str,
    /// The plural, as in paths, flags and metrics.
    pub plural: &'static str,
    /// Whether objects belong to namespaces.
    pub namespaced: bool,
}

impl Api {
    /// A resource whose objects belong to namespaces.
    pub const fn namespaced(api_version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self { api_version, kind, plural, namespaced: true }
    }

    /// A resource whose objects belong to no namespace.
    pub const fn cluster(api_version: &'static str, kind: &'static str, plural: &'static str) -> Self {
        Self { api_version, kind, plural, namespaced: false }
    }

    /// Returns the group, empty for the core group.
    pub fn group(&self) -> &'static str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }

    /// Returns the version.
    pub fn version(&self) -> &'static str {
        self.api_version.split_once('/').map_or(self.api_version, |(_, version)| version)
    }
}

/// A resource with a collector. Implemented by a marker type in each file of this folder.
pub trait Resource: Sized + 'static {
    /// An object, with the fields that the families read. It borrows from its encoded form.
    type Object<'a>: Object<'a>;
    /// The names in the API.
    const API: Api;
    /// The families in printing order.
    const FAMILIES: &'static [Family<Self>];
    /// How objects are cut into parts. Worth it for kinds whose status changes often.
    const CUT: Cut = Cut::NONE;
    /// Returns what to remember of an object for [`Series::Counted`], from its next state and its past. Called for the parts of
    /// objects that these families read.
    const REMEMBER: Option<fn(&Self::Object<'_>, &Past) -> Memo> = None;
    /// Whether a family reads an annotation, even if no annotations are shown.
    const READS_ANNOTATIONS: bool = false;
    /// The labels that every series of the object carries.
    fn identity<'o>(object: &'o Self::Object<'_>) -> Identity<'o>;
}

/// One row of a resource's table.
pub struct Family<R: Resource> {
    /// The name of the metric.
    pub name: &'static str,
    /// The type of the metric.
    pub kind: MetricType,
    /// The HELP text.
    pub help: &'static str,
    /// The promise of kube-state-metrics.
    pub stability: Stability,
    /// Whether the family is served only if `--metric-opt-in-list` names it.
    pub opt_in: bool,
    /// The parts of an object that its series depend on, besides the identity.
    pub reads: Parts,
    /// The fields of an object that its series depend on. Only opt-in families may read more.
    pub fields: FieldSet,
    /// The source of its series.
    pub series: Series<R>,
}

/// The source of the series of a family.
pub enum Series<R: Resource> {
    /// A pure function of the object.
    Of(fn(&R::Object<'_>, &mut Samples)),
    /// A pure function of the object, and of what is remembered of it, this state included.
    Counted(fn(&R::Object<'_>, &Memo, &mut Samples)),
    /// The object's labels that `--metric-labels-allowlist` includes, as `label_*`. Without an entry in the list: no series.
    Labels,
    /// All labels of the object, whatever `--metric-labels-allowlist` includes. Otherwise as [`Series::Labels`].
    AllLabels,
    /// The object's annotations that `--metric-annotations-allowlist` includes, as `annotation_*`, in the same way.
    Annotations,
}

impl<R: Resource> Family<R> {
    /// A gauge, ALPHA, served by default.
    pub const fn gauge(name: &'static str, help: &'static str, series: fn(&R::Object<'_>, &mut Samples)) -> Self {
        Self {
            name,
            kind: MetricType::Gauge,
            help,
            stability: Stability::Alpha,
            opt_in: false,
            reads: Parts::ALL,
            fields: FieldSet::Usual,
            series: Series::Of(series),
        }
    }

    /// A counter, ALPHA, served by default.
    pub const fn counter(name: &'static str, help: &'static str, series: fn(&R::Object<'_>, &mut Samples)) -> Self {
        Self { kind: MetricType::Counter, ..Self::gauge(name, help, series) }
    }

    /// A counter of events in the life of an object, which its newest state alone does not show. Opt-in.
    pub const fn counted(
        name: &'static str,
        help: &'static str,
        series: fn(&R::Object<'_>, &Memo, &mut Samples),
    ) -> Self {
        let family = Self { series: Series::Counted(series), ..Self::counter(name, help, exists::<R>) };
        family.opt_in()
    }

    /// The family of the object's labels.
    pub const fn labels(name: &'static str) -> Self {
        let help = "Kubernetes labels of the object that --metric-labels-allowlist includes.";
        Self { series: Series::Labels, reads: DESIRED, ..Self::gauge(name, help, exists::<R>) }
    }

    /// The family of all labels of the object.
    pub const fn all_labels(name: &'static str, help: &'static str) -> Self {
        Self { series: Series::AllLabels, reads: DESIRED, ..Self::gauge(name, help, exists::<R>) }
    }

    /// The family of the object's annotations.
    pub const fn annotations(name: &'static str) -> Self {
        let help = "Annotations of the object that --metric-annotations-allowlist includes.";
        Self { series: Series::Annotations, reads: DESIRED, ..Self::gauge(name, help, exists::<R>) }
    }

    /// Marks the row STABLE.
    pub const fn stable(mut self) -> Self {
        self.stability = Stability::Stable;
        self
    }

    /// Marks the row opt-in.
    pub const fn opt_in(mut self) -> Self {
        self.opt_in = true;
        self
    }

    /// Declares that its series depend on these parts alone.
    pub const fn reads(mut self, parts: Parts) -> Self {
        self.reads = parts;
        self
    }

    /// Marks the row as opt-in, and as reading fields that are decoded only for such rows.
    pub const fn reads_more(mut self) -> Self {
        self.fields = FieldSet::More;
        self.opt_in()
    }

    /// Returns the header that precedes its series.
    pub fn header(&self) -> Header {
        Header {
            name: self.name.to_owned(),
            help: self.help.to_owned(),
            kind: self.kind,
            reads: self.reads,
            shares: true,
        }
    }
}

/// Rows that many resources have alike.
impl<R: Resource> Family<R> {
    /// The creation time.
    pub const fn created(name: &'static str) -> Self {
        Self::gauge(name, "Unix timestamp of the creation of the object.", |object, samples| {
            common::created(object, samples)
        })
        .reads(DESIRED)
    }

    /// The time of the request to delete the object.
    pub const fn deletion_timestamp(name: &'static str) -> Self {
        Self::gauge(name, "Unix timestamp of the request to delete the object.", |object, samples| {
            common::deletion_timestamp(object, samples)
        })
        .reads(DESIRED)
    }

    /// The resourceVersion.
    pub const fn resource_version(name: &'static str) -> Self {
        Self::gauge(name, "The resourceVersion of the object.", |object, samples| {
            common::metadata_resource_version(object, samples)
        })
        .reads(DESIRED)
    }

    /// The generation of the desired state.
    pub const fn generation(name: &'static str) -> Self {
        Self::gauge(name, "The generation of the desired state.", |object, samples| {
            common::metadata_generation(object, samples)
        })
        .reads(DESIRED)
    }

    /// The owners.
    pub const fn owner(name: &'static str) -> Self {
        let help = "Owners of the object, one series per owner; labels are empty without an owner.";
        Self::gauge(name, help, |object, samples| common::owner(object, samples)).reads(DESIRED)
    }
}

/// Emits one series without labels of its own and with the value 1.
pub fn exists<R: Resource>(_: &R::Object<'_>, samples: &mut Samples) {
    samples.sample(&[], 1.0);
}

/// An operation for every resource, with its type as a parameter.
pub trait Visitor {
    /// Called once per resource.
    fn visit<R: Resource>(&mut self);
}

/// Returns the plural that flags, paths and metrics use for a resource.
pub fn name<R: Resource>() -> &'static str {
    R::API.plural
}
