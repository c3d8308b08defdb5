#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| msip_session::fuzzing::two_sessions(data));
