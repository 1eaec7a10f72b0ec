#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synctv_media::fuzzing::upgraded_state(data));
