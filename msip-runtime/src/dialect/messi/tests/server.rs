//! The server's end.

use msip_session::wire::{Code, ErrorText, Hello, SessionId, Welcome, write_welcome};

use super::*;
use crate::{dialect::messi::config::ServerConfig, settings::Settings, transport::ServiceUrl};

/// A server's end whose session is open.
fn server() -> End<MessiServer> {
    let url: ServiceUrl = "messi://127.0.0.1:1".parse().unwrap();
    let options = url.transport_options(Side::Accepting);
    let config = ServerConfig::of(&options, &Settings::default()).unwrap();
    let hello = Hello {
        protocol: "chat".into(),
        ..Hello::default()
    };
    let id = SessionId::new(7).unwrap();
    let texts = crate::dialect::Texts::of_server(&protocol()).map(std::sync::Arc::new);
    let dialect = MessiServer::new(&config, protocol(), texts, 1000, (id, hello));
    let mut server = End::new(dialect);
    let hello = server.given();
    assert_eq!(hello[0].0, FrameType::Hello);
    let mut welcome = Vec::new();
    let terms = Welcome {
        codec: 1,
        max_body: 1000,
        ..Welcome::default()
    };
    write_welcome(&mut welcome, id, &terms);
    server.say(Header::control(FrameType::Ack, hello[0].1), &welcome);
    let given = server.given();
    assert_eq!((given.len(), given[0].0), (1, FrameType::Credit));
    assert_eq!(server.told(), "", "Messi says nothing at a connect");
    server
}

#[test]
fn each_recorded_line_is_what_the_session_is_given() {
    let long = "12 d1 01 0a 04 45 72 69 6b 12 c8 01 78*200";
    for (line, frame_type, variant, body) in [
        ("01 00 00 08", FrameType::Publish, 1, ERIK),
        (
            "01 00 00 08",
            FrameType::Publish,
            1,
            "0a 06 0a 04 c3 85 73 61",
        ),
        ("01 00 00 0f", FrameType::Publish, 2, HELLO),
        (
            "01 00 00 11",
            FrameType::Publish,
            2,
            "12 0f 0a 04 c3 85 73 61 12 07 48 65 6a 20 e2 9a bd",
        ),
        (
            "01 00 00 08",
            FrameType::Publish,
            2,
            "12 06 0a 04 45 72 69 6b",
        ),
        ("01 00 00 d4", FrameType::Publish, 2, long),
        ("01 00 00 02", FrameType::Publish, 1, EMPTY_MEMBER),
        ("01 00 00 02", FrameType::Publish, 2, "12 00"),
    ] {
        let mut server = server();
        server.hear(&format!("{line} {body}"));
        let given = server.given();
        assert_eq!(given.len(), 1, "{line} {body}");
        let (given_type, id, given_variant, given_body) = &given[0];
        assert_eq!(
            (*given_type, *given_variant),
            (frame_type, variant),
            "{line} {body}"
        );
        assert_eq!(*given_body, bytes(body));
        assert!(!id.is_chosen_by_acceptor());
    }
}

#[test]
fn each_recorded_line_is_what_the_client_is_told() {
    let mut server = server();
    // An answer, and messages.
    server.hear(&format!("01 00 00 08 {ERIK}"));
    let call = server.given()[0].1;
    server.answer(call, 1, EMPTY_MEMBER);
    assert_eq!(server.told(), "02 00 00 02 0a 00");
    server.send(Side::Accepting, Flags::NONE, 2, HELLO);
    assert_eq!(server.told(), format!("02 00 00 0f {HELLO}"));
    server.send(Side::Accepting, Flags::NONE, 2, "12 00");
    assert_eq!(server.told(), "02 00 00 02 12 00");
    server.hear("03 00 00 00");
    assert_eq!(server.told(), "04 00 00 00");
    server.hear("03 00 00 01 ff");
    assert_eq!(server.told(), "04 00 00 00");
}

#[test]
fn what_is_unknown_is_ignored() {
    let mut server = server();
    for line in [
        "01 00 00 00",
        "01 00 00 02 7a 00",
        // An answer to nothing.
        "01 00 00 02 1a 00",
    ] {
        server.hear(line);
        assert_eq!(
            (server.told(), server.given()),
            (String::new(), vec![]),
            "{line}"
        );
        assert!(server.dialect.wants_bytes());
    }
}

#[test]
fn after_what_is_wrong_the_session_is_told_and_nothing_more_is_read() {
    for line in [
        "00 00 00 00",
        "05 00 00 00",
        "ff 00 00 00",
        "02 00 00 02 0a 00",
        "04 00 00 00",
        "01 00 00 04 ff ff ff ff",
        "01 ff ff ff",
        "03 00 03 e9",
        "01 00 00 05 0a 03 0a 01 ff",
        "01 00 00 05 0a 03 0a 05 61",
        "01 00 00 02 08 01",
        "01 00 00 03 0a 02 61",
    ] {
        let mut server = server();
        server.hear(&format!("01 00 00 02 12 00 {line} 01 00 00 02 12 00"));
        let given = server.given();
        assert_eq!(given.len(), 2, "{line}");
        assert_eq!(given[0].0, FrameType::Publish);
        assert_eq!(given[1].0, FrameType::Close, "{line}");
        assert_eq!(ErrorText::parse(&given[1].3).code, Code::InvalidArgument);
        assert!(!server.dialect.wants_bytes());
        // What came before it is served for so long, and no longer.
        assert_eq!(server.dialect.poll_timeout(), Some(seconds(30)));
    }
}

