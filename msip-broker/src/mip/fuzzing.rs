//! The fuzz target of MIP's session.

use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use msip_session::wire::HEADER_LEN;

use super::session::{Input, Session};
use crate::router::SessionKey;

/// The largest body.
const MAX_BODY: usize = 300;

/// What a peer that sends these bytes gets, and asks for; `chunk` bytes are received at once.
fn run(bytes: &[u8], chunk: usize) -> (Vec<u8>, Vec<Asked>) {
    let mut session = Session::new(MAX_BODY);
    let mut buffer = BytesMut::with_capacity(4096);
    let mut asked: Vec<Asked> = Vec::new();
    for part in bytes.chunks(chunk.max(1)) {
        buffer.extend_from_slice(part);
        loop {
            match session.poll_input(&mut buffer, Duration::ZERO) {
                Ok(None) => break,
                Err(_) => return (std::mem::take(session.output()), asked),
                Ok(Some(Input::Close)) => {
                    asked.push(Asked::Close);
                    return (std::mem::take(session.output()), asked);
                }
                Ok(Some(Input::Hello(hello))) => {
                    session.welcome(&hello, SessionKey::BROKER, 7);
                    asked.push(Asked::Hello(format!("{:?}", hello.name)));
                }
                Ok(Some(Input::Subscribe(request))) => {
                    session.answer(&request, Ok(()));
                    asked.push(Asked::Topic(true, request.topic.to_vec()));
                }
                Ok(Some(Input::Unsubscribe(request))) => {
                    session.answer(&request, Ok(()));
                    asked.push(Asked::Topic(false, request.topic.to_vec()));
                }
                Ok(Some(Input::Publish(publication))) => {
                    let frames: Vec<_> = publication.iter().collect();
                    assert_eq!(frames.len(), publication.count as usize);
                    assert_eq!(frames.concat(), publication.frames);
                    assert!(publication.pinned >= publication.frames.len());
                    assert!(publication.topic.len() <= 65_535);
                    for frame in frames {
                        let mut rest = &*frame;
                        rest.advance(6);
                        assert_eq!(rest.get_u16(), 5, "an EVENT");
                        rest.advance(HEADER_LEN - 8);
                        let len = usize::from(rest.get_u16());
                        assert_eq!(rest.get(..len), Some(&*publication.topic));
                        assert!(rest.len() - len <= MAX_BODY);
                        // Runs differ with the chunks, and their messages do not.
                        asked.push(Asked::Message(frame.to_vec()));
                    }
                }
            }
        }
        assert!(buffer.len() <= 2 * 65_535 + MAX_BODY + HEADER_LEN);
    }
    (std::mem::take(session.output()), asked)
}

#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Hello(String),
    Topic(bool, Vec<u8>),
    Message(Vec<u8>),
    Close,
}

/// Any bytes are taken without a panic, and mean the same however they are cut. The first byte is the length of the chunks.
pub fn mip_session(data: &[u8]) {
    let Some((chunk, bytes)) = data.split_first() else {
        return;
    };
    let whole = run(bytes, usize::MAX);
    assert_eq!(run(bytes, usize::from(*chunk)), whole);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_and_mutations_of_it_break_no_promise() {
        msip_replay::replay("mip_session", mip_session, 2000);
    }
}
