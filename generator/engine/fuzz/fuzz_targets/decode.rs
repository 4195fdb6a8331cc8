//! Any bytes as a coded body.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brunt_engine::fuzzing::decode(bytes));
