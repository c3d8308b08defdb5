#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| msip_broker::mip::fuzzing::mip_session(data));
