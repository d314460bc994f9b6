//! Objects as collectors read them: types with exactly the fields that `fields.txt` of the decoder lists, which borrow from the
//! encoded object.
//!
//! `types.rs` is generated. A field is optional if it is so in k8s.io/api: a pointer, or omitted by JSON when it is empty. A decoder
//! hands the values of fields to an object one by one ([`View::set`]), so that little code is compiled per type. Only tests use
//! serde, to compare objects with those of k8s-openapi, and to read more fields than a kind lists. This module knows no encoding.

mod macros;
mod scalars;
mod types;
mod value;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use scalars::{ByteString, IntOrString, Map, MapIter, MicroTime, Quantity, Time};
pub use types::*;
pub use value::{Entries, Message, Put, Value, View};

/// A whole object of a kind.
pub trait Object<'a>: View<'a> + Default + Serialize + DeserializeOwned {
    /// Returns the metadata.
    fn metadata(&self) -> &ObjectMeta<'a>;
}
