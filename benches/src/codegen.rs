//! `codegen`: the time from a changed schema to a built crate, and the size of the generated code, compared with tonic.
//!
//! Each of the two is a package whose build script compiles one `.proto`. The dependencies are built first; then the schema
//! is changed and the package built again, which includes the build script and the compiler. Changing only `lib.rs` leaves
//! out the build script.

use std::{
    env,
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use crate::problem::Problem;

/// What to measure.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct CodegenJob {
    /// How many variants each direction has.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    variants: Vec<usize>,
    /// How often each is built; the fastest counts.
    #[arg(long, default_value_t = 3)]
    repeat: usize,
}

/// A package that is built again and again.
struct Package {
    name: &'static str,
    folder: PathBuf,
    schema: fn(usize) -> String,
}

/// Builds, and prints a table.
pub(crate) fn codegen(job: &CodegenJob) -> Result<(), Problem> {
    let own = env::current_exe().map_err(Problem::Process)?;
    // <target>/<profile>/<this program>
    let folder = own.ancestors().nth(2).unwrap_or(&own).join("codegen");
    let packages = [msip(&folder)?, tonic(&folder)?];
    let mut out = io::stdout();
    writeln!(
        out,
        "| variants | | code, KiB | lines | from schema to crate, s | of that the compiler |\n| ---: | --- | ---: | ---: | ---: | ---: |"
    )
    .map_err(Problem::Print)?;
    for &variants in &job.variants {
        for package in &packages {
            let schema = package.folder.join("proto/many.proto");
            write(&schema, &(package.schema)(variants))?;
            package.build(&folder)?;
            let (bytes, lines) = package.output(&folder)?;
            let whole = package.fastest(&folder, "proto/many.proto", job.repeat)?;
            let compiler = package.fastest(&folder, "src/lib.rs", job.repeat)?;
            writeln!(
                out,
                "| {variants} | {} | {} | {lines} | {whole:.2} | {compiler:.2} |",
                package.name,
                bytes / 1024
            )
            .map_err(Problem::Print)?;
        }
    }
    Ok(())
}

impl Package {
    fn build(&self, folder: &Path) -> Result<(), Problem> {
        let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--quiet"])
            .arg("--manifest-path")
            .arg(self.folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(folder.join("target"))
            .stdin(Stdio::null())
            .status()
            .map_err(Problem::Process)?;
        if status.success() {
            return Ok(());
        }
        Err(Problem::Peers { status })
    }

    /// The fastest of several builds after this file was touched, in seconds.
    fn fastest(&self, folder: &Path, file: &str, repeat: usize) -> Result<f64, Problem> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).map_err(Problem::Process)?;
        let mut fastest = f64::INFINITY;
        for number in 0..repeat.max(1) {
            // Another comment, and so another file, whatever cargo goes by.
            write(&path, &format!("{text}// {number}\n"))?;
            let started = Instant::now();
            self.build(folder)?;
            fastest = fastest.min(started.elapsed().as_secs_f64());
        }
        write(&path, &text)?;
        Ok(fastest)
    }

    /// How many bytes and lines its build script has written.
    fn output(&self, folder: &Path) -> Result<(usize, usize), Problem> {
        let builds = folder.join("target/debug/build");
        let mut newest = None;
        for entry in fs::read_dir(&builds).map_err(Problem::Process)? {
            let entry = entry.map_err(Problem::Process)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let out = entry.path().join("out");
            if !name.starts_with(&format!("many-{}-", self.name)) || !out.is_dir() {
                continue;
            }
            let changed = out.metadata().and_then(|data| data.modified());
            newest = newest.max(Some((changed.map_err(Problem::Process)?, out)));
        }
        let Some((_, out)) = newest else {
            return Err(Problem::Nothing);
        };
        sources(&out).map_err(Problem::Process)
    }
}

