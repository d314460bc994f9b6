//! `null` as Go reads it: where a number, a text, a list or a struct is wanted, it leaves that at its zero value.
//!
//! API servers do send such nulls: a list that was never set, a time that is zero. The k8s-openapi types take null for
//! their optional fields alone, and would refuse the object.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer, UnitDeserializer};
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Visitor};

/// The zero of Go's `time.Time`, which has no zero as a text.
const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

/// A deserializer (or a visitor, or a seed of one), in which null is zero.
#[derive(Clone, Copy, Debug)]
pub struct NullsAsZero<T> {
    inner: T,
    /// What a text is that is null.
    text: &'static str,
}

impl<T> NullsAsZero<T> {
    /// Wraps the deserializer of an object.
    pub fn new(inner: T) -> Self {
        Self { inner, text: "" }
    }
}

/// Methods that a null may meet: what each hands over instead.
macro_rules! zero {
    ($($method:ident($($arg:ident: $kind:ty),*) => $zero:ident;)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $kind,)* visitor: V) -> Result<V::Value, D::Error> {
            struct Wanted<V> {
                visitor: V,
                text: &'static str,
                $($arg: $kind,)*
            }

            impl<'de, V: Visitor<'de>> Visitor<'de> for Wanted<V> {
                type Value = V::Value;

                fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                    self.visitor.expecting(formatter)
                }

                fn visit_none<E: Error>(self) -> Result<V::Value, E> {
                    Zero::$zero(self.visitor, self.text)
                }

                fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
                    Zero::$zero(self.visitor, self.text)
                }

                fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
                    inner.$method($(self.$arg,)* NullsAsZero { inner: self.visitor, text: "" })
                }
            }

            self.inner.deserialize_option(Wanted { visitor, text: self.text, $($arg,)* })
        }
    )*};
}

struct Zero;

impl Zero {
    fn bool<'de, V: Visitor<'de>, E: Error>(visitor: V, _: &str) -> Result<V::Value, E> {
        visitor.visit_bool(false)
    }

    fn number<'de, V: Visitor<'de>, E: Error>(visitor: V, _: &str) -> Result<V::Value, E> {
        visitor.visit_u64(0)
    }

    fn text<'de, V: Visitor<'de>, E: Error>(visitor: V, text: &str) -> Result<V::Value, E> {
        visitor.visit_str(text)
    }

    fn list<'de, V: Visitor<'de>, E: Error>(visitor: V, _: &str) -> Result<V::Value, E> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<UnitDeserializer<E>>()))
    }

    fn map<'de, V: Visitor<'de>, E: Error>(visitor: V, _: &str) -> Result<V::Value, E> {
        type Nothing<E> = std::iter::Empty<(UnitDeserializer<E>, UnitDeserializer<E>)>;
        visitor.visit_map(MapDeserializer::new(Nothing::<E>::default()))
    }
}

