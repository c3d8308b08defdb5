//! The program `msip-gateway`: see docs/http.md.

fn main() {}
