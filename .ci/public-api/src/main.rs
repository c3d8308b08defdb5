//! Prints the public API of a crate, an item a line: `public-api-list <rustdoc's JSON>`.

use std::{error::Error, io::Write as _};

/// Implementations of these are left out: no program can name them on a stable toolchain, or none relies on them.
const LEFT_OUT: [&str; 5] = [
    "core::marker::Freeze for ",
    "core::marker::StructuralPartialEq for ",
    "core::marker::UnsafeUnpin for ",
    "core::panic::unwind_safe::RefUnwindSafe for ",
    "core::panic::unwind_safe::UnwindSafe for ",
];

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args_os()
        .nth(1)
        .ok_or("usage: public-api-list <rustdoc's JSON>")?;
    let api = public_api::Builder::from_rustdoc_json(json)
        // What every type has says nothing about this crate; `Send` and derives are promises.
        .omit_blanket_impls(true)
        .build()?;
    let mut out = std::io::stdout().lock();
    for item in api.items().map(ToString::to_string) {
        let is_left_out = |of: &&str| item.starts_with("impl") && item.contains(of);
        if !LEFT_OUT.iter().any(|of| is_left_out(&of)) {
            writeln!(out, "{item}")?;
        }
    }
    Ok(())
}
