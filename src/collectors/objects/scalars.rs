//! The types of values that have a form of their own in JSON, and of maps.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::{iter, slice};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::super::time;

/// A time. [`crate::collectors::time`] says how it holds times that jiff cannot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Time(pub Timestamp);

/// A time with microseconds.
pub type MicroTime = Time;

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        time::parse(&text).map(Self).ok_or_else(|| D::Error::custom("not a time"))
    }
}

/// A quantity as in JSON, for example `100m`. It is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Quantity<'a>(pub Cow<'a, str>);

/// Bytes, which JSON writes in base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteString<'a>(pub Cow<'a, [u8]>);

impl Serialize for ByteString<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for ByteString<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(D::Error::custom)
    }
}

/// A number or a text, for example a percentage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum IntOrString<'a> {
    /// A number.
    Int(i32),
    /// A text.
    String(Cow<'a, str>),
}

impl Default for IntOrString<'_> {
    fn default() -> Self {
        Self::Int(0)
    }
}

/// The entries of a map, ascending by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<'a, T>(Vec<(Cow<'a, str>, T)>);

impl<T> Default for Map<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'a, T> Map<'a, T> {
    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&T> {
        let place = self.0.binary_search_by(|(known, _)| (**known).cmp(key)).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// Returns the entries, ascending by key.
    pub fn iter(&self) -> MapIter<'_, 'a, T> {
        self.into_iter()
    }

    /// Returns the number of entries.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no entries.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a, T> FromIterator<(Cow<'a, str>, T)> for Map<'a, T> {
    /// The last of several entries with a key counts.
    fn from_iter<I: IntoIterator<Item = (Cow<'a, str>, T)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        // Encoders sort, so there is usually nothing to do.
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            // A stable sort of the reversed entries keeps the last one of a key first.
            entries.reverse();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.dedup_by(|(a, _), (b, _)| a == b);
        }
        Self(entries)
    }
}

/// The iterator over a [`Map`].
pub type MapIter<'m, 'a, T> =
    iter::Map<slice::Iter<'m, (Cow<'a, str>, T)>, fn(&'m (Cow<'a, str>, T)) -> (&'m str, &'m T)>;

impl<'m, 'a, T> IntoIterator for &'m Map<'a, T> {
    type Item = (&'m str, &'m T);
    type IntoIter = MapIter<'m, 'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter().map(|(key, value)| (&**key, value))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Map<'_, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<String, T>::deserialize(deserializer)?;
        Ok(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl<T: Serialize> Serialize for Map<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}
