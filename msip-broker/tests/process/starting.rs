//! How it starts, and what it says where it cannot.

use std::fs;

use crate::{
    mip::{EVENT, Peer},
    process::{Broker, command, ended, run},
};

#[tokio::test]
async fn it_says_where_it_listens_and_carries_messages_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = format!("unix://{}", folder.path().join("broker.sock").display());
    let mut broker = Broker::start(
        &[
            "--listen",
            "tcp://127.0.0.1:0",
            "--listen",
            &socket,
            "--admin",
            "127.0.0.1:0",
            "--listen",
            "ws://127.0.0.1:0/",
        ],
        3,
    )
    .await;
    assert!(!broker.urls[0].ends_with(":0"), "{:?}", broker.urls);
    assert_eq!(broker.urls[1], socket);
    assert!(
        broker
            .line()
            .await
            .starts_with("admin on http://127.0.0.1:")
    );

    let mut subscriber = Peer::connect(broker.address()).await;
    subscriber.subscribe("news").await;
    let mut publisher = Peer::connect(broker.address()).await;
    publisher.publish(7, "news", b"hello").await;
    let (frame_type, id, payload) = subscriber.hear().await.expect("a message");
    assert_eq!(
        (frame_type, id, &payload[..]),
        (EVENT, 7, &b"\0\x04newshello"[..])
    );
    broker.stop().await;
    assert!(
        !folder.path().join("broker.sock").exists(),
        "its socket is gone"
    );
}

