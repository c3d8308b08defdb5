//! Node: connect-es, protobuf-es and ts-proto.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Contenders,
    contender::{Contender, Encoder, Program},
    install::{Folders, InstallError, copy, create, install_once, run, run_foreign},
};
use crate::problem::Problem;

/// Calls before those that are measured: V8 compiles what has run often, and connect-es is as fast as it gets after these.
const WARM_UP: u32 = 10_000;

/// The programs that are bundled: two that talk, and three that encode.
const PROGRAMS: [&str; 5] = [
    "msip_peer",
    "connect_peer",
    "messages_msip",
    "messages_protobuf_es",
    "messages_ts_proto",
];

pub(super) fn contenders(folders: &Folders) -> Result<Contenders, InstallError> {
    let folder = folders.target.join("node");
    let sources = folders.contenders.join("node");
    install_once(&folder, &sources.join("package-lock.json"), || {
        let is_new = "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)";
        run_foreign(Command::new("node").args(["-e", is_new]))?;
        create(&folder)?;
        for name in ["package.json", "package-lock.json"] {
            copy(&sources.join(name), &folder.join(name))?;
        }
        let mut npm = Command::new("npm");
        npm.current_dir(&folder).args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--silent",
        ]);
        run_foreign(&mut npm)
    })?;
    let build = Build {
        folders,
        modules: folder.join("node_modules"),
        generated: folder.join("generated"),
        built: folder.join("built"),
    };
    build.generate()?;
    for name in PROGRAMS {
        build.bundle(name)?;
    }
    let program = |name: &str| Program {
        path: "node".into(),
        arguments: vec![build.bundled(name).into()],
        environment: Vec::new(),
    };
    let connect = program("connect_peer");
    let peers = [
        ("msip", program("msip_peer")),
        ("connect-es, gRPC", connect.with("grpc")),
        ("connect-es, Connect", connect.with("connect")),
    ];
    let encoders = [
        ("msip", "messages_msip"),
        ("protobuf-es", "messages_protobuf_es"),
        ("ts-proto", "messages_ts_proto"),
    ];
    Ok(Contenders {
        peers: peers
            .map(|(name, program)| Contender { name, program })
            .into(),
        ratios: vec![
            ("msip", "connect-es, gRPC"),
            ("msip", "connect-es, Connect"),
        ],
        encoders: encoders
            .map(|(name, file)| Encoder {
                name,
                program: program(file),
            })
            .into(),
        warm_up: WARM_UP,
    })
}

/// Where code is generated and bundled.
struct Build<'a> {
    folders: &'a Folders,
    modules: PathBuf,
    generated: PathBuf,
    built: PathBuf,
}

impl Build<'_> {
    fn tool(&self, name: &str) -> PathBuf {
        self.modules.join(".bin").join(name)
    }

    fn generate(&self) -> Result<(), Problem> {
        let out = |name: &str| self.generated.join(name);
        self.folders.generate("--typescript", &out("ours"))?;
        let plugin = |tool: &str, folder: &str, options: &[&str]| serde_json::json!({ "local": self.tool(tool), "out": out(folder), "opt": options });
        let ts_proto = [
            "forceLong=bigint",
            "esModuleInterop=true",
            "outputServices=none",
        ];
        let template = serde_json::json!({
            "version": "v2",
            "plugins": [
                plugin("protoc-gen-es", "es", &["target=ts"]),
                plugin("protoc-gen-ts_proto", "ts_proto", &ts_proto),
            ],
        });
        run(Command::new(self.tool("buf"))
            .arg("generate")
            .arg(self.folders.proto())
            .arg("--template")
            .arg(template.to_string()))
    }

    /// One of `PROGRAMS` with all that it imports.
    fn bundle(&self, name: &str) -> Result<(), Problem> {
        let source = self
            .folders
            .contenders
            .join("node")
            .join(format!("{name}.ts"));
        let alias = |name: &str, path: &Path| format!("--alias:{name}={}", path.display());
        run(Command::new(self.tool("esbuild"))
            .arg(source)
            .args(["--bundle", "--platform=node", "--format=esm", "--log-level=warning"])
            .arg(format!("--outfile={}", self.bundled(name).display()))
            .args(["ours", "es", "ts_proto"].map(|name| {
                alias(&format!("#{name}"), &self.generated.join(name))
            }))
            .arg(alias("msip", &self.folders.root.join("languages/typescript/src")))
            // Libraries that are no modules of ECMAScript.
            .arg("--banner:js=import{createRequire}from'module';const require=createRequire(import.meta.url);")
            .env("NODE_PATH", &self.modules))
    }

    fn bundled(&self, name: &str) -> PathBuf {
        self.built.join(format!("{name}.mjs"))
    }
}
