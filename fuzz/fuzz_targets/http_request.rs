#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| msip_gateway::fuzzing::http_request(data));
