//! The forms of an answer: whole objects, `PartialObjectMetadata`, or rows of a `Table`.
//!
//! Key order, missing kinds in lists and the format of bookmarks are those of a real API server, version 1.36.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};

use super::error::ApiError;
use super::resource_type::ResourceType;

const META: &str = "meta.k8s.io/v1";

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Whole,
    Metadata,
    Table(Include),
}

/// The object in a row of a `Table`, besides its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Include {
    Nothing,
    Metadata,
    Object,
}

/// The kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    One,
    List,
    Watch,
}

/// Returns the first form of an `Accept` header that has a JSON answer.
pub(super) fn negotiate(accept: &str, include: &str, answer: Answer) -> Result<Form, ApiError> {
    let accept = if accept.trim().is_empty() { "*/*" } else { accept };
    for clause in accept.split(',') {
        let mut parts = clause.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "application/*" | "*/*") {
            continue;
        }
        let (mut kind, mut group, mut version) = ("", "", "");
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            match key {
                "as" => kind = value,
                "g" => group = value,
                "v" => version = value,
                _ => {}
            }
        }
        if kind.is_empty() {
            return Ok(Form::Whole);
        }
        if (group, version) != ("meta.k8s.io", "v1") {
            continue;
        }
        return match (kind, answer) {
            ("Table", _) => Ok(Form::Table(include_of(include)?)),
            ("PartialObjectMetadata", Answer::One | Answer::Watch) | ("PartialObjectMetadataList", Answer::List) => {
                Ok(Form::Metadata)
            }
            ("PartialObjectMetadata", Answer::List) => {
                Err(ApiError::not_acceptable("you requested PartialObjectMetadata, but the requested object is a list"))
            }
            ("PartialObjectMetadataList", Answer::One | Answer::Watch) => Err(ApiError::not_acceptable(
                "you requested PartialObjectMetadataList, but the requested object is not a list",
            )),
            _ => continue,
        };
    }
    Err(ApiError::not_acceptable("406: Not Acceptable\n\nAvailable representations: application/json"))
}

fn include_of(include: &str) -> Result<Include, ApiError> {
    match include {
        "None" => Ok(Include::Nothing),
        "" | "Metadata" => Ok(Include::Metadata),
        "Object" => Ok(Include::Object),
        other => Err(ApiError::bad_request(format!("unrecognized includeObject value: \"{other}\""))),
    }
}

/// An object with its keys in the server's order: kind, apiVersion, metadata, then the rest.
struct Ordered<'a> {
    /// Kind and apiVersion; items of a list have neither.
    kind: Option<(&'a str, &'a str)>,
    object: &'a Value,
}

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some((kind, version)) = self.kind {
            map.serialize_entry("kind", kind)?;
            map.serialize_entry("apiVersion", version)?;
        }
        map.serialize_entry("metadata", &self.object["metadata"])?;
        for (key, value) in self.object.as_object().into_iter().flatten() {
            if !matches!(key.as_str(), "kind" | "apiVersion" | "metadata") {
                map.serialize_entry(key, value)?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Metadata<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: &'a Value,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Shown<'a> {
    Whole(Ordered<'a>),
    Metadata(Metadata<'a>),
}

#[derive(Serialize)]
struct Row<'a> {
    cells: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Shown<'a>>,
}

#[derive(Serialize)]
struct Table<'a> {
    kind: &'static str,
    #[serde(rename = "apiVersion")]
    api_version: &'static str,
    metadata: Value,
    #[serde(rename = "columnDefinitions")]
    columns: Option<Value>,
    rows: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct List<'a> {
    kind: Cow<'static, str>,
    #[serde(rename = "apiVersion")]
    api_version: &'a str,
    metadata: Value,
    items: Vec<Shown<'a>>,
}

/// Writes objects of one resource in one form.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    resource: ResourceType,
    api_version: String,
    form: Form,
    /// Whether the column definitions were sent: only the first event of a watch has them.
    columns_told: bool,
}

impl Writer {
    pub fn new(resource: &ResourceType, form: Form) -> Self {
        Self { resource: resource.clone(), api_version: resource.api_version(), form, columns_told: false }
    }

    /// One object.
    pub fn one(&mut self, object: &Value) -> Vec<u8> {
        match self.form {
            Form::Table(include) => {
                let metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
                let columns = (!self.columns_told).then(|| self.columns());
                self.columns_told = true;
                to_bytes(&self.table(metadata, columns, vec![self.row(object, include)]))
            }
            Form::Metadata => to_bytes(&metadata_of(object)),
            Form::Whole => to_bytes(&self.whole(object)),
        }
    }

    /// A list.
    pub fn list<'a>(&self, metadata: Value, objects: impl Iterator<Item = &'a Value>) -> Vec<u8> {
        match self.form {
            Form::Table(include) => {
                let rows = objects.map(|object| self.row(object, include)).collect();
                to_bytes(&self.table(metadata, Some(self.columns()), rows))
            }
            Form::Metadata => to_bytes(&List {
                kind: "PartialObjectMetadataList".into(),
                api_version: META,
                metadata,
                items: objects.map(|object| Shown::Metadata(metadata_of(object))).collect(),
            }),
            Form::Whole => to_bytes(&List {
                kind: format!("{}List", self.resource.kind).into(),
                api_version: &self.api_version,
                metadata,
                items: objects.map(|object| Shown::Whole(Ordered { kind: None, object })).collect(),
            }),
        }
    }

    /// A line of a watch.
    pub fn event(&mut self, kind: &str, object: &Value) -> Vec<u8> {
        event_line(kind, &self.one(object))
    }

    /// The bookmark at `version`; `initial_end` marks the end of the initial events.
    pub fn bookmark(&mut self, version: u64, initial_end: bool) -> Vec<u8> {
        let mut metadata = json!({ "resourceVersion": version.to_string() });
        if initial_end {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        self.event("BOOKMARK", &json!({ "metadata": metadata }))
    }

    fn whole<'a>(&'a self, object: &'a Value) -> Ordered<'a> {
        Ordered { kind: Some((&self.resource.kind, &self.api_version)), object }
    }

    fn row<'a>(&'a self, object: &'a Value, include: Include) -> Row<'a> {
        Row {
            cells: self.cells(object),
            object: match include {
                Include::Nothing => None,
                Include::Metadata => Some(Shown::Metadata(metadata_of(object))),
                Include::Object => Some(Shown::Whole(self.whole(object))),
            },
        }
    }

    const fn table<'a>(&self, metadata: Value, columns: Option<Value>, rows: Vec<Row<'a>>) -> Table<'a> {
        Table { kind: "Table", api_version: META, metadata, columns, rows }
    }

    fn is_secret(&self) -> bool {
        self.resource.group.is_empty() && self.resource.plural == "secrets"
    }

    fn columns(&self) -> Value {
        let names: &[&str] = if self.is_secret() { &["Name", "Type", "Data", "Age"] } else { &["Name", "Age"] };
        let column = |name: &&str| {
            let format = if *name == "Name" { "name" } else { "" };
            json!({ "name": name, "type": "string", "format": format, "description": "", "priority": 0 })
        };
        names.iter().map(column).collect()
    }

    fn cells(&self, object: &Value) -> Vec<Value> {
        let text = |value: &Value| Value::from(value.as_str().unwrap_or_default());
        let name = text(&object["metadata"]["name"]);
        // NB: a fixed age, because clients read only Type.
        let age = Value::from(if object["metadata"]["creationTimestamp"].is_string() { "1m" } else { "<unknown>" });
        if self.is_secret() {
            let data = object["data"].as_object().map_or(0, serde_json::Map::len);
            vec![name, text(&object["type"]), data.into(), age]
        } else {
            vec![name, age]
        }
    }
}

