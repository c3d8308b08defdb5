//! The arguments of the command.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};

use crate::language::{Language, Target};
use crate::side::Side;

const EXIT_CODES: &str = "\
Exit codes: 0 all is well; 1 a schema has mistakes, a file cannot be read or written, or --check found something out of date; \
2 an argument is wrong.";

const AFTER_GEN: &str = "\
Example: msip gen --python out/ --typescript web/src/gen --side client proto/chat.proto

All mistakes of all schemas are reported together, and then nothing is written in any language. A file that has the right contents is \
left alone.

Exit codes: 0 all is well; 1 a schema has mistakes, a file cannot be read or written, or --check found something out of date; \
2 an argument is wrong.";

/// Works with MSIP's schemas: .proto files that declare a protocol.
#[derive(Debug, Parser)]
#[command(name = "msip", version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Gen(GenArguments),
}

/// Compiles schemas to typed clients and servers.
#[derive(Debug, Args)]
#[command(
    after_help = AFTER_GEN,
    group = ArgGroup::new("output").args(["python", "rust", "typescript", "descriptor_set"]).multiple(true).required(true)
)]
pub(crate) struct GenArguments {
    /// The schemas: files, or folders of which all .proto files are compiled
    #[arg(value_name = "FILE", required = true)]
    pub(crate) schemas: Vec<PathBuf>,

    /// A folder in which files and imports are looked for; without any, the folders of the schemas
    #[arg(short = 'I', long, value_name = "FOLDER")]
    pub(crate) include: Vec<PathBuf>,

    /// Writes Python into this folder
    #[arg(long, value_name = "FOLDER")]
    python: Option<PathBuf>,

    /// An option of Python; several times for several
    #[arg(long, value_name = "NAME=VALUE", requires = "python", value_parser = named_value)]
    python_opt: Vec<(String, String)>,

    /// Writes Rust into this folder
    #[arg(long, value_name = "FOLDER")]
    rust: Option<PathBuf>,

    /// An option of Rust, such as bytes=.camera.FrameInd.picture; several times for several
    #[arg(long, value_name = "NAME=VALUE", requires = "rust", value_parser = named_value)]
    rust_opt: Vec<(String, String)>,

    /// Writes TypeScript into this folder
    #[arg(long, value_name = "FOLDER")]
    typescript: Option<PathBuf>,

    /// An option of TypeScript, such as import=./vendor/msip or without=topics; several times for several
    #[arg(long, value_name = "NAME=VALUE", requires = "typescript", value_parser = named_value)]
    typescript_opt: Vec<(String, String)>,

    /// Also writes all files and what they import as an encoded FileDescriptorSet
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptor_set: Option<PathBuf>,

    /// Which of the two peers uses the code
    #[arg(long, value_enum, default_value_t)]
    pub(crate) side: Side,

    /// Compiles the messages alone: the schemas need not be protocols
    #[arg(long)]
    pub(crate) messages_only: bool,

    /// Writes nothing, and lists what is out of date
    #[arg(long)]
    pub(crate) check: bool,

    /// Says of files that were left alone too
    #[arg(short, long)]
    pub(crate) verbose: bool,
}

impl GenArguments {
    /// The languages that are wanted.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let all = [
            (Language::Python, &self.python, &self.python_opt),
            (Language::Rust, &self.rust, &self.rust_opt),
            (Language::TypeScript, &self.typescript, &self.typescript_opt),
        ];
        let wanted = all.into_iter().filter_map(|(language, folder, options)| {
            Some(Target {
                language,
                folder: folder.clone()?,
                options: options.clone(),
            })
        });
        wanted.collect()
    }
}

fn named_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }
}
