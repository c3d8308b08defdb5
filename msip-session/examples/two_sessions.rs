//! Two sessions in one thread, with a `Vec<u8>` for each direction: handshake, a call and its answer, close.

use std::{error::Error, time::Duration};

use msip_session::wire::{
    Code, Codec, Decoder, Hello, Limits, SECRET_LEN, SessionId, Side, Welcome,
};
use msip_session::{
    CallShape, Config, Event, MsgKind, Outcome, Reply, ReplyTo, RequestHead, Session, Token,
};

/// Carries what one session has to write to the other, and returns the events of that.
fn carry(
    from: &mut Session,
    to: &mut Session,
    wire: &mut Vec<u8>,
) -> Result<Vec<Event>, Box<dyn Error>> {
    while let Some(chunk) = from.poll_transmit() {
        wire.extend_from_slice(&chunk.bytes);
        from.transmitted(chunk);
    }
    let now = Duration::ZERO; // A driver tells the time since a moment of its choice.
    let mut decoder = Decoder::new(Limits::default().max_payload());
    decoder.buffer().extend_from_slice(wire);
    wire.clear();
    to.received(now);
    let mut events = Vec::new();
    while let Some(frame) = decoder.decode()? {
        events.extend(to.handle_frame(frame, now)?);
    }
    Ok(events)
}

fn main() -> Result<(), Box<dyn Error>> {
    let now = Duration::ZERO;
    let id = SessionId::new(7).ok_or("0 is no session id")?;
    let hello = Hello {
        protocol: "demo.v1".to_owned(),
        session_secret: vec![7; SECRET_LEN],
        ..Hello::default()
    };
    let mut client = Session::connecting(Config::new(Side::Connecting), id, &hello, now);
    let mut server = Session::accepting(Config::new(Side::Accepting), now);
    let (mut up, mut down) = (Vec::new(), Vec::new());

    let events = carry(&mut client, &mut server, &mut up)?;
    assert!(matches!(events[..], [Event::Hello(_)]));
    let welcome = Welcome {
        codec: Codec::Protobuf.into(),
        ..Welcome::default()
    };
    server.welcome(id, &welcome, hello.max_body);
    let events = carry(&mut server, &mut client, &mut down)?;
    assert!(matches!(events[..], [Event::Welcome(_)]));

    let (head, token) = (RequestHead::new(1, MsgKind::Command, false), Token::new(0));
    let deadline = now + Duration::from_secs(5);
    client.call(&head, CallShape::UNARY, token, deadline, |body| {
        body.extend_from_slice(b"how are you?");
    })?;
    for event in carry(&mut client, &mut server, &mut up)? {
        if let Event::Incoming(request) = event
            && let ReplyTo::Call(slot) = request.reply
        {
            assert_eq!(request.body, "how are you?");
            let reply = Reply::message(2, 4, |body| body.extend_from_slice(b"fine"));
            server.reply(slot, reply);
        }
    }
    let events = carry(&mut server, &mut client, &mut down)?;
    let [
        Event::Answered {
            token: answered,
            outcome: Outcome::Answer { body, .. },
        },
    ] = &events[..]
    else {
        return Err(format!("not an answer: {events:?}").into());
    };
    assert_eq!((*answered, &body[..]), (token, &b"fine"[..]));

    client.begin_close(Code::Cancelled, "done", now);
    let events = carry(&mut client, &mut server, &mut up)?;
    assert!(matches!(events[..], [Event::Closing(_)]));
    assert!(client.is_finished() && server.is_finished());
    Ok(())
}
