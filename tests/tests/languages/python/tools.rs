//! A Python with what the tests of generated code need, and the code that they are about.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use msip_codegen::Builder;
use msip_emit::{python::Python, rust::Sides};
use msip_tests::programs;

/// The repository.
pub(super) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

const PACKAGES: &[&str] = &[
    "grpcio-tools==1.85.1",
    "mypy==2.4.1",
    "protobuf==7.36.2",
    "pyright==1.1.414",
    "ruff==0.17.6",
];
const CHECK: &str = "import google.protobuf, grpc_tools, mypy, pyright, ruff";

/// A set of schemas: the package of its modules, where imports are found, and the files.
pub(super) struct Set {
    pub(super) package: &'static str,
    pub(super) include: &'static str,
    pub(super) files: &'static [&'static str],
    sides: Sides,
}

impl Set {
    const fn new(
        package: &'static str,
        include: &'static str,
        files: &'static [&'static str],
    ) -> Self {
        Self {
            package,
            include,
            files,
            sides: Sides::Both,
        }
    }
}

/// Every schema of the repository that stands for something.
pub(super) const SETS: &[Set] = &[
    Set::new("chat", "examples/proto", &["chat.proto"]),
    Set::new("bench", "benches/proto", &["bench.proto"]),
    Set::new(
        "kitchen",
        "msip-codegen/tests/fixtures/valid",
        &["kitchen.proto"],
    ),
    Set::new(
        "keywords",
        "msip-codegen/tests/fixtures/valid",
        &["names.proto"],
    ),
    Set::new(
        "streams",
        "msip-codegen/tests/fixtures/valid",
        &["streams.proto"],
    ),
    Set::new("shapes", "tests/proto/shapes", &["shapes.proto"]),
    Set::new(
        "packages",
        "tests/proto",
        &["depot/v1/depot.proto", "fleet/v1/fleet.proto"],
    ),
    Set::new("flyrpc", "tests/proto/flyrpc", &["calc.proto"]),
    Set::new(
        "messi",
        "tests/proto/messi",
        &["chat.proto", "my_protocol.proto"],
    ),
    Set::new("gauges", "tests/proto", &["gauges.proto"]),
    Set::new("lab", "tests/proto", &["lab.proto"]),
    Set::new("names", "tests/proto", &["names.proto"]),
    Set::new("pantry", "tests/proto", &["pantry.proto"]),
    Set::new("rest", "tests/proto", &["rest.proto"]),
    Set::new("sampler", "tests/proto", &["sampler.proto"]),
    Set::new(
        "languages",
        "tests/tests/languages/python",
        &["difficult.proto"],
    ),
    Set::new(
        "circle",
        "tests/tests/languages/python/circle",
        &["near.proto", "far.proto"],
    ),
    Set {
        sides: Sides::Client,
        ..Set::new("client_only", "tests/proto", &["lab.proto"])
    },
    Set {
        sides: Sides::Server,
        ..Set::new("server_only", "tests/proto", &["lab.proto"])
    },
];

/// A Python with the packages, and the folder in which each set is a package.
pub(super) struct Tools {
    python: PathBuf,
    pub(super) generated: PathBuf,
}

/// The tools; `None` if they cannot be had, which has been said then.
pub(super) fn tools() -> Option<&'static Tools> {
    static TOOLS: OnceLock<Option<Tools>> = OnceLock::new();
    TOOLS.get_or_init(Tools::install).as_ref()
}

impl Tools {
    fn install() -> Option<Self> {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let python = programs::python(&folder.join("python_messages"), PACKAGES, CHECK)?;
        let generated = folder.join("python_generated");
        // Modules that are no more must not be imported.
        let _ = fs::remove_dir_all(&generated);
        for set in SETS {
            generate(set, &generated.join(set.package));
        }
        Some(Self { python, generated })
    }

    /// The Python itself.
    pub(super) fn program(&self) -> &Path {
        &self.python
    }

    /// A command of the Python, in the folder of the generated packages, which finds them and the package `msip`.
    pub(super) fn python(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.python);
        command
            .args(arguments)
            .current_dir(&self.generated)
            .env("PYTHONPATH", format!("{ROOT}/languages/python/src:."))
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// A program of `tests/python/messages`, over the messages of some sets.
    pub(super) fn compare(&self, program: &str, count: u32, sets: &[&str]) {
        for set in SETS.iter().filter(|set| sets.contains(&set.package)) {
            let program = format!("{ROOT}/tests/python/messages/{program}");
            let (include, options) = (
                format!("{ROOT}/{}", set.include),
                format!("{ROOT}/msip-codegen/proto"),
            );
            let count = count.to_string();
            let mut arguments = vec![&*program, &count, set.package, &include, &options];
            arguments.extend(set.files);
            if let Err(error) = programs::run(&mut self.python(&arguments)) {
                panic!("{}: {error}", set.package);
            }
        }
    }
}

fn generate(set: &Set, folder: &Path) {
    let include = Path::new(ROOT).join(set.include);
    let files: Vec<PathBuf> = set.files.iter().map(|file| include.join(file)).collect();
    Builder::new()
        .include(&include)
        .without_rust()
        .emitter_into(folder, Python::new().sides(set.sides))
        .emit_rerun_if_changed(false)
        .compile(&files)
        .unwrap_or_else(|error| panic!("{}: {error}", set.package));
}
