//! The chat with Python: the wheel in an environment that has nothing else, the lines of its README, and the example programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use msip_tests::programs::{plain_python, python, run};

use crate::program::Program;

/// The repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A Python with the installed wheel and nothing else; `None` where it cannot be had.
fn installed() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(install).as_deref()
}

fn install() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-wheel");
    let plain = plain_python()?;
    let tools = python(
        &folder.join("tools"),
        &["hatchling==1.33.0"],
        "import hatchling",
    )?;
    let wheels = folder.join("wheels");
    let _ = fs::remove_dir_all(&wheels);
    run(Command::new(tools)
        .args(["-m", "pip", "wheel", "--quiet", "--no-deps"])
        .args(["--no-build-isolation", "--wheel-dir"])
        .arg(&wheels)
        .arg(Path::new(ROOT).join("languages/python")))
    .expect("the wheel is built");
    let mut built = fs::read_dir(&wheels).expect("a folder of wheels");
    let wheel = built.next().expect("a wheel").expect("a file").path();
    let fresh = folder.join("fresh");
    let _ = fs::remove_dir_all(&fresh);
    run(Command::new(plain).args(["-m", "venv"]).arg(&fresh)).expect("an environment");
    let python = fresh.join("bin/python");
    run(Command::new(&python)
        .args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"])
        .arg(wheel))
    .expect("the wheel is installed");
    Some(python)
}

/// The first block of Python in a page that enters the room.
fn first_lines(page: &str) -> String {
    let text = fs::read_to_string(Path::new(ROOT).join(page)).expect("a page");
    let blocks = text.split("```python\n").skip(1);
    let mut blocks = blocks.filter_map(|block| block.split("```").next());
    let found = blocks.find(|block| block.contains("ChatClient("));
    found.expect("lines of Python").to_owned()
}

fn server() -> (Program, String) {
    let args = ["--url", "tcp://127.0.0.1:0"];
    let mut server = Program::start("server", env!("CARGO_BIN_EXE_chat-server"), &args);
    let line = server.until("listening at ");
    let url = line.split_whitespace().nth(2).expect("its address");
    let url = url.to_owned();
    (server, url)
}

/// A program in Python, by its path below the folder of the examples.
fn example(name: &str, program: &str, args: &[&str]) -> Option<Program> {
    let path = Path::new(ROOT)
        .join("languages/python/examples")
        .join(program);
    let path = path.display().to_string();
    let mut all = vec!["-B", &path];
    all.extend(args);
    Some(Program::start(
        name,
        &installed()?.display().to_string(),
        &all,
    ))
}

#[test]
fn the_lines_of_the_readme_enter_the_room() {
    let Some(python) = installed() else { return };
    let lines = first_lines("languages/python/README.md");
    assert_eq!(
        lines,
        first_lines("docs/python.md"),
        "both pages say the same"
    );
    let (mut room, url) = server();
    let lines = lines.replace("tcp://127.0.0.1:7400", &url);
    let said = run(Command::new(python)
        .args(["-B", "-c", &lines])
        .current_dir(Path::new(ROOT).join("languages/python/examples")))
    .unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(said, "welcome; /who tells who is here ['ada']\n");
    room.until("ada entered");
    room.until("ada left");
}

#[test]
fn a_client_in_python_talks_and_comes_back() {
    let (mut room, url) = server();
    let Some(mut ada) = example("ada", "chat_client.py", &["ada", &url]) else {
        return;
    };
    room.until("ada entered");
    ada.until("here are ada");
    let args = ["--name", "bob", "--url", &url];
    let mut bob = Program::start("bob", env!("CARGO_BIN_EXE_chat-client"), &args);
    ada.until("bob entered");
    ada.type_line("hello, bob");
    bob.until("ada> hello, bob");
    bob.type_line("hello, ada");
    ada.until("bob: hello, ada");
    ada.type_line("/who");
    ada.until("ada, bob");

    room.kill();
    ada.until("disconnected: ");
    let args = ["--url", &url];
    let mut room = Program::start("server", env!("CARGO_BIN_EXE_chat-server"), &args);
    room.until("ada entered");
    ada.until("here are ");
    ada.type_line("/quit");
    assert_eq!(ada.ended().code, Some(0));
    room.until("ada left");
}

#[cfg(unix)]
#[test]
fn a_server_in_python_keeps_the_room() {
    let Some(mut room) = example("server", "chat_server.py", &["tcp://127.0.0.1:0"]) else {
        return;
    };
    let line = room.until("listening at ");
    let url = line.split_whitespace().nth(2).expect("its address");
    let client = |name: &str| {
        let args = ["--name", name, "--url", url];
        let mut client = Program::start(name, env!("CARGO_BIN_EXE_chat-client"), &args);
        client.until("in the room: ");
        client
    };
    let mut ada = client("ada");
    let mut bob = client("bob");
    ada.until("* bob is here");
    ada.type_line("hello, bob");
    bob.until("ada> hello, bob");
    ada.type_line("/who");
    ada.until("* in the room: ada, bob");
    bob.type_line("/quit");
    ada.until("* bob has left");
    room.interrupt();
    room.until("goodbye");
    assert_eq!(room.ended().code, Some(0));
    ada.until("* connection lost: ");
}
