//! Prints the public API of a crate, an item a line: `public-api-list <rustdoc's JSON>`.

use std::{error::Error, io::Write as _};

fn main() -> Result<(), Box<dyn Error>> {
    let json = std::env::args_os()
        .nth(1)
        .ok_or("usage: public-api-list <rustdoc's JSON>")?;
    let api = public_api::Builder::from_rustdoc_json(json)
        // What every type has tells nothing about this crate; `Send` and derives are promises.
        .omit_blanket_impls(true)
        .build()?;
    let mut out = std::io::stdout().lock();
    for item in api.items() {
        writeln!(out, "{item}")?;
    }
    Ok(())
}
