//! Answers of an API server, whatever they are: frames, the peek, both decoders, and the series of what decodes.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| kube_state_fleet::intake::fuzz::read(bytes));
