//! `API server -> intake -> collectors -> exposition -> server -> Prometheus`: kube-state-metrics as a fleet.
//!
//! Objects flow in one direction, and each room hands over to its neighbour alone:
//! [`intake`] lists and watches, [`collectors`] turn an object into series, [`exposition`] keeps
//! the series and writes them as text, [`server`] answers scrapes. [`sharding`] says which objects
//! are ours, and [`access`] who may ask. [`replica`] wires the rooms of one exporter together; [`commands`] start it.
//! The import rules in the module heads are checked by `tests/it/rooms.rs`.

pub mod access;
pub mod allocator;
mod backoff;
pub mod collectors;
pub mod commands;
pub mod exposition;
pub mod fleet;
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
pub mod simulator;
mod sync;
pub mod telemetry;
