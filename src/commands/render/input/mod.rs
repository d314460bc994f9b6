//! Parses YAML or JSON documents into objects. A document holds an object or a list, as kubectl prints them.
//!
//! A list is passed on item by item, so that a dump of a large cluster never exists as a tree. YAML is read as version 1.2, so
//! `yes` and `on` are strings.

mod numbers;

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::intake::mend::{lossy, mended};
use crate::settings::yaml::{Problem, blank_lines, documents, problem};

/// The maximum depth of values in JSON, which protects the stack: that of serde_json.
const MAX_DEPTH: usize = 127;
/// The same in YAML, whose parser needs more of the stack for each level. No kind of Kubernetes comes near it.
const MAX_DEPTH_OF_YAML: usize = 64;

/// An object of some kind.
pub(in crate::commands) struct Object {
    pub api_version: String,
    pub kind: String,
    pub fields: Map<String, Value>,
}

/// A position in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Position {
    /// From 1.
    pub document: usize,
    /// From 1.
    pub line: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "document {} (line {})", self.document, self.line)
    }
}

/// Why a file is not valid.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {reason}")]
pub(in crate::commands) struct InputError {
    /// The document and line of the error.
    pub position: Position,
    /// The error in the document.
    pub reason: InvalidDocument,
}

/// Why a document is not valid. `item` is `it` or, in a list, `item 3`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::commands) enum InvalidDocument {
    /// The reason.
    #[error("not valid JSON: {0}")]
    Json(String),
    /// The reason.
    #[error("not valid YAML: {0}")]
    Yaml(String),
    #[error("{item} is {found}, not an object")]
    NotAnObject { item: String, found: &'static str },
    #[error("{item} is not a Kubernetes object: missing {field}")]
    MissingField { item: String, field: &'static str },
}

/// Passes each object in `text` to `take`, in order, with the position of its document. Returns the number of characters in JSON
/// that U+FFFD replaces because they are half of a surrogate pair.
pub(in crate::commands) fn objects(text: &str, mut take: impl FnMut(Position, Object)) -> Result<u64, InputError> {
    let mut replaced = 0;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut number = 0;
    for (line, range) in documents(text) {
        let document = &text[range];
        let Some(blank) = blank_lines(document) else { continue };
        let lines_before = line + blank;
        let document = skip_lines(document, blank);
        if document.trim_start().starts_with(['{', '[']) {
            let mended = mended(document.as_bytes());
            let as_json = mended.as_ref().map_or(Cow::Borrowed(document), |mended| lossy(&mended.text));
            match json(&as_json, &mut number, lines_before, &mut take) {
                Ok(()) => replaced += mended.map_or(0, |mended| mended.replaced),
                Err(error) if looks_like_json(document) => return Err(error),
                // A flow mapping of YAML may begin like JSON too. Its texts need no repair.
                Err(_) => yaml(document, Position { document: number, line: lines_before + 1 }, &mut take)?,
            }
        } else {
            number += 1;
            yaml(document, Position { document: number, line: lines_before + 1 }, &mut take)?;
        }
    }
    Ok(replaced)
}

fn skip_lines(text: &str, lines: u64) -> &str {
    let skipped: usize = text.split_inclusive('\n').take(lines as usize).map(str::len).sum();
    &text[skipped..]
}

/// Whether invalid JSON was probably meant as JSON: its first key is quoted, or it is an array of objects.
fn looks_like_json(document: &str) -> bool {
    let rest = document.trim_start().trim_start_matches(['{', '[']).trim_start();
    rest.is_empty() || rest.starts_with(['"', '{'])
}

/// Parses a sequence of JSON values; each counts as a document.
fn json(
    text: &str,
    number: &mut usize,
    lines_before: u64,
    take: &mut dyn FnMut(Position, Object),
) -> Result<(), InputError> {
    // The first pass finds where values end, so that the second can stream each.
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let mut start = 0;
    loop {
        let value = values.next();
        let line = |offset: usize| lines_before + 1 + text[..offset].matches('\n').count() as u64;
        let begin = start + (text[start..].len() - text[start..].trim_start().len());
        match value {
            None => return Ok(()),
            Some(Err(error)) => {
                let position = Position { document: *number + 1, line: lines_before + error.line() as u64 };
                *number += 1;
                return Err(InputError { position, reason: InvalidDocument::Json(json_reason(&error)) });
            }
            Some(Ok(IgnoredAny)) => {}
        }
        *number += 1;
        let position = Position { document: *number, line: line(begin) };
        let part = &text[begin..values.byte_offset()];
        start = values.byte_offset();
        let mut deserializer = serde_json::Deserializer::from_str(part);
        let sink = Sink::new(position, take);
        let read = Document(&sink).deserialize(&mut deserializer);
        sink.finish(read.map_err(|e| (InvalidDocument::Json(json_reason(&e)), e.line().saturating_sub(1) as u64)))?;
    }
}

/// Returns the message of an error without `at line 1 column 2`, which would count from the start of a part.
fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ").map_or(text.as_str(), |(reason, _)| reason) {
        "recursion limit exceeded" => format!("values are nested deeper than {MAX_DEPTH} levels"),
        reason => reason.to_owned(),
    }
}

