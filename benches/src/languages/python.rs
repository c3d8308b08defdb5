//! Python: grpc.aio, Google's messages and betterproto2.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    Contenders,
    contender::{Contender, Encoder, Program},
    install::{Folders, InstallError, create, install_once, run, run_foreign},
};
use crate::problem::Problem;

/// Calls before those that are measured: what comes first takes longer.
const WARM_UP: u32 = 2000;

pub(super) fn contenders(folders: &Folders) -> Result<Contenders, InstallError> {
    let environment = folders.target.join("python");
    let interpreter = environment.join("bin/python");
    let requirements = folders.contenders.join("python/requirements.txt");
    install_once(&environment, &requirements, || {
        let is_new =
            "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'it is older than 3.11')";
        run_foreign(Command::new("python3").args(["-c", is_new]))?;
        let mut venv = Command::new("python3");
        run_foreign(venv.args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"]);
        run_foreign(pip.arg(&requirements))
    })?;
    let generated = folders.target.join("generated/python");
    generate(folders, &environment, &generated)?;
    let sources = folders.root.join("languages/python/src");
    let path = env::join_paths([&generated, &sources])
        .map_err(|error| InstallError::Missing(error.to_string()))?;
    // pip compiles what it installs; what is not installed is compiled when it first runs, whatever the user's environment says.
    let compiled = folders.target.join("compiled");
    let program = |script: &str| Program {
        path: interpreter.clone().into(),
        arguments: vec![folders.contenders.join("python").join(script).into()],
        environment: vec![
            ("PYTHONPATH", path.clone()),
            ("PYTHONPYCACHEPREFIX", compiled.clone().into()),
            ("PYTHONDONTWRITEBYTECODE", "".into()),
        ],
    };
    let (msip, grpc) = (program("msip_peer.py"), program("grpc_peer.py"));
    let peers = [
        ("msip", msip.clone()),
        ("msip, uvloop", msip.with("--uvloop")),
        ("grpc.aio", grpc.clone()),
        ("grpc.aio, uvloop", grpc.with("--uvloop")),
    ];
    let encoders = ["msip", "protobuf", "betterproto2"].map(|name| Encoder {
        name,
        program: program("messages.py").with(name),
    });
    Ok(Contenders {
        peers: peers
            .map(|(name, program)| Contender { name, program })
            .into(),
        ratios: vec![("msip", "grpc.aio")],
        encoders: encoders.into(),
        warm_up: WARM_UP,
    })
}

fn generate(folders: &Folders, environment: &Path, generated: &Path) -> Result<(), Problem> {
    folders.generate("--python", &generated.join("ours"))?;
    let better = generated.join("better");
    create(&better)?;
    let binaries = environment.join("bin");
    let is = |name: &str, path: &Path| format!("--{name}={}", path.display());
    let plugin = binaries.join("protoc-gen-python_betterproto2");
    run(Command::new(binaries.join("python"))
        .args(["-m", "grpc_tools.protoc"])
        .arg(format!("-I{}", folders.proto().display()))
        .arg(is("python_out", generated))
        .arg(is("grpc_python_out", generated))
        .arg(format!(
            "--plugin=protoc-gen-python_betterproto2={}",
            plugin.display()
        ))
        .arg(is("python_betterproto2_out", &better))
        .args(["notes.proto", "rpc.proto"])
        // The compiler of betterproto2 calls ruff, which is beside it.
        .env("PATH", search_path(&binaries))
        .stdin(Stdio::null()))
}

fn search_path(first: &Path) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(first.to_owned()).chain(env::split_paths(&path));
    env::join_paths(paths).unwrap_or(path.clone())
}
