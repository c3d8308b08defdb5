//! Programs of Node.js that talk in a test: what they print is awaited, and they are killed with the test.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use msip_tests::soon;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{
    generated::generate_edited_lab,
    tools::{ROOT, Tools},
};

/// A program that runs.
pub(super) struct Node {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    said: Vec<String>,
}

impl Node {
    pub(super) fn start(tools: &Tools, program: &Path, args: &[&str]) -> Self {
        let mut command = Command::from(tools.node());
        command.arg("--enable-source-maps").arg(program).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("node starts");
        Self {
            name: args.join(" "),
            stdin: child.stdin.take(),
            lines: BufReader::new(child.stdout.take().expect("piped")).lines(),
            child,
            said: Vec::new(),
        }
    }

    /// The next line.
    pub(super) async fn line(&mut self) -> String {
        match soon("a line of node", self.lines.next_line()).await {
            Ok(Some(line)) => {
                self.said.push(line.clone());
                line
            }
            other => panic!("{}: {other:?} after {:#?}", self.name, self.said),
        }
    }

    /// The next line with this text; those before it are skipped.
    pub(super) async fn until(&mut self, what: &str) -> String {
        loop {
            let line = self.line().await;
            if line.contains(what) {
                return line;
            }
        }
    }

    /// Whether a line with this text has come.
    pub(super) fn has_said(&self, what: &str) -> bool {
        self.said.iter().any(|line| line.contains(what))
    }

    /// Tells it a line.
    pub(super) async fn tell(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("its input is open");
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .await
            .expect("it reads");
    }

    /// Ends its input.
    pub(super) fn end_input(&mut self) {
        self.stdin = None;
    }

    /// Kills it, as `kill -9` does.
    pub(super) async fn kill(&mut self) {
        self.child.kill().await.expect("it runs");
    }

    /// Waits until it ends, well.
    pub(super) async fn ended(mut self) {
        let status = soon("the end of node", self.child.wait())
            .await
            .expect("a status");
        assert!(
            status.success(),
            "{}: {status} after {:#?}",
            self.name,
            self.said
        );
    }
}

/// The programs of this folder, bundled, with the generated code for `lab`: one name for each test, since they run at once.
pub(super) struct Programs {
    pub(super) client: PathBuf,
    pub(super) server: PathBuf,
}

impl Programs {
    pub(super) fn bundle(tools: &Tools, name: &str) -> Self {
        Self::of_edited_lab(tools, name, &[])
    }

    /// With another version of the schema, in which these texts have others in their place.
    pub(super) fn of_edited_lab(tools: &Tools, name: &str, edits: &[(&str, &str)]) -> Self {
        let folder = tools.project(name);
        generate_edited_lab(&folder.join("generated"), edits);
        let source = Path::new(ROOT).join("tests/tests/languages/typescript/programs");
        let files = ["lab-client.ts", "lab-server.ts"].map(|file| {
            let copy = folder.join(file);
            fs::copy(source.join(file), &copy).expect("copied");
            copy
        });
        tools
            .bundle(&folder.join("out"), "node", "plain", "", &files)
            .unwrap_or_else(|why| panic!("{why}"));
        Self {
            client: folder.join("out/lab-client.mjs"),
            server: folder.join("out/lab-server.mjs"),
        }
    }
}

/// Runs a test of connections that fall silent, with pings at an interval of so many milliseconds: short, so that it takes little time.
/// On a machine so busy that peers answer later than that nothing would ever be done, and it is run again with a longer one.
pub(super) async fn with_interval(test: impl AsyncFn(u64)) {
    for interval_ms in [50, 400] {
        if timeout(Duration::from_secs(20), test(interval_ms))
            .await
            .is_ok()
        {
            return;
        }
    }
    test(3000).await;
}
