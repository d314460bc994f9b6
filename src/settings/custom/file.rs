//! The YAML of a CustomResourceStateMetrics configuration, read as leniently as kube-state-metrics does.
//!
//! Unknown keys are ignored, `null` counts as not given, and a number or boolean in place of a string is read as its text.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::settings::yaml::or_default;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct File {
    #[serde(deserialize_with = "or_default")]
    pub spec: Spec,
}

/// `spec`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Spec {
    #[serde(deserialize_with = "or_default")]
    pub resources: Vec<Spanned<Resource>>,
}

/// An item of `resources`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(deserialize_with = "or_default")]
    pub group_version_kind: Gvk,
    #[serde(deserialize_with = "or_default")]
    pub common_labels: Labels,
    #[serde(deserialize_with = "or_default")]
    pub labels_from_path: Paths,
    pub metric_name_prefix: Option<String>,
    #[serde(deserialize_with = "or_default")]
    pub metrics: Vec<Spanned<Metric>>,
    #[serde(rename = "errorLogV", deserialize_with = "or_default")]
    pub error_log_v: i32,
    /// Not needed for serving: the CRD has the plural.
    pub resource_plural: Option<String>,
}

/// `groupVersionKind`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Gvk {
    pub group: Option<Spanned<Text>>,
    #[serde(deserialize_with = "or_default")]
    pub version: String,
    #[serde(deserialize_with = "or_default")]
    pub kind: String,
}

/// An item of `metrics`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metric {
    pub name: Option<Spanned<Text>>,
    #[serde(deserialize_with = "or_default")]
    pub help: String,
    #[serde(deserialize_with = "or_default")]
    pub common_labels: Labels,
    #[serde(deserialize_with = "or_default")]
    pub labels_from_path: Paths,
    #[serde(rename = "errorLogV", deserialize_with = "or_default")]
    pub error_log_v: i32,
    pub each: Option<Spanned<Each>>,
}

/// `each`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Each {
    #[serde(rename = "type")]
    pub kind: Option<Spanned<Text>>,
    pub gauge: Option<Gauge>,
    pub state_set: Option<StateSet>,
    pub info: Option<Info>,
}

/// `gauge`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Gauge {
    #[serde(deserialize_with = "or_default")]
    pub path: Parts,
    #[serde(deserialize_with = "or_default")]
    pub labels_from_path: Paths,
    pub label_from_key: Option<Spanned<Text>>,
    #[serde(deserialize_with = "or_default")]
    pub value_from: Parts,
    #[serde(deserialize_with = "or_default")]
    pub nil_is_zero: bool,
}

/// `info`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Info {
    #[serde(deserialize_with = "or_default")]
    pub path: Parts,
    #[serde(deserialize_with = "or_default")]
    pub labels_from_path: Paths,
    pub label_from_key: Option<Spanned<Text>>,
}

/// `stateSet`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StateSet {
    #[serde(deserialize_with = "or_default")]
    pub path: Parts,
    #[serde(deserialize_with = "or_default")]
    pub labels_from_path: Paths,
    pub label_name: Option<Spanned<Text>>,
    #[serde(deserialize_with = "or_default")]
    pub list: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub value_from: Parts,
}

/// `commonLabels`.
pub(super) type Labels = BTreeMap<Text, Spanned<Text>>;

/// `labelsFromPath`.
pub(super) type Paths = BTreeMap<Text, Option<Parts>>;

/// A path: each part with its place.
pub(super) type Parts = Vec<Spanned<Text>>;

/// A string; `null` is the empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_default(deserializer).map(Self)
    }
}
