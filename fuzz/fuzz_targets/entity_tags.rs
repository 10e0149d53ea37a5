#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dropslip::fuzzing::hold("entity_tags", bytes));
