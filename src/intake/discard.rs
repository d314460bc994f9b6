//! Peeks at raw bytes to decide whether an object belongs to the shard: UID, resourceVersion and kind.
//!
//! An object of another shard costs only this peek: it is not decoded, allocates nothing, and the bytes after its metadata are
//! not read. The module also reads other details without decoding: names for a log line, the annotation of a bookmark,
//! the column `Type` of a Table. No input makes it panic. Knows nothing of clients or sinks.

use std::borrow::Cow;

use super::encoding::Encoding;
use super::json::{self, Elements, Members};
use super::protobuf::wire::{Fields, Value, WireError};

/// The prefix of every protobuf message in the envelope `runtime.Unknown`.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding>
pub const MAGIC: &[u8; 4] = b"k8s\0";

/// The annotation of the bookmark that ends a streaming list.
/// <https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// Why a peek failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeekError {
    /// The protobuf message is malformed.
    #[error("malformed protobuf: {0}")]
    Wire(#[from] WireError),
    /// The JSON text is malformed.
    #[error(transparent)]
    Json(#[from] json::Malformed),
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// The envelope is missing.
    #[error("a protobuf message has no envelope")]
    Envelope,
}

/// The fields that are read from every object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peek<'a> {
    /// `metadata.uid`.
    pub uid: Cow<'a, str>,
    /// `metadata.resourceVersion`.
    pub version: Cow<'a, str>,
    /// `kind`, if the encoding has it inside the object (JSON) and the caller requested it.
    pub kind: Option<Cow<'a, str>>,
}

/// Peeks at the object at the start of `bytes`. The text after a JSON object is not read. `kind` requests the kind as well.
/// Without it the peek ends after the metadata, wherever the kind is.
///
/// # Errors
/// The bytes that were read are malformed.
pub fn peek(encoding: Encoding, bytes: &[u8], kind: bool) -> Result<Peek<'_>, PeekError> {
    match encoding {
        Encoding::Protobuf => peek_protobuf(bytes),
        Encoding::Json => peek_json(bytes, kind),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, PeekError> {
    std::str::from_utf8(bytes).map_err(|_| PeekError::Utf8)
}

/// The bytes of the first field `number`; empty if there is none.
fn message(bytes: &[u8], number: u32) -> Result<&[u8], WireError> {
    for field in Fields::new(bytes) {
        if let (found, Value::Bytes(value)) = field?
            && found == number
        {
            return Ok(value);
        }
    }
    Ok(&[])
}

/// The text of the first field `number`; empty if there is none.
fn text(bytes: &[u8], number: u32) -> Result<&str, PeekError> {
    utf8(message(bytes, number)?)
}

fn peek_protobuf(bytes: &[u8]) -> Result<Peek<'_>, PeekError> {
    // ObjectMeta is field 1 of every kind; in it uid is 5 and resourceVersion 6 (k8s.io/apimachinery, generated.proto).
    let (mut uid, mut version) = (None, None);
    for field in Fields::new(message(bytes, 1)?) {
        match field? {
            (5, Value::Bytes(value)) => uid = Some(utf8(value)?),
            (6, Value::Bytes(value)) => version = Some(utf8(value)?),
            _ => continue,
        }
        if uid.is_some() && version.is_some() {
            break;
        }
    }
    Ok(Peek { uid: uid.unwrap_or_default().into(), version: version.unwrap_or_default().into(), kind: None })
}

fn peek_json(bytes: &[u8], want_kind: bool) -> Result<Peek<'_>, PeekError> {
    let mut found = Peek::default();
    let mut metadata = false;
    let mut members = Members::of(bytes)?;
    while let Some(key) = members.next_key()? {
        match &*key {
            "kind" => found.kind = Some(members.text()?),
            "metadata" => {
                (found.uid, found.version) = peek_metadata(members.ahead())?;
                metadata = true;
            }
            _ => continue,
        }
        if metadata && (found.kind.is_some() || !want_kind) {
            break;
        }
    }
    Ok(found)
}

fn peek_metadata(bytes: &[u8]) -> Result<(Cow<'_, str>, Cow<'_, str>), PeekError> {
    let (mut uid, mut version) = (None, None);
    if json::trim(bytes).starts_with(b"{") {
        let mut members = Members::of(bytes)?;
        while let Some(key) = members.next_key()? {
            match &*key {
                "uid" => uid = Some(members.text()?),
                "resourceVersion" => version = Some(members.text()?),
                _ => continue,
            }
            if uid.is_some() && version.is_some() {
                break;
            }
        }
    }
    Ok((uid.unwrap_or_default(), version.unwrap_or_default()))
}