/// How many bytes and lines of Rust a folder holds.
fn sources(folder: &Path) -> io::Result<(usize, usize)> {
    let (mut bytes, mut lines) = (0, 0);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            let (more_bytes, more_lines) = sources(&path)?;
            bytes += more_bytes;
            lines += more_lines;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(path)?;
            bytes += text.len();
            lines += text.lines().count();
        }
    }
    Ok((bytes, lines))
}

fn write(path: &Path, text: &str) -> Result<(), Problem> {
    let at = |source| Problem::File {
        path: path.to_owned(),
        source,
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at)?;
    }
    fs::write(path, text).map_err(at)
}

fn msip(folder: &Path) -> Result<Package, Problem> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let package = Package {
        name: "msip",
        folder: folder.join("msip"),
        schema: msip_schema,
    };
    let manifest = format!(
        "[workspace]\n[package]\nname = \"many-msip\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [dependencies]\nmsip-runtime = {{ path = {:?} }}\n\
         [build-dependencies]\nmsip-codegen = {{ path = {:?} }}\n",
        root.join("msip-runtime"),
        root.join("msip-codegen"),
    );
    write(&package.folder.join("Cargo.toml"), &manifest)?;
    write(
        &package.folder.join("build.rs"),
        "fn main() -> Result<(), msip_codegen::CompileError> {\n    \
         msip_codegen::compile_protos(&[\"proto/many.proto\"], &[\"proto\"])\n}\n",
    )?;
    write(
        &package.folder.join("src/lib.rs"),
        "pub mod many {\n    msip_runtime::include_protocol!(\"many\");\n}\n",
    )?;
    Ok(package)
}

fn tonic(folder: &Path) -> Result<Package, Problem> {
    let package = Package {
        name: "tonic",
        folder: folder.join("tonic"),
        schema: tonic_schema,
    };
    write(
        &package.folder.join("Cargo.toml"),
        "[workspace]\n[package]\nname = \"many-tonic\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
         [dependencies]\nprost = \"0.14\"\ntonic = \"0.14\"\ntonic-prost = \"0.14\"\n\
         [build-dependencies]\nprotox = \"0.10\"\ntonic-prost-build = \"0.14\"\n",
    )?;
    write(
        &package.folder.join("build.rs"),
        "fn main() -> Result<(), Box<dyn std::error::Error>> {\n    \
         println!(\"cargo::rerun-if-changed=proto/many.proto\");\n    \
         let files = protox::compile([\"many.proto\"], [\"proto\"])?;\n    \
         Ok(tonic_prost_build::configure().compile_fds(files)?)\n}\n",
    )?;
    write(
        &package.folder.join("src/lib.rs"),
        "pub mod many {\n    tonic::include_proto!(\"many\");\n}\n",
    )?;
    Ok(package)
}

/// The messages of both: a number, a text and bytes each.
fn messages(variants: usize) -> String {
    let mut text = String::new();
    for number in 0..variants {
        for name in ["Req", "Rsp"] {
            let _ = writeln!(
                text,
                "message Part{number}{name} {{\n  uint64 number = 1;\n  string text = 2;\n  bytes data = 3;\n}}"
            );
        }
    }
    text
}

/// As many calls as there are variants in a direction.
fn msip_schema(variants: usize) -> String {
    let mut text = "syntax = \"proto3\";\npackage many;\n".to_owned();
    for (direction, name) in [("ClientToServer", "Req"), ("ServerToClient", "Rsp")] {
        let _ = writeln!(text, "message {direction} {{\n  oneof messages {{");
        for number in 0..variants {
            let lower = name.to_lowercase();
            let _ = writeln!(
                text,
                "    Part{number}{name} part{number}_{lower} = {};",
                number + 1
            );
        }
        text.push_str("  }\n}\n");
    }
    text + &messages(variants)
}

fn tonic_schema(variants: usize) -> String {
    let mut text = "syntax = \"proto3\";\npackage many;\nservice Many {\n".to_owned();
    for number in 0..variants {
        let _ = writeln!(
            text,
            "  rpc Part{number}(Part{number}Req) returns (Part{number}Rsp);"
        );
    }
    text + "}\n" + &messages(variants)
}
