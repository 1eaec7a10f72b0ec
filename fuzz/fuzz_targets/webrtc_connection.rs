#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| synctv_stream::fuzzing::webrtc_connection(data));
