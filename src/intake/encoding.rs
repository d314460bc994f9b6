//! The encodings in which the API server sends objects.

/// How an object's bytes are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// The bare protobuf message, without the `k8s\0` envelope.
    Protobuf,
    /// A JSON object.
    Json,
}
