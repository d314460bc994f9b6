//! Responses of an API server: frames, the peek at UIDs, both decoders, and the series of the decoded objects.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_state_fleet::fuzz::intake(bytes));
