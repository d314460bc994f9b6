//! The YAML of a CustomResourceStateMetrics configuration, read as leniently as kube-state-metrics does.
//!
//! Unknown keys are ignored, `null` counts as not given, and a number or boolean in place of a string is read as its text.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::collectors::label_names::LabelName;
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
    pub value_from: Option<Spanned<ValueFrom>>,
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
    pub value_from: Option<Spanned<ValueFrom>>,
}

/// `commonLabels`.
pub(super) type Labels = BTreeMap<Text, Spanned<Text>>;

/// `labelsFromPath`.
pub(super) type Paths = BTreeMap<Text, Option<Spanned<LabelFrom>>>;

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

/// The value of a label.
pub(super) enum LabelFrom {
    Path(Parts),
    Source(LabelSource),
}

/// Returns the label name in `name`. `None` if it is empty or reserved.
pub(super) fn name_of_key(name: &Option<Spanned<Text>>) -> Option<LabelName<'static>> {
    LabelName::new(name.as_ref()?.value.0.as_str()).ok().map(LabelName::into_owned)
}

impl LabelFrom {
    /// Its parts.
    pub fn parts(&self) -> &Parts {
        match self {
            Self::Path(parts) => parts,
            Self::Source(source) => &source.path,
        }
    }

    /// The line of its first part.
    pub fn line(from: &Spanned<Self>) -> Option<u64> {
        from.value.parts().first().map(|part| part.referenced.line())
    }
}

/// The value of a label in the richer format, which kube-state-metrics rejects: it expects a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct LabelSource {
    #[serde(deserialize_with = "or_default")]
    pub path: Parts,
    pub default: Option<Text>,
}

/// `valueFrom`.
pub(super) enum ValueFrom {
    Path(Parts),
    Source(ValueSource),
}

/// `valueFrom` in the richer format.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ValueSource {
    pub path: Option<Parts>,
    pub count: Option<Parts>,
    pub sum: Option<Parts>,
    pub format: Option<Text>,
    pub values: Option<BTreeMap<Text, f64>>,
    pub otherwise: Option<f64>,
    pub default: Option<Text>,
}

/// Reads a list as a path, and a map as a source.
macro_rules! path_or_source {
    ($type:ident, $source:ty) => {
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Self::Path(path) => path.fmt(f),
                    Self::Source(source) => source.fmt(f),
                }
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Any;
                impl<'de> Visitor<'de> for Any {
                    type Value = $type;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a list")
                    }

                    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<$type, A::Error> {
                        Parts::deserialize(SeqAccessDeserializer::new(parts)).map($type::Path)
                    }

                    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<$type, A::Error> {
                        <$source>::deserialize(MapAccessDeserializer::new(fields)).map($type::Source)
                    }
                }
                deserializer.deserialize_any(Any)
            }
        }
    };
}

path_or_source!(LabelFrom, LabelSource);
path_or_source!(ValueFrom, ValueSource);
