//! The command `msip`, and the plugin `protoc-gen-msip`, as functions.
//!
//! - [`msip`] is the command: `msip gen` compiles `.proto` files to Rust, Python and TypeScript.
//! - [`protoc_gen_msip`] is the plugin, for `protoc` and `buf`, and [`respond`] what it does with a request.
//!
//! Both are [`msip_codegen::Builder`] with other ways in and out: the same output, and the same mistakes in the same words.
//! `docs/cli.md` of the repository describes them.

mod arguments;
mod generate;
mod language;
mod plugin;
mod side;

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Verb};
pub use plugin::{RequestError, respond};

/// The largest request that the plugin reads, in bytes.
const MAX_REQUEST_LEN: u64 = 64 * 1024 * 1024;

/// Runs the command with the arguments of the process. It ends the process where an argument is wrong.
///
/// Returns 0 where all is well, 1 where something is wrong with the schemas or the files, and 2 where an argument is.
pub fn msip() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    match arguments.verb {
        Verb::Gen(arguments) => generate::run(&arguments),
    }
}

/// Runs the plugin: reads a `CodeGeneratorRequest` from standard input, and writes a `CodeGeneratorResponse` to standard output.
///
/// Returns 0 where there is a response, which may say what is wrong with the schemas, and 1 where what was read is no request.
pub fn protoc_gen_msip() -> ExitCode {
    const NAME: &str = "protoc-gen-msip";
    match std::env::args_os().nth(1) {
        None => {}
        Some(argument) if argument == "--print-options" => {
            return end(NAME, print(msip_codegen::OPTIONS_PROTO.as_bytes()));
        }
        Some(_) => {
            let _ = writeln!(
                io::stderr(),
                "{NAME} {}: a plugin of protoc and buf, which read docs/cli.md for.\n\
                 Its only argument is --print-options, which prints msip/options.proto.",
                env!("CARGO_PKG_VERSION")
            );
            return ExitCode::from(2);
        }
    }
    let mut request = Vec::new();
    let read = io::stdin()
        .lock()
        .take(MAX_REQUEST_LEN + 1)
        .read_to_end(&mut request);
    let responded = read.map_err(|error| format!("cannot read the request: {error}"));
    let responded = responded.and_then(|len| match len as u64 > MAX_REQUEST_LEN {
        true => Err("the request is larger than 64 MiB".to_owned()),
        false => respond(&request).map_err(|error| error.to_string()),
    });
    end(NAME, responded.and_then(|response| print(&response)))
}

fn print(bytes: &[u8]) -> Result<(), String> {
    let mut output = io::stdout().lock();
    let written = output.write_all(bytes).and_then(|()| output.flush());
    written.map_err(|error| format!("cannot write: {error}"))
}

/// Says what is wrong, if anything is.
fn end(name: &str, ended: Result<(), String>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            // Where nobody reads it, the code is left.
            let _ = writeln!(io::stderr(), "{name}: {text}");
            ExitCode::FAILURE
        }
    }
}