/// Methods that see null as it is.
macro_rules! as_it_is {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(NullsAsZero { inner: visitor, text: self.text })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for NullsAsZero<D> {
    type Error = D::Error;

    zero! {
        deserialize_bool() => bool;
        deserialize_i8() => number;
        deserialize_i16() => number;
        deserialize_i32() => number;
        deserialize_i64() => number;
        deserialize_i128() => number;
        deserialize_u8() => number;
        deserialize_u16() => number;
        deserialize_u32() => number;
        deserialize_u64() => number;
        deserialize_u128() => number;
        deserialize_f32() => number;
        deserialize_f64() => number;
        deserialize_char() => text;
        deserialize_str() => text;
        deserialize_string() => text;
        deserialize_bytes() => text;
        deserialize_byte_buf() => text;
        deserialize_seq() => list;
        deserialize_tuple(length: usize) => list;
        deserialize_tuple_struct(name: &'static str, length: usize) => list;
        deserialize_map() => map;
        deserialize_struct(name: &'static str, fields: &'static [&'static str]) => map;
    }

    as_it_is! { deserialize_any deserialize_option deserialize_unit deserialize_ignored_any deserialize_identifier }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_unit_struct(name, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        let text = if matches!(name, "Time" | "MicroTime") { ZERO_TIME } else { "" };
        self.inner.deserialize_newtype_struct(name, NullsAsZero { inner: visitor, text })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.inner.deserialize_enum(name, variants, visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Methods that take what is no container, and no null within.
macro_rules! pass {
    ($($method:ident($kind:ty))*) => {$(
        fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for NullsAsZero<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(formatter)
    }

    pass! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_f32(f32) visit_f64(f64)
        visit_char(char) visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(NullsAsZero { inner, text: self.text })
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(NullsAsZero { inner, text: self.text })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_seq(NullsAsZero::new(inner))
    }

    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(NullsAsZero::new(inner))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(data)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for NullsAsZero<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(NullsAsZero::new(inner))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for NullsAsZero<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(NullsAsZero::new(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for NullsAsZero<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(NullsAsZero::new(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
    use k8s_openapi::api::core::v1::Pod;
    use k8s_openapi::api::policy::v1::PodDisruptionBudget;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;
    use serde_json::json;

    use super::*;

    fn read<T: DeserializeOwned>(object: serde_json::Value) -> T {
        let text = object.to_string();
        let from_text = T::deserialize(NullsAsZero::new(&mut serde_json::Deserializer::from_str(&text)));
        from_text.expect("the object is read")
    }

    #[test]
    fn null_is_an_empty_list_a_zero_time_and_a_zero_number() {
        let request: CertificateSigningRequest =
            read(json!({"spec": {"extra": {"a": null, "b": ["c"]}, "request": null}}));
        let extra = request.spec.extra.expect("there is extra");
        assert_eq!((extra["a"].len(), extra["b"].len()), (0, 1));
        let budget: PodDisruptionBudget = read(json!({
            "metadata": {"name": null, "generation": null, "creationTimestamp": null},
            "status": {
                "conditions": [{"type": null, "lastTransitionTime": null}],
                "disruptedPods": {"a": null},
                "expectedPods": 3,
            },
        }));
        assert_eq!(budget.metadata.creation_timestamp, None);
        let status = budget.status.expect("there is a status");
        assert_eq!(status.expected_pods, Some(3));
        assert_eq!(status.disrupted_pods.expect("there are pods")["a"].0.to_string(), ZERO_TIME);
        assert_eq!(status.conditions.expect("there are conditions")[0].last_transition_time.0.to_string(), ZERO_TIME);
    }

    #[test]
    fn null_may_stand_for_a_struct_in_a_list() {
        let pod: Pod = read(json!({"spec": {"containers": [null, {"name": "a", "ports": [{"containerPort": null}]}]}}));
        let containers = pod.spec.expect("there is a spec").containers;
        assert_eq!((containers.len(), containers[0].name.as_str()), (2, ""));
        assert_eq!(containers[1].ports.as_ref().expect("there are ports")[0].container_port, 0);
    }

    #[test]
    fn what_is_not_null_is_read_as_ever() {
        let object = json!({
            "metadata": {"name": "a", "labels": {"b": "c"}},
            "spec": {"containers": [{"name": "d", "resources": {"limits": {"cpu": "1"}},
                "livenessProbe": {"httpGet": {"port": "web"}}, "readinessProbe": {"httpGet": {"port": 80}}}]},
        });
        let plain: Pod = serde_json::from_value(object.clone()).expect("the object is read");
        assert_eq!(read::<Pod>(object.clone()), plain);
        assert_eq!(Pod::deserialize(NullsAsZero::new(&object)).expect("the object is read"), plain);
        assert!(Pod::deserialize(NullsAsZero::new(&json!({"metadata": {"name": 1}}))).is_err());
    }
}
