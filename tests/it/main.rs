//! The integration tests, in one executable, because linking the crate once is much faster than once per file.
//!
//! `costs` is a separate test, because it counts with a global allocator.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a failed test may panic")]

mod all_kinds;
mod collectors;
mod commands;
mod common;
mod configurations;
mod conformance;
mod counters;
mod custom;
mod custom_format;
mod demo;
mod encodings;
mod estimate;
mod fields;
mod fleet;
mod floods;
mod fuzz;
mod generated;
mod intake;
mod label_sets;
mod labels;
mod migrate;
mod modules;
mod parts;
mod pods;
mod readme;
mod registry;
mod release;
mod reload;
mod replica;
mod rooms;
mod rules;
mod scenarios;
mod server;
mod simulator;
mod status;
mod tenants;
mod threats;
mod values;
mod verify;
