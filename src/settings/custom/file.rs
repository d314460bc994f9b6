//! The YAML of a CustomResourceStateMetrics configuration, read as leniently as kube-state-metrics does.
//!
//! Unknown keys are ignored, `null` counts as not given, and a number or boolean in place of a string is read as its text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::Spanned;

use crate::collectors::label_names::LabelName;
use crate::settings::yaml::or_default;

/// The whole file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct File {
    /// The configuration.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Spec>")]
    pub spec: Spec,
}

/// `spec`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Spec {
    /// The kinds. If several entries apply to a kind, the last one counts.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Vec<Resource>>")]
    pub resources: Vec<Spanned<Resource>>,
}

/// An item of `resources`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Resource {
    /// The kind of the objects. The version and the kind may be "*".
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Gvk>")]
    pub group_version_kind: Gvk,
    /// Labels with fixed values.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, Text>>")]
    pub common_labels: Labels,
    /// Labels from fields: a path for each label name. A name that ends with * copies a map.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, Option<LabelFrom>>>")]
    pub labels_from_path: Paths,
    /// The beginning of the names of all metrics. Default: kube_customresource.
    #[schemars(with = "Option<Text>")]
    pub metric_name_prefix: Option<String>,
    /// The metrics of the kind.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Vec<Metric>>")]
    pub metrics: Vec<Spanned<Metric>>,
    /// The verbosity from which on problems are logged.
    #[serde(rename = "errorLogV", deserialize_with = "or_default")]
    #[schemars(with = "Option<i32>")]
    pub error_log_v: i32,
    /// Not needed for serving: the CRD has the plural.
    #[schemars(with = "Option<Text>")]
    pub resource_plural: Option<String>,
}

/// `groupVersionKind`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(super) struct Gvk {
    /// The API group.
    #[schemars(with = "Option<Text>")]
    pub group: Option<Spanned<Text>>,
    /// The API version, or "*".
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Text>")]
    pub version: String,
    /// The kind, or "*".
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Text>")]
    pub kind: String,
}

/// An item of `metrics`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Metric {
    /// The name of the metric, behind the prefix.
    #[schemars(with = "Option<Text>")]
    pub name: Option<Spanned<Text>>,
    /// The HELP text.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Text>")]
    pub help: String,
    /// Labels with fixed values.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, Text>>")]
    pub common_labels: Labels,
    /// Labels from fields: a path for each label name. A name that ends with * copies a map.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, Option<LabelFrom>>>")]
    pub labels_from_path: Paths,
    /// The verbosity from which on problems are logged.
    #[serde(rename = "errorLogV", deserialize_with = "or_default")]
    #[schemars(with = "Option<i32>")]
    pub error_log_v: i32,
    /// The type of the metric, and where its values are.
    #[schemars(with = "Option<Each>")]
    pub each: Option<Spanned<Each>>,
}

/// `each`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Each {
    /// Gauge, Info or StateSet.
    #[serde(rename = "type")]
    #[schemars(with = "Option<TypeName>")]
    pub kind: Option<Spanned<Text>>,
    /// The settings of a Gauge.
    pub gauge: Option<Gauge>,
    /// The settings of a StateSet.
    pub state_set: Option<StateSet>,
    /// The settings of an Info.
    pub info: Option<Info>,
}

/// `gauge`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Gauge {
    /// Steps from the object: fields, indices, "[key=value]", and "[*]" for each item or entry.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Vec<Text>>")]
    pub path: Parts,
    /// Labels from fields: a path for each label name. A name that ends with * copies a map.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, Option<LabelFrom>>>")]
    pub labels_from_path: Paths,
    /// The label for the key of a map.
    #[schemars(with = "Option<Text>")]
    pub label_from_key: Option<Spanned<Text>>,
    /// Where the value is, from the entry.
    #[schemars(with = "Option<ValueFrom>")]
    pub value_from: Option<Spanned<ValueFrom>>,
    /// Whether a missing value counts as 0.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<bool>")]
    pub nil_is_zero: bool,
}

/// `info`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct Info {
    /// Steps from the object: fields, indices, "[key=value]", and "[*]" for each item or entry.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Vec<Text>>")]
    pub path: Parts,
    /// Labels from fields: a path for each label name. A name that ends with * copies a map.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, Option<LabelFrom>>>")]
    pub labels_from_path: Paths,
    /// The label for the key of a map.
    #[schemars(with = "Option<Text>")]
    pub label_from_key: Option<Spanned<Text>>,
}

/// `stateSet`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct StateSet {
    /// Steps from the object: fields, indices, "[key=value]", and "[*]" for each item or entry.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Vec<Text>>")]
    pub path: Parts,
    /// Labels from fields: a path for each label name. A name that ends with * copies a map.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<BTreeMap<String, Option<LabelFrom>>>")]
    pub labels_from_path: Paths,
    /// The label for the state.
    #[schemars(with = "Option<Text>")]
    pub label_name: Option<Spanned<Text>>,
    /// The states.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Vec<Text>>")]
    pub list: Vec<Text>,
    /// Where the value is, from the entry.
    #[schemars(with = "Option<ValueFrom>")]
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

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number", "boolean", "null"]})
    }
}

/// The type of a metric, in any case.
struct TypeName;

impl JsonSchema for TypeName {
    fn schema_name() -> Cow<'static, str> {
        "TypeName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"enum": ["Gauge", "Info", "StateSet"]},
            {"pattern": "^([Gg][Aa][Uu][Gg][Ee]|[Ii][Nn][Ff][Oo]|[Ss][Tt][Aa][Tt][Ee][Ss][Ee][Tt])$"},
        ]})
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        or_default(deserializer).map(Self)
    }
}

/// The value of a label: a path, or a map with a path and a default.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum LabelFrom {
    Path(#[schemars(with = "Vec<Text>")] Parts),
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
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct LabelSource {
    /// Steps from the entry. "[..]" goes one step back, and "[key]" is the key of an entry.
    #[serde(deserialize_with = "or_default")]
    #[schemars(with = "Option<Vec<Text>>")]
    pub path: Parts,
    /// The value if the path leads to nothing.
    pub default: Option<Text>,
}

/// The value: a path, or a map of the richer format.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub(super) enum ValueFrom {
    Path(#[schemars(with = "Vec<Text>")] Parts),
    Source(ValueSource),
}

/// The numbers of texts, as they are written: two keys of YAML may be the same text, `1` and `"1"`.
#[derive(Debug)]
pub(super) struct Numbers(pub Vec<(Text, f64)>);

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Numbers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from texts to numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Numbers, A::Error> {
                let mut numbers = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    numbers.push(entry);
                }
                Ok(Numbers(numbers))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

/// `valueFrom` in the richer format.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
#[schemars(deny_unknown_fields)]
pub(super) struct ValueSource {
    /// Steps from the entry to the value.
    #[schemars(with = "Option<Vec<Text>>")]
    pub path: Option<Parts>,
    /// Steps to the values that are counted.
    #[schemars(with = "Option<Vec<Text>>")]
    pub count: Option<Parts>,
    /// Steps to the values that are summed.
    #[schemars(with = "Option<Vec<Text>>")]
    pub sum: Option<Parts>,
    /// number or duration.
    pub format: Option<Text>,
    /// The numbers of texts.
    #[schemars(with = "Option<BTreeMap<String, f64>>")]
    pub values: Option<Numbers>,
    /// The number of all other texts.
    pub otherwise: Option<f64>,
    /// The value if the path leads to nothing.
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

/// Returns the JSON schema of the whole file.
pub(super) fn schema() -> Schema {
    schemars::schema_for!(File)
}
