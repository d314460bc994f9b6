//! `API server -> intake -> collectors -> exposition -> server -> Prometheus`: kube-state-metrics as a fleet.
//!
//! Objects flow in one direction, from each module to the next one: [`intake`] lists and watches, [`collectors`] turn an object
//! into series, [`exposition`] stores the series and writes them as text, and [`server`] answers scrapes. [`sharding`] decides
//! which shard owns an object, [`fleet`] agrees on the shards with the other replicas, and [`access`] checks permissions of
//! clients. [`health`] and [`telemetry`] report on the replica itself. [`replica`] wires one exporter together, and [`commands`]
//! start it. `tests/it/rooms.rs` checks the import rules in the module heads.

#![cfg_attr(not(feature = "program"), allow(dead_code, reason = "a simulation reads no dumps"))]

pub mod access;
pub mod allocator;
mod backoff;
pub mod collectors;
#[cfg(feature = "program")]
pub mod commands;
pub mod exposition;
mod file;
pub mod fleet;
#[cfg(feature = "program")]
#[doc(hidden)]
pub mod fuzz;
mod go;
pub mod health;
pub mod intake;
pub mod replica;
mod resource_version;
pub mod server;
pub mod settings;
pub mod sharding;
mod shown;
#[cfg(feature = "simulator")]
pub mod simulator;
mod sync;
pub mod telemetry;
mod token_bucket;
