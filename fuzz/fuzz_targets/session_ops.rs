#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| msip_session::fuzzing::session_ops(data));
