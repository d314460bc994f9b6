//! Checks values against the schema of the chart, as far as the schema goes: types, enumerations, limits and unknown keys.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// The schema, which Helm applies too.
const SCHEMA: &str = include_str!("../../../manifests/chart/values.schema.json");
// NB: the schema is part of the program, and a test parses it.
static PARSED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(SCHEMA).unwrap_or_default());

/// The keywords of JSON schema that [`faults`] applies, or that say nothing about a single value.
#[cfg(test)]
const KEYWORDS: [&str; 13] = [
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "description",
    "enum",
    "items",
    "maximum",
    "minimum",
    "properties",
    "required",
    "title",
];

/// A value that the schema refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The value, with dots between its keys. An element of a list counts as the list.
    pub path: String,
    pub text: String,
}

/// Returns the values that the schema refuses. Does not demand any: `required` is about the chart's defaults.
pub(super) fn faults(values: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    Checker { root: &PARSED, faults: &mut faults }.check(&PARSED, values, "");
    faults
}

/// Returns whether the chart has a value of this name at top level.
pub(super) fn is_known(key: &str) -> bool {
    PARSED["properties"].get(key).is_some()
}

struct Checker<'a> {
    root: &'a Value,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Checker<'a> {
    fn check(&mut self, schema: &'a Value, value: &Value, path: &str) {
        let reference = schema["$ref"].as_str().and_then(|name| self.root.pointer(name.trim_start_matches('#')));
        let schema = reference.unwrap_or(schema);
        let mut refuse = |text: String| self.faults.push(Fault { path: path.to_owned(), text });
        if let Some(any) = schema["anyOf"].as_array() {
            let fits = |schema: &Value| {
                let mut faults = Vec::new();
                Checker { root: self.root, faults: &mut faults }.check(schema, value, path);
                faults.is_empty()
            };
            if !any.iter().any(fits) {
                refuse("no value that this chart takes".to_owned());
            }
            return;
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            let listed: Vec<_> =
                allowed.iter().filter(|one| !one.is_null() && *one != "").map(Value::to_string).collect();
            return refuse(format!("must be {}", listed.join(" or ")));
        }
        if let Some(types) = types(schema)
            && !types.iter().any(|name| is_of(value, name))
        {
            return refuse(format!("must be {}", types.join(" or ")));
        }
        if let Some(number) = value.as_f64() {
            let beyond = |key: &str, is: fn(f64, f64) -> bool| schema[key].as_f64().filter(|limit| is(number, *limit));
            if let Some(limit) = beyond("minimum", |number, limit| number < limit) {
                return refuse(format!("must be {limit} or more"));
            }
            if let Some(limit) = beyond("maximum", |number, limit| number > limit) {
                return refuse(format!("must be {limit} or less"));
            }
        }
        match value {
            Value::Object(map) => self.map(schema, map, path),
            Value::Array(list) => {
                let before = self.faults.len();
                list.iter().for_each(|one| self.check(&schema["items"], one, path));
                // One fault for a list is enough.
                self.faults.truncate(before + 1);
                if let Some(fault) = self.faults.get_mut(before) {
                    path.clone_into(&mut fault.path);
                }
            }
            _ => {}
        }
    }

    fn map(&mut self, schema: &'a Value, map: &Map<String, Value>, path: &str) {
        for (key, value) in map {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match (schema["properties"].get(key), &schema["additionalProperties"]) {
                (Some(known), _) => self.check(known, value, &below),
                (None, Value::Bool(false)) => {
                    let known = schema["properties"].as_object().into_iter().flat_map(Map::keys);
                    let likely = known
                        .map(|name| (strsim::jaro_winkler(name, key), name))
                        .filter(|(likeness, _)| *likeness > 0.9)
                        .max_by(|a, b| a.0.total_cmp(&b.0));
                    let hint = likely.map_or_else(String::new, |(_, name)| format!("; did you mean {name}?"));
                    self.faults.push(Fault { path: below, text: format!("no value of this chart{hint}") });
                }
                (None, Value::Object(_)) => self.check(&schema["additionalProperties"], value, &below),
                (None, _) => {}
            }
        }
    }
}

fn types(schema: &Value) -> Option<Vec<&str>> {
    match &schema["type"] {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect()),
        _ => None,
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    /// Adds the keywords of a schema.
    fn keywords<'a>(schema: &'a Value, all: &mut BTreeSet<&'a str>) {
        for (key, below) in schema.as_object().into_iter().flatten() {
            all.insert(key);
            match key.as_str() {
                "properties" | "$defs" => {
                    below.as_object().into_iter().flatten().for_each(|(_, one)| keywords(one, all))
                }
                "items" | "additionalProperties" => keywords(below, all),
                "anyOf" => below.as_array().into_iter().flatten().for_each(|one| keywords(one, all)),
                _ => {}
            }
        }
    }

    #[test]
    fn each_keyword_of_the_schema_is_known() {
        let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
        let mut found = BTreeSet::new();
        keywords(&schema, &mut found);
        let known: BTreeSet<&str> = KEYWORDS.into_iter().chain(["type"]).collect();
        assert_eq!(found, known);
    }

    #[test]
    fn faults_name_the_value_and_what_it_may_be() {
        let of = |values: Value| {
            let faults = faults(&values).into_iter();
            faults.map(|fault| format!("{}: {}", fault.path, fault.text)).collect::<Vec<_>>()
        };
        assert!(of(json!({ "replicas": null, "affinity": "text", "updateStrategy": { "type": "x" } })).is_empty());
        assert_eq!(of(json!({ "replicas": -1 })), ["replicas: must be 0 or more"]);
        assert_eq!(of(json!({ "service": { "port": "8080" } })), ["service.port: must be integer or null"]);
        assert_eq!(
            of(json!({ "livenessProbe": { "successThreshold": 2 } })),
            ["livenessProbe.successThreshold: must be 1"]
        );
        assert_eq!(of(json!({ "updateStrategy": "Blue" })), ["updateStrategy: no value that this chart takes"]);
        assert_eq!(of(json!({ "colectors": [] })), ["colectors: no value of this chart; did you mean collectors?"]);
        assert_eq!(of(json!({ "tolerations": [1, 2] })), ["tolerations: must be object"]);
        assert_eq!(of(json!({ "customLabels": { "a": [] } })), ["customLabels.a: must be string or number or boolean"]);
    }
}
