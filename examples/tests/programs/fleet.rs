//! The fleet: its show, and hubs, devices and operators as processes that are killed, stopped and told to end.

use std::time::{Duration, Instant};

use crate::program::Program;

const PATH: &str = env!("CARGO_BIN_EXE_fleet");

#[test]
fn the_show_ends_well() {
    let ended = Program::start("fleet", PATH, &[]).ended();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.rest);
    let told = |what: &str| ended.rest.iter().filter(|line| line.contains(what)).count();
    assert_eq!(told("listens at"), 2, "{:#?}", ended.rest);
    assert_eq!(told("has arrived at"), 1, "{:#?}", ended.rest);
    assert_eq!(told("has closed"), 1, "{:#?}", ended.rest);
}

#[test]
fn the_show_behind_a_broker_ends_well() {
    let ended = Program::start("fleet", PATH, &["--broker"]).ended();
    assert_eq!(ended.code, Some(0), "{:#?}", ended.rest);
    let told = |what: &str| ended.rest.iter().filter(|line| line.contains(what)).count();
    assert_eq!(told("serves fleet"), 3, "{:#?}", ended.rest);
    assert_eq!(told("it may have run"), 2, "{:#?}", ended.rest);
    // The second was told to end, and had a command open.
    assert_eq!(
        told("van-2 has arrived at the harbour"),
        1,
        "{:#?}",
        ended.rest
    );
    assert_eq!(told("has closed"), 2, "{:#?}", ended.rest);
    assert_eq!(told("has lost the hub"), 0, "{:#?}", ended.rest);
}

#[test]
fn the_help_names_its_parts() {
    let ended = Program::start("fleet", PATH, &["--help"]).ended();
    assert_eq!(ended.code, Some(0));
    let text = ended.rest.join("\n");
    for part in ["hub", "device", "operator", "Ctrl-C"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_stranger_is_refused() {
    let hub = Hub::start("tcp://127.0.0.1:0");
    let args = ["device", "--url", &hub.url, "--name", "van-1"];
    let stranger = Program::start(
        "stranger",
        PATH,
        &[&args[..], &["--token", "guess"]].concat(),
    );
    let ended = stranger.ended();
    assert_eq!(ended.code, Some(1), "{:#?}", ended.rest);
    let text = ended.rest.join("\n");
    assert!(text.contains("UNAUTHENTICATED"), "{text}");
}

#[test]
fn a_hub_that_is_killed_is_survived() {
    let hub = Hub::start("tcp://127.0.0.1:0");
    let mut vans = [device(&hub.url, "van-1"), device(&hub.url, "van-2")];
    let mut watch = watching(&hub.url);
    let mut drive = operator(
        &hub.url,
        &["drive", "van-1", "station", "--steps", "100000"],
    );
    watch.until("van-1 step ");
    let mut locate = operator(&hub.url, &["locate", "van-2"]);
    locate.until("is connected");

    let url = hub.url.clone();
    hub.program.kill();
    for van in &mut vans {
        van.until("has lost the hub");
    }
    let _hub = Hub::start(&url);
    for van in &mut vans {
        van.until("is registered");
    }
    // What cannot be repeated has a definite outcome, and what can be is repeated.
    let driven = drive.until("error: ");
    assert!(driven.contains("connection lost"), "{driven}");
    assert!(driven.contains("it may have run"), "{driven}");
    assert_eq!(drive.ended().code, Some(1));
    assert_eq!(watch.ended().code, Some(1));
    locate.until("van-2 is at depot");
    assert_eq!(locate.ended().code, Some(0));
}

#[cfg(unix)]
#[test]
fn a_device_that_is_stopped_holds_up_nobody() {
    let hub = Hub::start("tcp://127.0.0.1:0");
    let _one = device(&hub.url, "van-1");
    let mut two = device(&hub.url, "van-2");
    let mut watch = watching(&hub.url);
    watch.until("van-2 has 100 % left");
    two.signal("STOP");

    let told = operator(&hub.url, &["notice", "snow tonight"]).ended();
    assert_eq!(told.code, Some(0), "{:#?}", told.rest);
    let located = operator(&hub.url, &["locate", "van-1"]).ended();
    assert_eq!(located.code, Some(0), "{:#?}", located.rest);
    let driven = operator(&hub.url, &["drive", "van-2", "station", "--timeout", "500"]).ended();
    assert_eq!(driven.code, Some(1), "{:#?}", driven.rest);
    watch.until("van-1 has 100 % left");

    // The hub notices by itself, and the device returns by itself.
    watch.until("van-2 is offline");
    two.signal("CONT");
    two.until("has lost the hub");
    two.until("is registered");
    let located = operator(&hub.url, &["locate", "van-2"]).ended();
    assert_eq!(located.code, Some(0), "{:#?}", located.rest);
}

#[cfg(unix)]
#[test]
fn a_hub_with_open_streams_ends_when_it_is_told_to() {
    let hub = Hub::start("tcp://127.0.0.1:0");
    let mut van = device(&hub.url, "van-1");
    let mut watch = watching(&hub.url);
    // A call that is open, an upload and a watch.
    let mut drive = operator(
        &hub.url,
        &["drive", "van-1", "station", "--steps", "100000"],
    );
    watch.until("van-1 step ");

    let begun = Instant::now();
    hub.program.signal("TERM");
    let ended = hub.program.ended();
    // It takes less than a second; this allows for a machine that has other things to do. Without the hub's
    // `drain_timeout` it would be thirty.
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(ended.code, Some(0), "{:#?}", ended.rest);
    let closed = ended.rest.iter().any(|line| line.contains("has closed"));
    assert!(closed, "{:#?}", ended.rest);

    van.until("has lost the hub: closed by the peer: UNAVAILABLE");
    assert_eq!(watch.ended().code, Some(1));
    drive.until("error: ");
    assert_eq!(drive.ended().code, Some(1));
}

/// A hub that listens.
struct Hub {
    program: Program,
    url: String,
}

impl Hub {
    /// Starts a hub. Where the address is not free, since somebody else has it for a moment, it tries again.
    fn start(url: &str) -> Self {
        for _ in 0..100 {
            let mut program = Program::start("hub", PATH, &["hub", "--with-input", "--url", url]);
            let line = program.next();
            if let Some((_, url)) = line.split_once("listens at ") {
                let url = url.to_owned();
                return Self { program, url };
            }
        }
        panic!("a hub cannot listen at {url}");
    }
}

/// A device that is registered.
fn device(url: &str, name: &str) -> Program {
    let args = ["device", "--with-input", "--url", url, "--name", name];
    let mut device = Program::start(name, PATH, &args);
    device.until("is registered");
    device
}

/// An operator whose watch is open: she has read something.
fn watching(url: &str) -> Program {
    let mut watch = operator(url, &["watch"]);
    watch.until("reads: ");
    watch
}

fn operator(url: &str, order: &[&str]) -> Program {
    let args = [&["operator", "--url", url], order].concat();
    Program::start("operator", PATH, &args)
}
