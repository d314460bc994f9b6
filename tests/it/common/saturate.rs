//! Objects in which every field of the k8s-openapi type is set.
//!
//! [`Saturate`] is a deserializer that answers every request of a type with a value: numbers are 1, booleans true, lists
//! and maps have one element. [`TEXT`] is every text, because it is also a quantity, a number and base64.

use k8s_openapi::Resource;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor, value};
use serde_json::Value as Json;

use super::k8s_types::*;

/// Every text except times.
const TEXT: &str = "1234";
const TIME: &str = "2026-01-02T03:04:05Z";
/// Deeper fields stay unset, in case a type contains itself.
const DEPTH: usize = 40;

macro_rules! kinds {
    ($($kind:ty),* $(,)?) => {
        /// An object of a resource with every field set, as JSON.
        pub fn saturated_of(plural: &str) -> Json {
            match plural {
                $(<$kind as Resource>::URL_PATH_SEGMENT => saturated::<$kind>(),)*
                _ => panic!("add the type of {plural} to this list"),
            }
        }
    };
}

with_k8s_types!(kinds);

/// An object of type `T` with every field set, as JSON.
fn saturated<T: Resource + serde::de::DeserializeOwned + serde::Serialize>() -> Json {
    let object = T::deserialize(Saturate { text: TEXT, depth: 0 }).expect("the type accepts a value for each field");
    serde_json::to_value(object).expect("an object serializes")
}

/// `object` with the fields of `full` that it lacks, in every element of a list and every value of a map.
pub fn fill(object: &mut Json, full: &Json) {
    match (object, full) {
        (Json::Object(fields), Json::Object(full)) => {
            for (name, value) in full {
                match fields.get_mut(name) {
                    Some(present) if !present.is_null() => fill(present, value),
                    _ => drop(fields.insert(name.clone(), value.clone())),
                }
            }
        }
        (Json::Array(elements), Json::Array(full)) => {
            for element in elements {
                full.first().into_iter().for_each(|full| fill(element, full));
            }
        }
        _ => {}
    }
}

#[derive(Clone, Copy)]
struct Saturate {
    text: &'static str,
    depth: usize,
}

impl Saturate {
    const fn deeper(self) -> Self {
        Self { depth: self.depth + 1, ..self }
    }
}

/// Methods that hand a fixed value to the visitor.
macro_rules! answers {
    ($($method:ident => $visit:ident($($value:expr)?)),* $(,)?) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            visitor.$visit($($value)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Saturate {
    type Error = value::Error;

    answers! {
        deserialize_bool => visit_bool(true),
        deserialize_i8 => visit_i8(1),
        deserialize_i16 => visit_i16(1),
        deserialize_i32 => visit_i32(1),
        deserialize_i64 => visit_i64(1),
        deserialize_u8 => visit_u8(1),
        deserialize_u16 => visit_u16(1),
        deserialize_u32 => visit_u32(1),
        deserialize_u64 => visit_u64(1),
        deserialize_f32 => visit_f32(1.0),
        deserialize_f64 => visit_f64(1.0),
        deserialize_char => visit_char('1'),
        deserialize_bytes => visit_bytes(b"1"),
        deserialize_byte_buf => visit_bytes(b"1"),
        deserialize_unit => visit_unit(),
        deserialize_ignored_any => visit_unit(),
    }

    // An IntOrString, or JSON of any shape.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_i64(1)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(self.text)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(self.text)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_str(self.text)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        if self.depth < DEPTH { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_seq(One(Some(self.deeper())))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Self::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(Fields { names: &["key"], inner: self.deeper() })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_map(Fields { names, inner: self.deeper() })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        let text = if matches!(name, "Time" | "MicroTime") { TIME } else { self.text };
        visitor.visit_newtype_struct(Self { text, ..self })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_unit()
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        panic!("no type of k8s-openapi asks for an enum, but {name} does")
    }
}

/// A list of one element.
struct One(Option<Saturate>);

impl<'de> SeqAccess<'de> for One {
    type Error = value::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Self::Error> {
        self.0.take().map(|inner| seed.deserialize(inner)).transpose()
    }
}

/// The fields of a struct, or the one entry of a map.
struct Fields {
    names: &'static [&'static str],
    inner: Saturate,
}

impl<'de> MapAccess<'de> for Fields {
    type Error = value::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Self::Error> {
        // An object within an object checks its apiVersion and kind, which it does not keep.
        let is_object = self.names.contains(&"metadata");
        while let [name, rest @ ..] = self.names {
            self.names = rest;
            if !(is_object && matches!(*name, "apiVersion" | "kind")) {
                return seed.deserialize(value::StrDeserializer::new(name)).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Self::Error> {
        seed.deserialize(self.inner)
    }
}
