//! `msip gen`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use msip_codegen::{CompileError, Generated};

use crate::arguments::GenArguments;
use crate::language;

/// Compiles, says what was written, and returns the code that the command ends with.
pub(crate) fn run(arguments: &GenArguments) -> ExitCode {
    let builder = match language::builder(&arguments.targets(), arguments.side) {
        Ok(builder) => builder.includes(&arguments.include),
        Err(text) => {
            complain(&text);
            return ExitCode::from(2);
        }
    };
    let builder = match arguments.messages_only {
        true => builder.messages_only(),
        false => builder,
    };
    let builder = match &arguments.descriptor_set {
        Some(path) => builder.file_descriptor_set_path(path),
        None => builder,
    };
    let ended = builder.generate(&arguments.schemas).and_then(|generated| {
        if arguments.check {
            Ok(check(&generated, arguments.verbose))
        } else {
            write(&generated, arguments.verbose)
        }
    });
    ended.unwrap_or_else(|error| {
        // `Debug` is what cargo shows of a build script's error: with its cause.
        complain(&format!("{error:?}"));
        ExitCode::FAILURE
    })
}

fn write(generated: &Generated, verbose: bool) -> Result<ExitCode, CompileError> {
    let written = generated.write()?;
    let mut said = String::new();
    let mut unchanged = 0;
    for (path, _) in generated.files() {
        let is_written = written.contains(&path);
        if is_written {
            say(&mut said, "wrote", path);
        } else {
            unchanged += 1;
            if verbose {
                say(&mut said, "unchanged", path);
            }
        }
    }
    if verbose {
        // Writing into a String cannot fail.
        let _ = writeln!(said, "{} written, {unchanged} unchanged", written.len());
    }
    print(&said);
    Ok(ExitCode::SUCCESS)
}

fn check(generated: &Generated, verbose: bool) -> ExitCode {
    let outdated = generated.outdated();
    let mut said = String::new();
    for (path, _) in generated.files() {
        if outdated.contains(&path) {
            say(&mut said, "out of date", path);
        } else if verbose {
            say(&mut said, "current", path);
        }
    }
    print(&said);
    if outdated.is_empty() {
        return ExitCode::SUCCESS;
    }
    let (what, it) = match outdated.len() {
        1 => ("1 file is".to_owned(), "it"),
        count => (format!("{count} files are"), "them"),
    };
    complain(&format!(
        "{what} not what the schemas say: run the same command without --check to write {it} anew"
    ));
    ExitCode::FAILURE
}

fn say(said: &mut String, what: &str, path: &Path) {
    // Writing into a String cannot fail.
    let _ = writeln!(said, "{what} {}", path.display());
}

/// Where nobody reads it, it is lost, and the exit code is left.
fn print(text: &str) {
    let mut output = io::stdout().lock();
    let _ = output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush());
}

fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "msip: {text}");
}
