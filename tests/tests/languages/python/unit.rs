//! The package's own tests: vectors, sessions in a simulation, and clients and servers, some of them at a broker.

use std::{future::pending, path::Path, process::Command};

use msip_broker::Broker;
use msip_tests::programs::{plain_python, run};
use tokio::task::spawn_blocking;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_package_passes_its_own_tests() {
    let Some(python) = plain_python() else {
        return;
    };
    let binding = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
    let broker = binding.expect("a broker");
    let url = broker.local_urls().next().expect("a place").to_string();
    tokio::spawn(broker.serve_until(pending()));
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../languages/python");
    let mut command = Command::new(python);
    command
        .args(["-m", "unittest", "discover", "--start-directory", "tests"])
        .env("PYTHONPATH", "src")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("MSIP_TEST_BROKER", url)
        .current_dir(package);
    let ran = spawn_blocking(move || run(&mut command)).await;
    ran.expect("no panic").unwrap();
}
