#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tokenlab_webhook_fuzz::request(input));
