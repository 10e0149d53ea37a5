#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| dropslip::properties::hold("image_header", bytes));
