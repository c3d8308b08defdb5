//! Settings, transports, clients and servers: the package's own tests of these, by the runner of Node.js.

use std::{
    fs,
    path::{Path, PathBuf},
};

use msip_broker::Broker;
use msip_tests::{Authority, programs};
use tokio::task::spawn_blocking;

use super::tools::{ROOT, tools};

/// Certificates for the tests of TLS, which Node.js cannot make.
fn certificates(folder: &Path) {
    let authority = Authority::new("of the tests");
    let others = Authority::new("of others");
    let ours = authority.issue_local();
    let client = authority.issue_client(&["ada.test"], &[], &[]);
    for (name, pem) in [
        ("ca.pem", authority.pem()),
        ("other-ca.pem", others.pem()),
        ("server.pem", &ours.cert),
        ("server.key", &ours.key),
        ("client.pem", &client.cert),
        ("client.key", &client.key),
    ] {
        fs::write(folder.join(name), pem).expect("written");
    }
    for (name, issued) in [
        ("expired", authority.issue_expired()),
        ("elsewhere", authority.issue(&["elsewhere.test"])),
        ("stranger", others.issue_client(&["eve.test"], &[], &[])),
    ] {
        issued.write(folder, name).expect("written");
    }
}

/// A broker for the tests of services, which is there as long as the test runs.
async fn broker() -> String {
    let binding = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
    let broker = binding.expect("a broker");
    let url = broker.local_urls().next().expect("a place").to_string();
    tokio::spawn(broker.serve_until(std::future::pending()));
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_and_servers_pass_their_own_tests() {
    let Some(tools) = tools() else { return };
    let source = Path::new(ROOT).join("languages/typescript/tests");
    let entries = source.read_dir().expect("a folder");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let files: Vec<PathBuf> = files
        .filter(|file| file.to_string_lossy().ends_with(".test.ts"))
        .collect();
    assert!(files.len() > 3, "{files:?}");
    let folder = tools.project("own_tests");
    let bundles = tools
        .bundle(&folder, "node", "plain", "", &files)
        .unwrap_or_else(|why| panic!("{why}"));
    let bundles = bundles.lines().filter_map(|line| line.split(' ').next());
    certificates(&folder);
    let mut node = tools.node();
    node.current_dir(ROOT);
    node.env("MSIP_TEST_CERTIFICATES", &folder);
    node.env("MSIP_TEST_BROKER", broker().await);
    node.args(["--enable-source-maps", "--test"]).args(bundles);
    let run = spawn_blocking(move || programs::run(&mut node));
    let run = run.await.expect("no panic");
    run.unwrap_or_else(|why| panic!("{why}"));
}
