//! Any bytes as the answer of a proxy.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brunt_engine::fuzzing::proxy(bytes));