/// The members of a JSON object's metadata.
fn json_metadata(bytes: &[u8]) -> Option<Members<'_>> {
    let mut members = Members::of(bytes).ok()?;
    while let Ok(Some(key)) = members.next_key() {
        if key == "metadata" {
            return Members::of(members.ahead()).ok();
        }
    }
    None
}

/// Returns namespace and name of an object for a log line. Each is empty if it cannot be read.
pub fn names(encoding: Encoding, bytes: &[u8]) -> (String, String) {
    let mut names = (String::new(), String::new());
    match encoding {
        Encoding::Protobuf => {
            let metadata = message(bytes, 1).unwrap_or_default();
            names.0 = text(metadata, 3).unwrap_or_default().to_owned();
            names.1 = text(metadata, 1).unwrap_or_default().to_owned();
        }
        Encoding::Json => {
            if let Some(mut members) = json_metadata(bytes) {
                while let Ok(Some(key)) = members.next_key() {
                    match &*key {
                        "namespace" => names.0 = members.text().unwrap_or_default().into_owned(),
                        "name" => names.1 = members.text().unwrap_or_default().into_owned(),
                        _ => {}
                    }
                }
            }
        }
    }
    names
}

/// Whether this bookmark ends the initial events.
pub fn ends_initial_events(encoding: Encoding, bytes: &[u8]) -> bool {
    match encoding {
        Encoding::Protobuf => {
            Fields::new(message(bytes, 1).unwrap_or_default()).any(|field| match field {
                // ObjectMeta.annotations, a map: entries of key 1 and value 2.
                Ok((12, Value::Bytes(entry))) => {
                    text(entry, 1) == Ok(INITIAL_EVENTS_END) && text(entry, 2) == Ok("true")
                }
                _ => false,
            })
        }
        Encoding::Json => {
            let Some(mut metadata) = json_metadata(bytes) else { return false };
            while let Ok(Some(key)) = metadata.next_key() {
                if key != "annotations" {
                    continue;
                }
                let Ok(mut annotations) = Members::of(metadata.ahead()) else { return false };
                while let Ok(Some(key)) = annotations.next_key() {
                    if key == INITIAL_EVENTS_END {
                        return annotations.text().is_ok_and(|value| value == "true");
                    }
                }
            }
            false
        }
    }
}

/// Returns the kind and the message from an envelope: `k8s\0` and `runtime.Unknown{typeMeta=1, raw=2}`.
///
/// # Errors
/// The bytes are not such an envelope.
pub fn open_envelope(bytes: &[u8]) -> Result<(&str, &[u8]), PeekError> {
    let unknown = bytes.strip_prefix(MAGIC).ok_or(PeekError::Envelope)?;
    let (mut kind, mut raw) = ("", None);
    for field in Fields::new(unknown) {
        match field? {
            // TypeMeta{apiVersion=1, kind=2}
            (1, Value::Bytes(meta)) => kind = text(meta, 2)?,
            (2, Value::Bytes(value)) => raw = Some(value),
            _ => {}
        }
    }
    raw.map(|raw| (kind, raw)).ok_or(PeekError::Envelope)
}

/// Reads a `Table`: columns, rows and cells.
pub mod table {
    use super::{Cow, Elements, Members, PeekError, json};

    /// Returns the index of the column `Type` from the text of `columnDefinitions`. `None` if that is `null`, as it is in
    /// all events of a watch except the first.
    pub fn type_column(definitions: &[u8]) -> Option<usize> {
        Elements::of(definitions).position(|definition| {
            let mut members = match definition.and_then(Members::of) {
                Ok(members) => members,
                Err(_) => return false,
            };
            while let Ok(Some(key)) = members.next_key() {
                if key == "name" {
                    return members.text().is_ok_and(|name| name == "Type");
                }
            }
            false
        })
    }