fn metadata_of(object: &Value) -> Metadata<'_> {
    Metadata { kind: "PartialObjectMetadata", api_version: META, metadata: &object["metadata"] }
}

/// `{"type":...,"object":...}` and a line feed.
pub(super) fn event_line(kind: &str, object: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(object.len() + 32);
    line.extend_from_slice(b"{\"type\":\"");
    line.extend_from_slice(kind.as_bytes());
    line.extend_from_slice(b"\",\"object\":");
    line.extend_from_slice(object);
    line.extend_from_slice(b"}\n");
    line
}

/// JSON of a value with string keys only, which cannot fail in memory.
pub(super) fn to_bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1";
    const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

    #[test]
    fn the_first_form_that_json_can_carry_wins() {
        let form = |accept: &str| negotiate(accept, "", Answer::Watch).map_err(|error| error.code);
        assert_eq!(form(""), Ok(Form::Whole));
        assert_eq!(form("*/*"), Ok(Form::Whole));
        assert_eq!(form("application/vnd.kubernetes.protobuf, application/json"), Ok(Form::Whole));
        assert_eq!(form(PARTIAL), Ok(Form::Metadata));
        assert_eq!(form(TABLE), Ok(Form::Table(Include::Metadata)));
        assert_eq!(form(&format!("{TABLE}, application/json")), Ok(Form::Table(Include::Metadata)));
        assert_eq!(
            form("application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"),
            Ok(Form::Whole)
        );
        assert_eq!(form("application/vnd.kubernetes.protobuf"), Err(406));
        assert_eq!(form("application/json;as=Table;g=meta.k8s.io;v=v9"), Err(406));
    }

    #[test]
    fn a_list_is_no_single_object() {
        let list = PARTIAL.replace("Metadata;", "MetadataList;");
        assert_eq!(negotiate(&list, "", Answer::List), Ok(Form::Metadata));
        assert_eq!(negotiate(PARTIAL, "", Answer::List).map_err(|e| e.code), Err(406));
        assert_eq!(negotiate(&list, "", Answer::Watch).map_err(|e| e.code), Err(406));
    }

    #[test]
    fn only_the_first_table_of_a_watch_has_columns() {
        let secrets = ResourceType::new("", "v1", "secrets", "Secret", true);
        let mut writer = Writer::new(&secrets, Form::Table(Include::Metadata));
        let secret = json!({ "metadata": { "name": "a", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z" },
            "type": "Opaque", "data": { "k": "dg==" } });
        let first: Value = serde_json::from_slice(&writer.event("ADDED", &secret)).expect("JSON");
        assert_eq!(first["object"]["columnDefinitions"][1]["name"], "Type");
        assert_eq!(first["object"]["rows"][0]["cells"], json!(["a", "Opaque", 1, "1m"]));
        assert_eq!(first["object"]["rows"][0]["object"]["kind"], "PartialObjectMetadata");
        assert!(!first.to_string().contains("dg=="));
        let second = String::from_utf8(writer.bookmark(8, true)).expect("UTF-8");
        assert_eq!(
            second,
            "{\"type\":\"BOOKMARK\",\"object\":{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/v1\",\
             \"metadata\":{\"resourceVersion\":\"8\"},\"columnDefinitions\":null,\
             \"rows\":[{\"cells\":[\"\",\"\",0,\"<unknown>\"],\"object\":{\"kind\":\"PartialObjectMetadata\",\
             \"apiVersion\":\"meta.k8s.io/v1\",\"metadata\":{\"annotations\":{\"k8s.io/initial-events-end\":\"true\"},\
             \"resourceVersion\":\"8\"}}}]}}\n"
        );
    }
}
