//! The events of a watch.

use std::borrow::Cow;

use super::discard::{PeekError, open_envelope};
use super::encoding::Encoding;
use super::json::Members;
use super::protobuf::wire::{Fields, Value};

/// The type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The object was added. A reader that keeps only the latest state treats it like `Modified`.
    Added,
    /// The object was changed.
    Modified,
    /// The object was deleted; its resourceVersion is that of the deletion.
    Deleted,
    /// The watch reached this resourceVersion.
    Bookmark,
    /// The watch failed; the object is a `Status`.
    Error,
    /// A type that this version does not know.
    Unknown,
}

impl EventKind {
    fn of(text: &[u8]) -> Self {
        match text {
            b"ADDED" => Self::Added,
            b"MODIFIED" => Self::Modified,
            b"DELETED" => Self::Deleted,
            b"BOOKMARK" => Self::Bookmark,
            b"ERROR" => Self::Error,
            _ => Self::Unknown,
        }
    }
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// The type.
    pub kind: EventKind,
    /// The object: the protobuf message, or the JSON text from the object on.
    pub object: &'a [u8],
    /// The object's kind, if the encoding has it outside the object (protobuf).
    pub object_kind: Option<Cow<'a, str>>,
    /// The text of the type.
    pub type_text: Cow<'a, str>,
}

impl<'a> Event<'a> {
    /// Reads the event in a frame.
    ///
    /// # Errors
    /// The frame is not an event.
    pub fn read(encoding: Encoding, frame: &'a [u8]) -> Result<Self, PeekError> {
        match encoding {
            Encoding::Protobuf => Self::read_protobuf(frame),
            Encoding::Json => Self::read_json(frame),
        }
    }

    /// WatchEvent{type=1, object=2 RawExtension{raw=1}}
    fn read_protobuf(frame: &'a [u8]) -> Result<Self, PeekError> {
        let (mut type_text, mut raw) = (Cow::Borrowed(""), None);
        for field in Fields::new(frame) {
            match field? {
                (1, Value::Bytes(text)) => type_text = String::from_utf8_lossy(text),
                (2, Value::Bytes(extension)) => {
                    for field in Fields::new(extension) {
                        if let (1, Value::Bytes(bytes)) = field? {
                            raw = Some(bytes);
                        }
                    }
                }
                _ => {}
            }
        }
        let (object_kind, object) = open_envelope(raw.unwrap_or_default())?;
        let kind = EventKind::of(type_text.as_bytes());
        Ok(Self { kind, object, object_kind: Some(object_kind.into()), type_text })
    }

    fn read_json(frame: &'a [u8]) -> Result<Self, PeekError> {
        let (mut type_text, mut object) = (None, None);
        let mut members = Members::of(frame)?;
        while let Some(key) = members.next_key()? {
            match &*key {
                "type" => type_text = Some(members.text()?),
                "object" => object = Some(members.ahead()),
                _ => continue,
            }
            if type_text.is_some() && object.is_some() {
                break;
            }
        }
        let object = object.ok_or(PeekError::Envelope)?;
        let type_text = type_text.unwrap_or_default();
        Ok(Self { kind: EventKind::of(type_text.as_bytes()), object, object_kind: None, type_text })
    }
}
