//! Two sessions in one thread, with a `Vec<u8>` between them: handshake, a call and its answer.

use msip_session::wire::{Codec, Decoder, Hello, Limits, SECRET_LEN, SessionId, Side, Welcome};
use msip_session::{CallShape, Config, Event, MsgKind, Outcome, Reply, ReplyTo};
use msip_session::{RequestHead, Session, Token};
use std::{error::Error, time::Duration};

/// The time, which a driver counts since a moment of its choice.
const NOW: Duration = Duration::ZERO;

/// Carries the frames of one session to the other, and returns what they mean there.
fn carry(from: &mut Session, to: &mut Session) -> Result<Vec<Event>, Box<dyn Error>> {
    let mut wire: Vec<u8> = Vec::new();
    while let Some(chunk) = from.poll_transmit() {
        wire.extend_from_slice(&chunk.bytes);
        from.transmitted(chunk);
    }
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(&wire);
    let mut events = Vec::new();
    while let Some(frame) = decoder.decode()? {
        events.extend(to.handle_frame(frame, NOW)?);
    }
    Ok(events)
}

fn main() -> Result<(), Box<dyn Error>> {
    let id = SessionId::new(7).ok_or("0 is no session id")?;
    let mut hello = Hello::default();
    hello.protocol.push_str("demo.v1");
    hello.session_secret.resize(SECRET_LEN, 7);
    let mut client = Session::connecting(Config::new(Side::Connecting), id, &hello, NOW);
    let mut server = Session::accepting(Config::new(Side::Accepting), NOW);
    let events = carry(&mut client, &mut server)?;
    assert!(matches!(events[..], [Event::Hello(_)]));
    let mut welcome = Welcome::default();
    welcome.set_codec(Codec::Protobuf);
    server.welcome(id, &welcome, hello.max_body);
    let events = carry(&mut server, &mut client)?;
    assert!(matches!(events[..], [Event::Welcome(_)]));

    let (head, ask) = (RequestHead::new(1, MsgKind::Command, false), Token::new(0));
    let (shape, deadline) = (CallShape::UNARY, Duration::from_secs(5));
    client.call(&head, shape, ask, deadline, |body| body.extend(b"how?"))?;
    for event in carry(&mut client, &mut server)? {
        if let Event::Incoming(request) = event
            && let ReplyTo::Call(slot) = request.reply
        {
            server.reply(slot, Reply::message(2, 4, |body| body.extend(b"fine")));
        }
    }
    let events = carry(&mut server, &mut client)?;
    assert!(matches!(&events[..], [Event::Answered { token, outcome }]
        if *token == ask && matches!(outcome, Outcome::Answer { body, .. } if body == "fine")));
    Ok(())
}
