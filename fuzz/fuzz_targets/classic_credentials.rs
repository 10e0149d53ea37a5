#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dropslip::fuzzing::hold("classic_credentials", bytes));