#[tokio::test]
async fn variables_of_the_environment_have_the_names_of_the_arguments() {
    let broker = Broker::spawn(
        command()
            .env("MSIP_BROKER_LISTEN", "tcp://127.0.0.1:0 tcp://127.0.0.1:0")
            .env("MSIP_BROKER_LOG", "json"),
        2,
    )
    .await;
    let log = broker.stop().await;
    for line in log.lines() {
        assert!(line.starts_with("{\"timestamp\":"), "{line}");
    }
    let (code, _, told) = ended(command().env("MSIP_BROKER_LISTN", "x")).await;
    let expected = "msip-broker: MSIP_BROKER_LISTN: no variable of a broker: did you mean `MSIP_BROKER_LISTEN`?\n";
    assert_eq!((code, &*told), (2, expected));
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_so() {
    let taken = Broker::start(&["--listen", "tcp://127.0.0.1:0", "--log", "off"], 1).await;
    let (code, said, told) = run(&["--listen", &taken.urls[0], "--log", "off"]).await;
    assert_eq!((code, &*said), (1, ""));
    let expected = format!(
        "msip-broker: cannot listen at {}: Address already in use (os error 98)\n",
        taken.urls[0]
    );
    assert_eq!(told, expected);
    let (code, _, told) = run(&[
        "--listen",
        "tcp://127.0.0.1:0",
        "--log",
        "off",
        "--admin",
        taken.address(),
    ])
    .await;
    assert_eq!(code, 1);
    assert!(
        told.starts_with(&format!(
            "msip-broker: cannot listen at http://{}: ",
            taken.address()
        )),
        "{told}"
    );
}

#[tokio::test]
async fn whatever_is_wrong_with_what_it_was_told_is_said_and_it_ends_with_2() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("broker.toml");
    let file = file.to_str().expect("text");
    for (text, expected) in [
        (
            "max_boddy = 1",
            "broker.toml:1: unknown key `max_boddy`: did you mean `max_body`?\n",
        ),
        (
            "[roles.a]\npublish = ['#/a']",
            "broker.toml:2: `#/a` is no filter: `#` is not the last level of the topic\n",
        ),
        (
            "[[listener]]\nurl = 'tcp://0.0.0.0:0'",
            "listener tcp://0.0.0.0:0: others could read what is sent: ",
        ),
    ] {
        fs::write(file, text).expect("is written");
        for arguments in [
            &["--config", file][..],
            &["--config", file, "--check-config"],
        ] {
            let (code, said, told) = run(arguments).await;
            assert_eq!((code, &*said), (2, ""), "{told}");
            assert!(
                told.starts_with("msip-broker: ") && told.contains(expected),
                "{told}"
            );
        }
    }
    for (arguments, expected) in [
        (
            &["--config", "/nowhere/broker.toml"][..],
            "msip-broker: cannot read /nowhere/broker.toml: No such file or directory\n",
        ),
        (
            &["--max-body", "4MB"],
            "msip-broker: --max-body: expected a size from 1KiB to 1GiB",
        ),
        (
            &[
                "--listen",
                "tcp://127.0.0.1:0",
                "--listen",
                "tcp://127.0.0.1:0?pin_interval=1s",
            ],
            "msip-broker: listener tcp://127.0.0.1:0?pin_interval=1s: unknown setting `pin_interval`",
        ),
        (
            &["--listen", "tcp://127.0.0.1:0?ping_interval=1"],
            "msip-broker: listener tcp://127.0.0.1:0?ping_interval=1: setting `ping_interval`: expected a time",
        ),
        (
            &["--listen", "tcp://127.0.0.1:0/news"],
            "msip-broker: listener tcp://127.0.0.1:0/news: the URL names the topic",
        ),
        (
            &["--listen", "mip://127.0.0.1:0"],
            "msip-broker: listener mip://127.0.0.1:0: cannot listen at mip://127.0.0.1:0: mip:// is for clients",
        ),
        (
            &["--listen", "unix:///nowhere/broker?pin_interval=1s"],
            "msip-broker: listener unix:///nowhere/broker?pin_interval=1s: unknown setting `pin_interval`",
        ),
        (
            &["--listen", "unix:///nowhere/broker?mode=999"],
            "msip-broker: listener unix:///nowhere/broker?mode=999: setting `mode`: `999` cannot be used: write three octal digits",
        ),
        (
            &["--listen", "mip+unix:///nowhere/broker"],
            "listener mip+unix:///nowhere/broker: cannot listen at mip+unix:///nowhere/broker: mip+unix:// is for clients",
        ),
        (
            &[
                "--listen",
                "unix:///nowhere/broker?mode=0660",
                "--check-config",
                "--config",
                "",
            ],
            "msip-broker: --config: expected the path of a file, found ``",
        ),
        (&["--listn", "x"], "a similar argument exists: '--listen'"),
    ] {
        let (code, _, told) = run(arguments).await;
        assert_eq!(code, 2, "{told}");
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn what_it_cannot_use_ends_it_with_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, keys) = (
        folder.path().join("broker.toml"),
        folder.path().join("keys"),
    );
    fs::write(
        &file,
        "[[listener]]\nurl = 'tcp://127.0.0.1:0'\n[log]\nlevel = 'off'\n[keys]\nfile = 'keys'",
    )
    .expect("is written");
    let file = file.to_str().expect("text");
    let all = || async {
        let served = run(&["--config", file]).await;
        let checked = run(&["--config", file, "--check-config"]).await;
        assert_eq!(served, checked);
        served
    };
    let (code, _, told) = all().await;
    assert_eq!(code, 1, "{told}");
    assert!(
        told.contains("cannot be read: No such file or directory"),
        "{told}"
    );
    fs::write(&keys, "ada 1 2").expect("is written");
    let (code, _, told) = all().await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("keys:1: "), "{told}");
    fs::write(&keys, "").expect("is written");
    let (code, said, told) = run(&["--config", file, "--check-config"]).await;
    assert_eq!(
        (code, &*said, &*told),
        (0, "the configuration is valid\n", "")
    );
}

#[tokio::test]
async fn help_and_version_are_there() {
    let (code, said, _) = run(&["--help"]).await;
    assert_eq!(code, 0);
    assert!(
        said.contains("--listen <URL>") && said.contains("MSIP_BROKER_LISTEN"),
        "{said}"
    );
    let (code, said, _) = run(&["--version"]).await;
    assert_eq!(
        (code, &*said),
        (0, concat!("msip-broker ", env!("CARGO_PKG_VERSION"), "\n"))
    );
}
