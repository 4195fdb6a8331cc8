//! Any bytes as blocks of fields.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brunt_engine::fuzzing::hpack(bytes));