fn yaml(text: &str, position: Position, take: &mut dyn FnMut(Position, Object)) -> Result<(), InputError> {
    let options = serde_saphyr::options! {
        // The user trusts the file, and it may be as large as the cluster. Only its depth is limited, to protect the stack.
        budget: serde_saphyr::budget! {
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            max_total_comment_bytes: usize::MAX,
            max_depth: MAX_DEPTH_OF_YAML,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: serde_saphyr::NonFiniteFloatPolicy::AsString,
        with_snippet: false,
    };
    let sink = Sink::new(position, take);
    let text = numbers::quoted(text);
    let read =
        serde_saphyr::with_deserializer_from_str_with_options(&text, options, |d| Document(&sink).deserialize(d));
    sink.finish(read.map_err(|error| {
        let Problem { line, reason, .. } = problem(&error, &text);
        (InvalidDocument::Yaml(reason), line.unwrap_or_default().saturating_sub(1))
    }))
}

/// Receives the objects of a document, and stores the reason if one is invalid, which a format's error cannot carry.
struct Sink<'a> {
    position: Position,
    take: RefCell<&'a mut dyn FnMut(Position, Object)>,
    problem: RefCell<Option<InvalidDocument>>,
}

impl<'a> Sink<'a> {
    fn new(position: Position, take: &'a mut dyn FnMut(Position, Object)) -> Self {
        Self { position, take: RefCell::new(take), problem: RefCell::default() }
    }

    /// Passes on an object. An item of a list may inherit its apiVersion and kind from `list`.
    fn object<E: serde::de::Error>(
        &self,
        fields: Value,
        list: Option<&(String, String)>,
        item: impl fmt::Display,
    ) -> Result<(), E> {
        let Value::Object(fields) = fields else {
            return self.refuse(InvalidDocument::NotAnObject { item: item.to_string(), found: describe(&fields) });
        };
        let text = |key: &str| fields.get(key).and_then(Value::as_str).filter(|t| !t.is_empty()).map(str::to_owned);
        let api_version = text("apiVersion").or_else(|| list.map(|(version, _)| version.clone()));
        let kind = text("kind").or_else(|| list.map(|(_, kind)| kind.clone()));
        match (api_version, kind) {
            (Some(api_version), Some(kind)) => {
                (self.take.borrow_mut())(self.position, Object { api_version, kind, fields });
                Ok(())
            }
            (None, _) => self.refuse(InvalidDocument::MissingField { item: item.to_string(), field: "apiVersion" }),
            (_, None) => self.refuse(InvalidDocument::MissingField { item: item.to_string(), field: "kind" }),
        }
    }

    fn refuse<E: serde::de::Error>(&self, reason: InvalidDocument) -> Result<(), E> {
        *self.problem.borrow_mut() = Some(reason);
        Err(E::custom("not a Kubernetes object"))
    }

    /// Returns the error of a document. `read` may hold a syntax error, with the number of lines before it.
    fn finish(self, read: Result<(), (InvalidDocument, u64)>) -> Result<(), InputError> {
        let Err((syntax, lines)) = read else { return Ok(()) };
        let Position { document, line } = self.position;
        Err(match self.problem.into_inner() {
            Some(reason) => InputError { position: self.position, reason },
            None => InputError { position: Position { document, line: line + lines }, reason: syntax },
        })
    }
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "plain text",
        Value::Array(_) => "an array",
        Value::Object(_) => "a mapping",
    }
}

/// Reads one document: an object, a list of any type, or an array of objects.
struct Document<'s, 'a>(&'s Sink<'a>);

impl<'de> DeserializeSeed<'de> for Document<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Document<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a Kubernetes object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut fields = Map::new();
        // Items without a type have that of the list, which may follow after them.
        let mut untyped = Vec::new();
        let mut is_list = false;
        while let Some(key) = map.next_key::<String>()? {
            let says_list = |key: &str| fields.get(key).and_then(Value::as_str);
            // Only lists of the core group have the version v1 and items.
            let list = says_list("kind").map_or(says_list("apiVersion") == Some("v1"), |kind| kind.ends_with("List"));
            if key == "items" && list {
                is_list = true;
                map.next_value_seed(Items { sink: self.0, untyped: &mut untyped })?;
            } else {
                fields.insert(key, map.next_value()?);
            }
        }
        let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
        let item_kind = kind.strip_suffix("List").map(str::to_owned);
        // The items came before the kind that shows that this is a list.
        if let (Some(_), Some(Value::Array(_) | Value::Null)) = (&item_kind, fields.get("items")) {
            is_list = true;
            if let Some(Value::Array(items)) = fields.remove("items") {
                untyped.extend(items.into_iter().enumerate());
            }
        }
        if !is_list {
            return self.0.object(Value::Object(fields), None, "it");
        }
        let api_version = fields.get("apiVersion").and_then(Value::as_str).unwrap_or_default().to_owned();
        let of_items = item_kind.filter(|k| !k.is_empty() && !api_version.is_empty()).map(|kind| (api_version, kind));
        for (index, item) in untyped {
            self.0.object(item, of_items.as_ref(), format_args!("item {index}"))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(item) = items.next_element::<Value>()? {
            self.0.object(item, None, format_args!("item {index}"))?;
            index += 1;
        }
        Ok(())
    }

    /// An empty document.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.0.object(Value::from(text), None, "it")
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<(), E> {
        self.0.object(Value::from(value), None, "it")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.0.object(Value::from(value), None, "it")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.0.object(Value::from(value), None, "it")
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.0.object(Value::from(value), None, "it")
    }
}

/// Reads the items of a list, and passes on those that have an apiVersion and a kind.
struct Items<'s, 'a, 'u> {
    sink: &'s Sink<'a>,
    untyped: &'u mut Vec<(usize, Value)>,
}

impl<'de> DeserializeSeed<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Items<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the items of a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(item) = items.next_element::<Value>()? {
            if item.get("kind").is_some() && item.get("apiVersion").is_some() {
                self.sink.object(item, None, format_args!("item {index}"))?;
            } else {
                self.untyped.push((index, item));
            }
            index += 1;
        }
        Ok(())
    }

    /// `items: null`, as Go writes an empty list.
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
