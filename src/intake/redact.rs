//! What of an object is shown to its type: a view on any deserializer, protobuf's or JSON's.
//!
//! What is left out is handed to `IgnoredAny`, so it is stepped over and never becomes a value of this process.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::collectors::Form;

/// The annotation in which kubectl keeps a copy of all that it applied, the data of a Secret too.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The part of the object at which a view stands.
#[derive(Clone, Copy)]
enum Part<'t> {
    /// The whole; in place of its own `type` the one that a table printed.
    Object(Form, Option<&'t str>),
    Metadata(Form),
    Annotations,
    /// Anything else, of which all is shown.
    Rest,
}

impl<'t> Part<'t> {
    /// What stands under `key`; nothing if it is not to be seen.
    fn under(self, key: &str) -> Option<Part<'t>> {
        match (self, key) {
            (Self::Object(form, _), "metadata") => Some(Self::Metadata(form)),
            (Self::Object(Form::Object, _) | Self::Object(Form::Table, None), "type") => Some(Self::Rest),
            (Self::Object(Form::Object, _), _) => Some(Self::Rest),
            (Self::Object(Form::Metadata | Form::Table, _), _) => None,
            (Self::Metadata(_), "managedFields") => None,
            (Self::Metadata(Form::Metadata | Form::Table), "annotations") => Some(Self::Annotations),
            (Self::Annotations, LAST_APPLIED) => None,
            (Self::Metadata(_) | Self::Annotations | Self::Rest, _) => Some(Self::Rest),
        }
    }

    /// The `type` to be shown after all that the object has itself.
    fn printed_type(self) -> Option<&'t str> {
        match self {
            Self::Object(Form::Table, printed) => printed,
            _ => None,
        }
    }
}

/// A view on (a part of) an object.
pub(super) struct View<'t, D> {
    inner: D,
    part: Part<'t>,
}

impl<'t, D> View<'t, D> {
    /// Of an object that comes in `form`, or that would: only what that form holds is shown.
    pub(super) fn new(inner: D, form: Form, table_type: Option<&'t str>) -> Self {
        Self { inner, part: Part::Object(form, table_type) }
    }
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for View<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_any(View { inner: visitor, part: self.part })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_option(View { inner: visitor, part: self.part })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(View { inner: visitor, part: self.part })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for View<'_, V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let printed_type = self.part.printed_type();
        self.inner.visit_map(Entries { inner: map, part: self.part, printed_type, next: Next::Nothing })
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(View { inner, part: self.part })
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for View<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        match self.part {
            Part::Rest => self.inner.deserialize(inner),
            part => self.inner.deserialize(View { inner, part }),
        }
    }
}

struct Entries<'t, A> {
    inner: A,
    part: Part<'t>,
    /// The `type` that is still to be shown.
    printed_type: Option<&'t str>,
    next: Next<'t>,
}

/// The value that belongs to the key that was shown last.
#[derive(Clone, Copy)]
enum Next<'t> {
    Nothing,
    Own(Part<'t>),
    PrintedType(&'t str),
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Entries<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.inner.next_key_seed(Key)? {
            if let Some(part) = self.part.under(&key) {
                self.next = Next::Own(part);
                return seed.deserialize(CowStrDeserializer::new(key)).map(Some);
            }
            self.inner.next_value::<IgnoredAny>()?;
        }
        let Some(printed) = self.printed_type.take() else { return Ok(None) };
        self.next = Next::PrintedType(printed);
        seed.deserialize(BorrowedStrDeserializer::new("type")).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Own(part) => self.inner.next_value_seed(View { inner: seed, part }),
            Next::PrintedType(printed) => seed.deserialize(Present(StrDeserializer::new(printed))),
            Next::Nothing => Err(A::Error::custom("a value was asked for before its key")),
        }
    }
}

/// A key, borrowed where the text lets it be.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }

    fn visit_string<E: Error>(self, key: String) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key))
    }
}

/// A value that an `Option` takes as some value; serde's own deserializers of values do not.
struct Present<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Present<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_some(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