#[test]
fn half_a_frame_waits_for_the_rest() {
    let mut server = server();
    let line = bytes(&format!("01 00 00 0f {HELLO}"));
    let mut input = BytesMut::new();
    for byte in line {
        assert_eq!(server.given(), []);
        input.extend_from_slice(&[byte]);
        let heard = server
            .dialect
            .handle_bytes(&mut input, server.now, &mut server.output);
        heard.unwrap();
    }
    assert_eq!(server.given().len(), 1);
    assert!(input.is_empty());
}

#[test]
fn the_time_of_the_keepalive_is_restarted_by_pings_alone() {
    let mut server = server();
    server.wait_until(seconds(29)).unwrap();
    server.hear("03 00 00 00");
    server.wait_until(seconds(50)).unwrap();
    server.hear("01 00 00 02 12 00");
    server.wait_until(seconds(58)).unwrap();
    let error = server.wait_until(seconds(59)).unwrap_err();
    assert_eq!(error.rule, "no ping for 3s (keepalive_timeout)");
}

#[test]
fn a_client_that_is_not_read_cannot_ping() {
    let mut server = server();
    while server.dialect.wants_bytes() {
        server.hear("01 00 03 d4 12 d1 07 0a 04 45 72 69 6b 12 c8 07 78*968");
    }
    assert_eq!(server.dialect.poll_timeout(), None);
    server.wait_until(seconds(600)).unwrap();
    let credit = [0, 0, 16, 0, 0, 16, 0, 0];
    server.say(
        Header::control(FrameType::Credit, MsgId::CONNECTION),
        &credit,
    );
    assert!(server.dialect.wants_bytes());
    assert_eq!(server.dialect.poll_timeout(), Some(seconds(630)));
}

#[test]
fn questions_of_the_client_are_answered_one_after_the_other() {
    let mut server = server();
    server.hear(&format!(
        "01 00 00 08 {ERIK} 01 00 00 02 0a 00 01 00 00 02 12 00"
    ));
    let given = server.given();
    assert_eq!(
        given.len(),
        1,
        "the second waits for its turn, and so does what is behind it"
    );
    server.answer(given[0].1, 1, EMPTY_MEMBER);
    let given = server.given();
    assert_eq!(given.len(), 2);
    assert_eq!((given[0].2, given[1].2), (1, 2));
    assert_eq!(server.told(), "02 00 00 02 0a 00");
}

#[test]
fn answers_of_the_client_are_tied_to_questions_by_their_order() {
    let mut server = server();
    let asked = [(); 3].map(|()| server.send(Side::Accepting, Flags::ACK_REQUIRED, 3, "1a 00"));
    assert_eq!(
        server.told(),
        "02 00 00 02 1a 00 02 00 00 02 1a 00 02 00 00 02 1a 00"
    );
    // The session gives the first one up: its answer is still its own.
    server.say(Header::control(FrameType::Cancel, asked[0]), &[]);
    for id in asked {
        server.hear("01 00 00 02 1a 00");
        let given = server.given();
        assert_eq!(
            (given[0].0, given[0].1, given[0].2),
            (FrameType::Ack, id, 3)
        );
        assert_eq!(given[0].3, bytes("1a 00"));
    }
}

#[test]
fn a_client_that_answers_nothing_is_let_go() {
    let mut server = server();
    for _ in 0..4096 {
        server.send(Side::Accepting, Flags::ACK_REQUIRED, 3, "1a 00");
    }
    let header = Header {
        flags: Flags::ACK_REQUIRED,
        variant: 3,
        ..Header::control(FrameType::Event, MsgId::exchange(Side::Accepting, 9999))
    };
    let error = server.try_say(header, &[0, 0, 0x1a, 0]).unwrap_err();
    assert_eq!(
        error.rule,
        "4096 questions are unanswered, and one more was asked"
    );
}

#[test]
fn an_answer_with_a_nul_in_its_text_is_not_sent() {
    let mut server = server();
    server.hear(&format!("01 00 00 08 {ERIK}"));
    let call = server.given()[0].1;
    server.answer(call, 2, "12 03 12 01 00");
    assert_eq!(server.told(), "");
}

#[test]
fn nothing_is_said_at_a_close() {
    let mut server = server();
    server.hear(&format!("01 00 00 08 {ERIK}"));
    let call = server.given()[0].1;
    server.say(
        Header::control(FrameType::Close, MsgId::CONNECTION),
        b"UNAVAILABLE: stops",
    );
    assert!(!server.dialect.is_over());
    server.answer(call, 1, EMPTY_MEMBER);
    assert!(server.dialect.is_over());
    assert_eq!(server.told(), "02 00 00 02 0a 00");
}

#[test]
fn the_conversation_of_the_protocols_page_is_what_it_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = page.split("```messi name=messi-chat\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    let mut server = server();
    let (mut lines, mut said) = (0, 0);
    for line in block.lines() {
        let (side, hex) = line.split_once(": ").unwrap();
        let digits: Vec<char> = hex.chars().filter(|digit| *digit != ' ').collect();
        let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
        let hex = pairs.join(" ");
        lines += 1;
        if side == "client" {
            server.hear(&hex);
            for (frame_type, id, variant, body) in server.given() {
                assert_eq!(frame_type, FrameType::Publish);
                if variant == 1 {
                    server.answer(id, 1, EMPTY_MEMBER);
                } else {
                    let body: Vec<_> = body.iter().map(|byte| format!("{byte:02x}")).collect();
                    server.send(Side::Accepting, Flags::NONE, 2, &body.join(" "));
                }
            }
        } else {
            said += 1;
            assert_eq!(server.told(), hex);
        }
    }
    assert_eq!((lines, said), (6, 3));
}
