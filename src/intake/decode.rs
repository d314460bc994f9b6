//! From an object's bytes to its k8s-openapi type.

use serde::de::DeserializeOwned;

use crate::collectors::Form;

/// How an object's bytes are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The bare protobuf message, without the `k8s\0` envelope.
    Protobuf,
    /// A JSON object.
    Json,
}

/// One own object, still encoded.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// `metadata.uid`.
    pub uid: &'a str,
    /// Its hash.
    pub hash: u64,
    /// `metadata.resourceVersion` as a number, 0 if it is none.
    pub version: u64,
    /// How `bytes` are encoded.
    pub encoding: Encoding,
    /// In which form the object came.
    pub form: Form,
    /// For [`Form::Table`]: the value of the column `Type`.
    pub table_type: Option<&'a str>,
    /// The object; for [`Form::Table`] its `PartialObjectMetadata`.
    pub bytes: &'a [u8],
}

/// Why an object did not decode.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The protobuf message is malformed.
    #[error("malformed protobuf: {0}")]
    Protobuf(String),
    /// The JSON text is malformed or of another shape.
    #[error("malformed JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Item<'_> {
    /// The object.
    ///
    /// # Errors
    /// The bytes are not an object of type `T` in the item's encoding.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        match self.encoding {
            Encoding::Protobuf => Err(DecodeError::Protobuf("not yet".to_owned())),
            Encoding::Json => Ok(serde_json::from_slice(self.bytes)?),
        }
    }
}
