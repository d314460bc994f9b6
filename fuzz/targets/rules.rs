//! Expressions in PromQL and files of rules, which `rules` rewrites.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_state_fleet::fuzz::rules(bytes));
