//! Protobuf of Kubernetes objects, read as the k8s-openapi types that JSON is read as.

pub mod wire;
