#![no_main]

#[path = "../src/front_end.rs"]
mod front_end;

libfuzzer_sys::fuzz_target!(|data: &[u8]| front_end::compile(data));
