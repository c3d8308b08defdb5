//! Generated code meets the runtime of another generation, as each generated file asserts.

const _: () = ::msip_runtime::require_generation(4_000_000_000);

fn main() {}
