#![no_main]

libfuzzer_sys::fuzz_target!(|body: &[u8]| tokenlab_webhook_fuzz::decode(body));
