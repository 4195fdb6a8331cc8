//! Any bytes from a server over HTTP/2.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| brunt_engine::fuzzing::h2(bytes));
