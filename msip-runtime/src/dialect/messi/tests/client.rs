//! The client's end.

use msip_session::wire::{Hello, SECRET_LEN, SessionId, parse_welcome, write_hello, write_ping};

use super::*;
use crate::{dialect::messi::config::ClientConfig, settings::Settings, transport::ServiceUrl};

/// A client's end whose session is open.
fn client() -> End<MessiClient> {
    let url: ServiceUrl = "messi://127.0.0.1:1".parse().unwrap();
    let options = url.transport_options(Side::Connecting);
    let config = ClientConfig::of(&options, &Settings::default()).unwrap();
    let mut client = End::new(MessiClient::new(&config, protocol(), None, 1000));
    let mut hello = Vec::new();
    let terms = Hello {
        protocol: "chat".into(),
        max_body: 1000,
        session_secret: vec![0; SECRET_LEN],
        ..Hello::default()
    };
    write_hello(&mut hello, SessionId::new(9).unwrap(), &terms);
    client.say(Header::control(FrameType::Hello, MsgId::new(1)), &hello);
    let given = client.given();
    let welcome = parse_welcome(given[0].3.clone().into()).unwrap();
    assert_eq!(welcome.welcome.max_body, 0xff_ff_ff);
    assert!(!welcome.welcome.resumed);
    assert_eq!(client.told(), "", "Messi says nothing at a connect");
    client
}

#[test]
fn each_recorded_line_is_what_the_server_is_told() {
    for (flags, variant, line, body) in [
        (Flags::ACK_REQUIRED, 1, "01 00 00 08", ERIK),
        (Flags::ACK_REQUIRED, 1, "01 00 00 02", EMPTY_MEMBER),
        (Flags::NONE, 2, "01 00 00 0f", HELLO),
        (Flags::NONE, 2, "01 00 00 02", "12 00"),
    ] {
        let mut client = client();
        client.send(Side::Connecting, flags, variant, body);
        assert_eq!(client.told(), format!("{line} {body}"));
    }
}

#[test]
fn each_recorded_line_is_what_the_session_is_given() {
    let mut client = client();
    let call = client.send(Side::Connecting, Flags::ACK_REQUIRED, 1, ERIK);
    client.hear("02 00 00 02 0a 00");
    let answer = (FrameType::Ack, call, 1, bytes(EMPTY_MEMBER));
    assert_eq!(client.given(), [answer]);
    client.hear(&format!("02 00 00 0f {HELLO}"));
    let given = client.given();
    assert_eq!((given[0].0, given[0].2), (FrameType::Event, 2));
    assert!(given[0].1.is_chosen_by_acceptor());
    // A question of the server, and the answer.
    client.hear("02 00 00 02 1a 00");
    let asked = client.given();
    assert_eq!((asked[0].0, asked[0].2), (FrameType::Event, 3));
    client.told();
    client.answer(asked[0].1, 3, "1a 00");
    assert_eq!(client.told(), "01 00 00 02 1a 00");
}

#[test]
fn a_late_answer_is_that_of_its_own_question() {
    let mut client = client();
    let [late, next] =
        [(); 2].map(|()| client.send(Side::Connecting, Flags::ACK_REQUIRED, 1, ERIK));
    // The session has given the first one up; it says so, or not.
    client.say(Header::control(FrameType::Cancel, late), &[]);
    client.hear("02 00 00 02 0a 00");
    assert_eq!(client.given()[0].1, late, "which the session ignores");
    client.hear("02 00 00 02 0a 00");
    assert_eq!(client.given()[0].1, next);
    client.hear("02 00 00 02 0a 00");
    assert_eq!(client.given(), [], "an answer to nothing");
}

#[test]
fn it_pings_every_two_seconds_and_each_pong_answers() {
    let mut client = client();
    client.wait_until(seconds(19)).unwrap();
    assert_eq!(client.told(), "");
    client.wait_until(seconds(20)).unwrap();
    assert_eq!(client.told(), "03 00 00 00");
    client.wait_until(seconds(39)).unwrap();
    client.hear("04 00 00 00");
    client.wait_until(seconds(40)).unwrap();
    assert_eq!(client.told(), "03 00 00 00");
    let error = client.wait_until(seconds(60)).unwrap_err();
    assert_eq!(error.rule, "no pong for 2s (keepalive_timeout)");
}

#[test]
fn a_ping_of_the_session_is_one_of_messis() {
    let mut client = client();
    client.wait_until(seconds(20)).unwrap();
    let mut ping = Vec::new();
    write_ping(&mut ping, MsgId::new(77), b"");
    client.say(Header::control(FrameType::Ping, MsgId::new(77)), &[]);
    assert_eq!(client.told(), "03 00 00 00 03 00 00 00");
    client.hear("04 00 00 00");
    assert_eq!(client.given(), []);
    client.hear("04 00 00 00 04 00 00 00");
    let pong = (FrameType::Pong, MsgId::new(77), 0, vec![]);
    assert_eq!(client.given(), [pong]);
}

#[test]
fn unknown_types_are_ignored_and_what_cannot_be_read_ends_the_connection() {
    for line in [
        "05 00 00 01 00",
        "01 00 00 02 0a 00",
        "03 00 00 00",
        "02 00 00 00",
        "02 00 00 02 7a 00",
    ] {
        let mut client = client();
        client.hear(line);
        assert_eq!(
            (client.told(), client.given()),
            (String::new(), vec![]),
            "{line}"
        );
    }
    for line in [
        "02 00 00 04 ff ff ff ff",
        "02 00 03 e9",
        "02 00 00 05 12 03 0a 01 ff",
    ] {
        assert!(client().try_hear(line).is_err(), "{line}");
    }
}
