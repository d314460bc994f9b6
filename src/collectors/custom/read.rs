//! Reads an object as a [`Value`], and skips the fields that no path reaches.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::mask::{Mask, NodeIds};
use super::secret::Hidden;
use super::value::Value;

/// Reads the fields of an object that paths reach.
#[derive(Clone, Copy)]
pub(super) struct Read<'m> {
    pub mask: &'m Mask,
    /// The nodes of the mask for this value; `None` reads all of it.
    pub at: Option<&'m NodeIds>,
    pub hidden: Hidden,
}

impl Read<'_> {
    fn at<'s>(&'s self, at: &'s Option<NodeIds>) -> Read<'s> {
        Read { mask: self.mask, at: at.as_ref(), hidden: self.hidden.within() }
    }
}

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Value<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Read<'_> {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Value::Text(Cow::Owned(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        // All items have the same nodes.
        let nodes = match self.at {
            None => None,
            Some(at) => match self.mask.item(at) {
                Some(counts) => counts.into_narrow(),
                None => {
                    while items.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Value::List(Vec::new()));
                }
            },
        };
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or_default().min(64));
        while let Some(item) = items.next_element_seed(self.at(&nodes))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut map = Vec::new();
        while let Some(Key(key)) = fields.next_key()? {
            if self.hidden.hides(&key) {
                fields.next_value::<IgnoredAny>()?;
                continue;
            }
            let nodes = match self.at {
                None => None,
                Some(at) => match self.mask.field(at, &key) {
                    Some(counts) => counts.into_narrow(),
                    None => {
                        fields.next_value::<IgnoredAny>()?;
                        continue;
                    }
                },
            };
            let value = fields.next_value_seed(self.at(&nodes))?;
            map.push((key, value));
        }
        Ok(Value::map(map))
    }
}

/// A key, borrowed if it has no escapes; `Cow` itself never borrows.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