    /// The Table of a watch event.
    #[derive(Clone, Debug, Default)]
    pub struct Table<'a> {
        /// `kind`.
        pub kind: Cow<'a, str>,
        /// `columnDefinitions`, and the text after them.
        pub columns: &'a [u8],
        /// `rows`, and the text after them.
        pub rows: &'a [u8],
    }

    /// Reads the parts of the Table at the start of `bytes`.
    ///
    /// # Errors
    /// The text is malformed.
    pub fn read(bytes: &[u8]) -> Result<Table<'_>, PeekError> {
        let mut table = Table::default();
        let mut members = Members::of(bytes)?;
        while let Some(key) = members.next_key()? {
            match &*key {
                "kind" => table.kind = members.text()?,
                "columnDefinitions" => table.columns = members.ahead(),
                "rows" => table.rows = members.ahead(),
                _ => continue,
            }
            // If this is not a Table, the rest may be a whole object.
            if !table.rows.is_empty() || (!table.kind.is_empty() && table.kind != "Table") {
                break;
            }
        }
        Ok(table)
    }

    /// A row: its cells, and the text from its object on.
    #[derive(Clone, Copy, Debug)]
    pub struct Row<'a> {
        /// The array of cells.
        pub cells: &'a [u8],
        /// The object, and the text after it.
        pub object: &'a [u8],
    }

    /// Reads the parts of the row at the start of `bytes`.
    ///
    /// # Errors
    /// The text is malformed, or the row has no object.
    pub fn row(bytes: &[u8]) -> Result<Row<'_>, PeekError> {
        let (mut cells, mut object) = (None, None);
        let mut members = Members::of(bytes)?;
        while let Some(key) = members.next_key()? {
            match &*key {
                "cells" => cells = Some(members.ahead()),
                "object" => object = Some(members.ahead()),
                _ => continue,
            }
            if let (Some(cells), Some(object)) = (cells, object) {
                return Ok(Row { cells, object });
            }
        }
        object.map(|object| Row { cells: &[], object }).ok_or(json::Malformed.into())
    }

    impl<'a> Row<'a> {
        /// Returns the text in a column.
        pub fn cell(&self, column: usize) -> Option<Cow<'a, str>> {
            json::string(Elements::of(self.cells).nth(column)?.ok()?).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a failed test may panic")]

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::super::json::tests::any_json;
    use super::super::protobuf::wire;
    use super::*;
    use crate::intake::event::{Event, EventKind};

    const NAMESPACES: &[u8] = include_bytes!("../../tests/data/wire/namespaces.watch.bin");
    const PARTIAL: &[u8] = include_bytes!("../../tests/data/wire/configmaps.metadata-watch.bin");
    const SECRETS: &str = include_str!("../../tests/data/wire/secrets.table-watch.jsonl");
    const JSON_NAMESPACES: &str = include_str!("../../tests/data/wire/namespaces.watch.jsonl");

    /// The frames of a recorded watch.
    fn frames(mut bytes: &[u8]) -> Vec<&[u8]> {
        let mut frames = Vec::new();
        while let Some((length, rest)) = bytes.split_first_chunk() {
            let (frame, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
            frames.push(frame);
            bytes = rest;
        }
        frames
    }

    /// An object with decoys wherever a careless search for `uid` would find them.
    fn object() -> impl Strategy<Value = Json> {
        let text = prop_oneof!["[a-f0-9-]{1,36}", r#"["\\\\{}é/ ]{0,6}"#];
        (text.clone(), text, any_json(), any_json(), "[a-z\"\\\\]{0,3}", any::<[bool; 3]>()).prop_map(
            |(uid, version, one, two, key, has)| {
                let mut metadata = json!({
                    "annotations": {"uid": "decoy", key: "\"uid\":\"decoy\"", "resourceVersion": "0"},
                    "ownerReferences": [{"uid": "decoy", "kind": "Decoy"}],
                    "managedFields": one,
                });
                if has[0] {
                    metadata["uid"] = uid.into();
                }
                if has[1] {
                    metadata["resourceVersion"] = version.into();
                }
                let mut object = json!({"apiVersion": "v1", "aaa": two, "metadata": metadata, "spec": {"metadata": {"uid": "decoy"}}});
                if has[2] {
                    object["kind"] = "Pod".into();
                }
                object
            },
        )
    }

    /// As text, with the members in the order of a rotated list: `serde_json` sorts them otherwise.
    fn text(value: &Json, seed: usize, out: &mut String) {
        match value {
            Json::Object(map) => {
                let mut members: Vec<_> = map.iter().collect();
                let places = members.len().max(1);
                members.rotate_left(seed % places);
                out.push('{');
                for (index, (key, value)) in members.into_iter().enumerate() {
                    out.push_str(if index == 0 { " " } else { " ,\n" });
                    out.push_str(&json!(key).to_string());
                    out.push_str(" : ");
                    text(value, seed, out);
                }
                out.push('}');
            }
            other => out.push_str(&other.to_string()),
        }
    }

    proptest! {
        #[test]
        fn a_peek_at_json_agrees_with_a_parser(object in object(), seed in 0_usize..7) {
            let mut bytes = String::new();
            text(&object, seed, &mut bytes);
            bytes.push_str(",\"uid\":\"behind\"}");
            let peek = peek(Encoding::Json, bytes.as_bytes(), true).unwrap();
            prop_assert_eq!(&*peek.uid, object["metadata"]["uid"].as_str().unwrap_or_default());
            prop_assert_eq!(&*peek.version, object["metadata"]["resourceVersion"].as_str().unwrap_or_default());
            prop_assert_eq!(peek.kind.as_deref(), object["kind"].as_str());
        }

        #[test]
        fn arbitrary_bytes_panic_nowhere(bytes in prop::collection::vec(any::<u8>(), 0..80), json in r#"[{}\[\]",:\\ a1]{0,60}"#) {
            for (encoding, bytes) in [(Encoding::Protobuf, &bytes[..]), (Encoding::Json, json.as_bytes())] {
                let _ = peek(encoding, bytes, true);
                let _ = names(encoding, bytes);
                let _ = ends_initial_events(encoding, bytes);
                let _ = Event::read(encoding, bytes);
            }
            let _ = open_envelope(&bytes);
            let _ = table::row(json.as_bytes());
            let _ = table::read(json.as_bytes());
            let _ = table::type_column(json.as_bytes());
        }
    }

    #[test]
    fn a_foreign_object_is_not_copied() {
        let peek =
            peek(Encoding::Json, br#"{"metadata":{"uid":"a","resourceVersion":"1"},"spec": not read"#, false).unwrap();
        assert!(matches!((&peek.uid, &peek.version), (Cow::Borrowed("a"), Cow::Borrowed("1"))));
    }

    #[test]
    fn a_real_protobuf_event_is_peeked_at() {
        let frames = frames(NAMESPACES);
        let event = Event::read(Encoding::Protobuf, frames[0]).unwrap();
        assert_eq!((event.kind, event.object_kind.as_deref()), (EventKind::Added, Some("Namespace")));
        let peek = peek(Encoding::Protobuf, event.object, true).unwrap();
        assert_eq!((&*peek.uid, &*peek.version), ("5a78f90f-9a53-4bf0-9cf3-00bdc1af5da9", "21"));
        assert_eq!(names(Encoding::Protobuf, event.object), (String::new(), "default".to_owned()));
        assert!(!ends_initial_events(Encoding::Protobuf, event.object));
        for (frame, kind) in
            [(frames[frames.len() - 1], "Namespace"), (self::frames(PARTIAL)[0], "PartialObjectMetadata")]
        {
            let event = Event::read(Encoding::Protobuf, frame).unwrap();
            assert_eq!((event.kind, event.object_kind.as_deref()), (EventKind::Bookmark, Some(kind)));
            assert_eq!(super::peek(Encoding::Protobuf, event.object, false).unwrap().version, "3286");
            assert!(ends_initial_events(Encoding::Protobuf, event.object));
        }
    }

    #[test]
    fn a_real_json_event_is_peeked_at() {
        let events: Vec<_> =
            JSON_NAMESPACES.lines().map(|line| Event::read(Encoding::Json, line.as_bytes()).unwrap()).collect();
        let peek = peek(Encoding::Json, events[0].object, true).unwrap();
        assert_eq!((&*peek.uid, peek.kind.as_deref()), ("5a78f90f-9a53-4bf0-9cf3-00bdc1af5da9", Some("Namespace")));
        assert_eq!(names(Encoding::Json, events[0].object).1, "default");
        assert_eq!(events[1].kind, EventKind::Bookmark);
        assert!(ends_initial_events(Encoding::Json, events[1].object));
    }

    #[test]
    fn a_real_table_tells_the_type_of_a_secret() {
        let tables: Vec<_> = SECRETS
            .lines()
            .map(|line| table::read(Event::read(Encoding::Json, line.as_bytes()).unwrap().object).unwrap())
            .collect();
        assert!(tables.iter().all(|t| t.kind == "Table"));
        assert_eq!(tables.iter().map(|t| table::type_column(t.columns)).collect::<Vec<_>>(), [Some(1), None, None]);
        let row = table::row(tables[1].rows.strip_prefix(b"[").unwrap()).unwrap();
        assert_eq!(row.cell(1).as_deref(), Some("Opaque"));
        assert_eq!((row.cell(2), row.cell(9)), (None, None));
        let peek = peek(Encoding::Json, row.object, true).unwrap();
        assert_eq!((&*peek.version, peek.kind.as_deref()), ("230", Some("PartialObjectMetadata")));
        let last = table::row(tables[2].rows.strip_prefix(b"[").unwrap()).unwrap();
        assert!(ends_initial_events(Encoding::Json, last.object));
    }

    #[test]
    fn an_envelope_is_opened_or_refused() {
        assert_eq!(open_envelope(b"{}"), Err(PeekError::Envelope));
        assert_eq!(open_envelope(b"k8s\0"), Err(PeekError::Envelope));
        assert_eq!(open_envelope(b"k8s\0\x12\x02ab"), Ok(("", &b"ab"[..])));
        assert_eq!(open_envelope(b"k8s\0\x12\x09ab"), Err(PeekError::Wire(wire::WireError::Truncated)));
    }
}
