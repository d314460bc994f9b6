//! The values that a decoder hands to an object, and how each type of field takes them.

use std::borrow::Cow;

use jiff::Timestamp;

use super::scalars::{ByteString, IntOrString, Map, Quantity, Time};

/// A decoded value.
pub enum Value<'a, 'v> {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text, or a quantity, which is valid.
    Text(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// A time.
    Time(Timestamp),
    /// A message.
    Message(&'v mut dyn Message<'a>),
    /// All entries of a map.
    Map(&'v mut dyn Entries<'a>),
}

/// A message: an object, or a part of one.
pub trait View<'a> {
    /// Sets a field to a value, or adds an element to a list. `slot` is the place of the field in `types.rs`. Ignores a value that
    /// does not fit the field.
    fn set(&mut self, slot: u8, value: Value<'a, '_>);
}

/// An encoded message.
pub trait Message<'a> {
    /// Hands the fields to `view`. Called once.
    fn fill(&mut self, view: &mut dyn View<'a>);
}

/// The encoded entries of a map.
pub trait Entries<'a> {
    /// Hands the entries to `take`. Called once.
    fn each(&mut self, take: &mut dyn FnMut(Cow<'a, str>, Value<'a, '_>));
}

/// The type of a field.
pub trait Put<'a> {
    /// Makes `value` the value of the field, or adds it to a list. Ignores a value of another type: decoders check types.
    fn put(&mut self, value: Value<'a, '_>);
}

impl<'a, T: View<'a> + Default> Put<'a> for T {
    fn put(&mut self, value: Value<'a, '_>) {
        if let Value::Message(message) = value {
            *self = T::default();
            message.fill(self);
        }
    }
}

impl<'a, T: Put<'a> + Default> Put<'a> for Option<T> {
    fn put(&mut self, value: Value<'a, '_>) {
        self.get_or_insert_with(T::default).put(value);
    }
}

impl<'a, T: Put<'a> + Default> Put<'a> for Vec<T> {
    fn put(&mut self, value: Value<'a, '_>) {
        self.push(T::default());
        if let Some(last) = self.last_mut() {
            last.put(value);
        }
    }
}

impl<'a, T: Put<'a> + Default> Put<'a> for Map<'a, T> {
    fn put(&mut self, value: Value<'a, '_>) {
        if let Value::Map(entries) = value {
            let mut found = Vec::new();
            entries.each(&mut |key, value| {
                let mut entry = T::default();
                entry.put(value);
                found.push((key, entry));
            });
            *self = found.into_iter().collect();
        }
    }
}

/// Implements [`Put`] for types that are one value.
macro_rules! scalars {
    ($($kind:ty, $value:pat => $own:expr;)*) => {$(
        impl<'a> Put<'a> for $kind {
            fn put(&mut self, value: Value<'a, '_>) {
                if let $value = value {
                    *self = $own;
                }
            }
        }
    )*};
}

scalars! {
    bool, Value::Bool(value) => value;
    i32, Value::Int(value) => value as Self;
    i64, Value::Int(value) => value;
    Cow<'a, str>, Value::Text(value) => value;
    Quantity<'a>, Value::Text(value) => Self(value);
    ByteString<'a>, Value::Bytes(value) => Self(value);
    Time, Value::Time(value) => Self(value);
}

impl<'a> Put<'a> for IntOrString<'a> {
    fn put(&mut self, value: Value<'a, '_>) {
        match value {
            Value::Int(value) => *self = Self::Int(value as i32),
            Value::Text(value) => *self = Self::String(value),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Entries of numbers.
    struct Pairs(Vec<(String, i64)>);

    impl<'a> Entries<'a> for Pairs {
        fn each(&mut self, take: &mut dyn FnMut(Cow<'a, str>, Value<'a, '_>)) {
            self.0.iter().for_each(|(key, value)| take(Cow::Owned(key.clone()), Value::Int(*value)));
        }
    }

    proptest! {
        #[test]
        fn a_map_holds_what_a_btree_map_holds(pairs in prop::collection::vec(("[a-e]{0,2}", any::<i64>()), 0..20)) {
            let expected: std::collections::BTreeMap<_, _> = pairs.iter().cloned().collect();
            let mut map = Map::<i64>::default();
            map.put(Value::Map(&mut Pairs(pairs)));
            prop_assert_eq!(map.iter().collect::<Vec<_>>(), expected.iter().map(|(key, value)| (key.as_str(), value)).collect::<Vec<_>>());
            prop_assert_eq!((map.len(), map.is_empty()), (expected.len(), expected.is_empty()));
            for key in ["", "a", "bc", "ee", "x"] {
                prop_assert_eq!(map.get(key), expected.get(key));
            }
        }
    }

    #[test]
    fn a_value_of_another_type_is_ignored() {
        let (mut number, mut text) = (Some(1_i32), Cow::Borrowed("a"));
        number.put(Value::Int(-7));
        text.put(Value::Bool(true));
        assert_eq!((number, &*text), (Some(-7), "a"));
    }

    #[test]
    fn a_list_takes_one_element_after_the_other() {
        let (mut list, mut optional) = (vec![1_i64], None::<Vec<i64>>);
        for number in [2, 3] {
            list.put(Value::Int(number));
            optional.put(Value::Int(number));
        }
        assert_eq!((list, optional), (vec![1, 2, 3], Some(vec![2, 3])));
    }
}
