//! Signals.

use std::{fs, process::Stdio};

use msip_tests::soon;
use rustix::process::Signal;

use crate::{
    mip::{CLOSE, Peer},
    process::{Broker, command},
};

#[tokio::test]
async fn sigterm_and_sigint_tell_the_clients_and_end_it_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let broker = Broker::plain().await;
        let mut peers = Vec::new();
        for _ in 0..20 {
            peers.push(Peer::connect(broker.address()).await);
        }
        broker.signal(signal);
        for peer in &mut peers {
            assert_eq!(peer.hear().await.expect("a goodbye").0, CLOSE);
        }
        drop(peers);
        let (code, log) = broker.end().await;
        assert_eq!(code, Some(0), "{log}");
        assert!(log.contains("stopped"), "{log}");
    }
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let broker = Broker::plain().await;
    let _peer = Peer::connect(broker.address()).await;
    broker.signal(Signal::TERM);
    broker.signal(Signal::INT);
    let (code, log) = broker.end().await;
    assert_eq!(code, Some(0), "{log}");
}

#[tokio::test]
async fn sighup_reads_again_and_says_what_it_could_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, keys) = (
        folder.path().join("broker.toml"),
        folder.path().join("keys"),
    );
    let write = |rest: &str| {
        let text = format!(
            "[[listener]]\nurl = 'tcp://127.0.0.1:0?principal=plant'\n[keys]\nfile = 'keys'\n[principals.plant]\n{rest}"
        );
        fs::write(&file, text).expect("is written");
    };
    fs::write(&keys, "").expect("is written");
    write("publish = ['news']\nsubscribe = ['news']");
    let mut broker = Broker::start(&["--config", file.to_str().expect("text")], 1).await;
    let mut peer = Peer::connect(broker.address()).await;
    peer.subscribe("news").await;

    write("subscribe = ['news', 'more']");
    broker.signal(Signal::HUP);
    broker
        .logged("reloaded: keys, certificates, roles and principals")
        .await;
    let mut later = Peer::connect(broker.address()).await;
    later.subscribe("more").await;

    fs::write(&keys, "no key").expect("is written");
    broker.signal(Signal::HUP);
    broker.logged("the keys stay what they are").await;
    write("subscribe = [1]");
    broker.signal(Signal::HUP);
    broker
        .logged("cannot reload: the configuration stays what it is")
        .await;
    write("[limits]\nconnections = 5");
    broker.signal(Signal::HUP);
    broker.logged("needs a restart: limits").await;
}

#[tokio::test]
async fn it_goes_on_where_its_output_is_closed() {
    let mut child = command()
        .args(["--listen", "tcp://127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut errors = child.stderr.take().expect("is piped");
    let mut first = [0; 1];
    let read = tokio::io::AsyncReadExt::read(&mut errors, &mut first);
    assert_eq!(soon("a line", read).await.expect("is read"), 1);
    drop(errors);
    let id = i32::try_from(child.id().expect("it runs")).expect("an id");
    let id = rustix::process::Pid::from_raw(id).expect("an id");
    rustix::process::kill_process(id, Signal::TERM).expect("it runs");
    let status = soon("its end", child.wait()).await.expect("a status");
    assert_eq!(status.code(), Some(0));
}
