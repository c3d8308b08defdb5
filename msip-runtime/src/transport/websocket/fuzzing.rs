//! The body of the fuzz target `websocket`.

use std::{
    future::Future as _,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio_tungstenite::tungstenite::protocol::Role;

use super::{
    accept::{self, Accepting},
    request,
    stream::ByteStream,
};

/// Takes the first byte for what the others are: the head of a request, or of a response, or frames for a server or a client,
/// which come in parts of a length that follows. Fails where that panics, where more is read than was sent, where reading
/// goes on after its end, or where a stream that is open is not written to.
pub(crate) fn websocket(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    match kind % 4 {
        0 => {
            let accepting = Accepting {
                path: "/chat".to_owned(),
                origins: vec!["https://a.example".to_owned()],
                scheme: "ws",
            };
            if let Err(refused) = accept::check(data, &[], &accepting) {
                let answer = refused.answer();
                assert!(answer.len() < 2048, "{} bytes", answer.len());
            }
        }
        1 => {
            if let Err(error) = request::check(data, "dGhlIHNhbXBsZSBub25jZQ==") {
                assert!(error.to_string().len() < 2048, "{error}");
            }
        }
        2 => frames(Role::Server, data),
        _ => frames(Role::Client, data),
    }
}

fn frames(role: Role, data: &[u8]) {
    let Some((&part_len, data)) = data.split_first() else {
        return;
    };
    let mut task = Context::from_waker(Waker::noop());
    let (near, mut far) = duplex(64 * 1024);
    let made = pin!(ByteStream::new(near, role, Vec::new())).poll(&mut task);
    let Poll::Ready(mut socket) = made else {
        panic!("it waits for nobody");
    };
    let (mut heard, mut end) = (0, None);
    for part in data.chunks(usize::from(part_len).max(1)) {
        // The other end reads nothing that fills it: pongs of so few bytes fit.
        let sent = Pin::new(&mut far).poll_write(&mut task, part);
        assert!(matches!(sent, Poll::Ready(Ok(len)) if len == part.len()) || end.is_some());
        while end.is_none() {
            match read(&mut socket, &mut task) {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => end = Some(None),
                Poll::Ready(Ok(len)) => heard += len,
                Poll::Ready(Err(error)) => end = Some(Some(error.kind())),
            }
        }
    }
    assert!(heard <= data.len(), "{heard} of {} bytes", data.len());
    let written = Pin::new(&mut socket).poll_write(&mut task, b"bytes");
    match end {
        None => assert!(matches!(written, Poll::Ready(Ok(5))), "{written:?}"),
        Some(end) => {
            assert!(matches!(written, Poll::Ready(Err(_))), "{written:?}");
            let again = read(&mut socket, &mut task);
            let is_same = match (&again, end) {
                (Poll::Ready(Ok(0)), None) => true,
                (Poll::Ready(Err(error)), Some(kind)) => error.kind() == kind,
                _ => false,
            };
            assert!(is_same, "{again:?} after {end:?}");
        }
    }
    let closed = Pin::new(&mut socket).poll_shutdown(&mut task);
    assert!(closed.is_ready(), "its peer has place for it");
}

fn read(
    socket: &mut ByteStream<DuplexStream>,
    task: &mut Context<'_>,
) -> Poll<std::io::Result<usize>> {
    let mut bytes = [0; 100];
    let mut buf = ReadBuf::new(&mut bytes);
    let read = Pin::new(socket).poll_read(task, &mut buf);
    read.map_ok(|()| buf.filled().len())
}
