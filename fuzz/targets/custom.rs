//! Configs of custom resources, and the objects that they select from.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_state_fleet::fuzz::custom(bytes));
