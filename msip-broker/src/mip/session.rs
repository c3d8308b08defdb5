//! One connection of a MIP peer as a value: bytes in, requests out, and the answers to be written.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use msip_session::{
    MsgKind,
    wire::{Code, FrameType, HEADER_LEN},
};

use super::frame::{
    COMPRESSED, Fault, Header, MAX_TOPIC, Request, TOPIC_LEN, URGENT, write_ack, write_close,
    write_error, write_pong, write_welcome,
};
use crate::router::{Dialect, Frames, Publication, Refused, SessionKey, StateKey};

/// How much a peer may send before its HELLO, and the HELLO with it, in bytes.
pub(crate) const MAX_BEFORE_HELLO: usize = 64 * 1024;

/// How long a frame may take to come, and what it may take longer for each 16 KiB of it.
const FRAME_TIME: Duration = Duration::from_secs(30);
const TIME_PER_16_KIB: Duration = Duration::from_secs(1);

/// The most bytes of messages that are published as one.
const MAX_RUN: usize = 256 * 1024;

/// Messages that are less than this part of the buffer that they were read into are copied out of it, so that a slow
/// subscriber does not keep all of it.
const SMALL_PART: usize = 4;

/// What a peer asks for.
#[derive(Debug)]
pub(crate) enum Input {
    /// To have a session: to be answered with [`Session::welcome`].
    Hello(Hello),
    /// To hear a topic: to be answered with [`Session::answer`].
    Subscribe(TopicRequest),
    /// Not to hear it any longer: to be answered with [`Session::answer`].
    Unsubscribe(TopicRequest),
    /// To have messages published. They are acknowledged already; [`Session::refuse`] takes that back.
    Publish(Publication),
    /// To end the connection.
    Close,
}

/// Which session a peer wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) name: Name,
    /// The id of the HELLO: some clients come back by it.
    pub(crate) msg_id: u64,
}

/// How a session is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    /// It is a new one.
    New,
    /// By its number.
    Number(u64),
    /// By a text, all of whose bytes count.
    Text(Bytes),
}

impl Name {
    fn of(payload: Bytes) -> Self {
        if let Some(number) = payload.first_chunk::<8>()
            && payload.len() == 8
        {
            Self::Number(u64::from_be_bytes(*number))
        } else if payload.len() < 8 {
            Self::New
        } else {
            Self::Text(payload)
        }
    }
}

/// SUBSCRIBE or UNSUBSCRIBE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicRequest {
    pub(crate) topic: Bytes,
    wants_ack: bool,
    msg_id: u64,
}

/// One connection of a peer. Times are `Duration`s since a moment of the caller's choice.
///
/// Nothing is kept of what was received: that stays in the buffer, of which whole frames are taken.
#[derive(Debug)]
pub(crate) struct Session {
    max_body: usize,
    /// What is to be written.
    output: Vec<u8>,
    state: State,
    /// How much of the output there was before the acknowledgments of the last messages.
    before_acks: usize,
    /// When a frame began of which a part is missing, and how long it will be.
    partial: Option<(Duration, usize)>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// No HELLO has come, and so many bytes before it.
    New {
        received: usize,
    },
    /// A HELLO has come and is not answered.
    Greeting,
    Open(SessionKey),
}

impl Session {
    pub(crate) const fn new(max_body: usize) -> Self {
        Self {
            max_body,
            output: Vec::new(),
            state: State::New { received: 0 },
            before_acks: 0,
            partial: None,
        }
    }

    /// The next request of what is in the buffer; `None` until more is received. What it is about is taken out of the buffer.
    ///
    /// # Errors
    ///
    /// The peer has broken a rule: the ERROR is in the output, and nothing more is read from it.
    pub(crate) fn poll_input(
        &mut self,
        buffer: &mut BytesMut,
        now: Duration,
    ) -> Result<Option<Input>, Fault> {
        let input = self.next_input(buffer, now);
        if let Err(fault) = &input {
            write_error(&mut self.output, fault.code, &fault.text, fault.msg_id);
            write_close(&mut self.output);
        }
        input
    }

    fn next_input(&mut self, buffer: &mut BytesMut, now: Duration) -> Result<Option<Input>, Fault> {
        loop {
            let Some(head) = buffer.first_chunk::<HEADER_LEN>() else {
                self.wait_for(HEADER_LEN, buffer, now);
                return Ok(None);
            };
            let header = Header::parse(head)?;
            self.admit(header)?;
            let len = HEADER_LEN.saturating_add(header.payload_len);
            if buffer.len() < len {
                self.wait_for(len, buffer, now);
                return Ok(None);
            }
            self.partial = None;
            if header.request == Request::Publish {
                match self.publish(header, len, buffer) {
                    Some(publication) => return Ok(Some(Input::Publish(publication))),
                    None => continue,
                }
            }
            let frame = buffer.split_to(len);
            let payload = || Bytes::copy_from_slice(frame.get(HEADER_LEN..).unwrap_or_default());
            let topic = || TopicRequest {
                topic: payload(),
                wants_ack: header.wants_ack(),
                msg_id: header.msg_id,
            };
            match header.request {
                Request::Ping => {
                    if let State::New { received } = &mut self.state {
                        *received = received.saturating_add(len);
                    }
                    write_pong(&mut self.output, header.msg_id);
                }
                Request::Hello => {
                    let msg_id = header.msg_id;
                    let name = Name::of(payload());
                    if let State::New { .. } = self.state {
                        self.state = State::Greeting;
                    }
                    return Ok(Some(Input::Hello(Hello { name, msg_id })));
                }
                Request::Subscribe => return Ok(Some(Input::Subscribe(topic()))),
                Request::Unsubscribe => return Ok(Some(Input::Unsubscribe(topic()))),
                Request::Close => return Ok(Some(Input::Close)),
                // Handled above.
                Request::Publish => {}
            }
        }
    }

    /// Decides from a header alone whether its frame may come now.
    fn admit(&self, header: Header) -> Result<(), Fault> {
        let fault = |code, text| Err(Fault::new(code, text, header.msg_id));
        let name = header.request.name();
        let max = header.request.max_payload(self.max_body);
        if header.payload_len > max {
            let text = format!(
                "{name} announces a payload of {} bytes: {max} are allowed",
                header.payload_len
            );
            return fault(Code::ResourceExhausted, text);
        }
        if let State::New { received } = self.state {
            if !matches!(header.request, Request::Hello | Request::Ping) {
                return fault(Code::FailedPrecondition, format!("{name} before HELLO"));
            }
            let len = received
                .saturating_add(HEADER_LEN)
                .saturating_add(header.payload_len);
            if len > MAX_BEFORE_HELLO {
                let text = format!("{len} bytes before HELLO: {MAX_BEFORE_HELLO} are allowed");
                return fault(Code::ResourceExhausted, text);
            }
        }
        Ok(())
    }

    /// A part of a frame is missing, or nothing has come of it.
    fn wait_for(&mut self, len: usize, buffer: &BytesMut, now: Duration) {
        self.partial = match self.partial {
            _ if buffer.is_empty() => None,
            Some((since, _)) => Some((since, len)),
            None => Some((now, len)),
        };
    }

    /// Takes messages off the front of the buffer that can be published as one: those of one topic, kind and class, one after
    /// the other. The first of them is whole. `None` where that was answered with an ERROR.
    fn publish(&mut self, first: Header, len: usize, buffer: &mut BytesMut) -> Option<Publication> {
        self.before_acks = self.output.len();
        let State::Open(from) = self.state else {
            return None;
        };
        let start = buffer.get(HEADER_LEN..len).unwrap_or_default();
        let topic_len = start.first_chunk::<TOPIC_LEN>();
        let prefix_len = topic_len.map_or(TOPIC_LEN, |len| {
            TOPIC_LEN + usize::from(u16::from_be_bytes(*len))
        });
        let body_len = match start.len().checked_sub(prefix_len) {
            Some(len) if len <= self.max_body => len,
            Some(len) => {
                let text = format!("a body of {len} bytes: {} are allowed", self.max_body);
                return self.refuse_first(
                    Code::ResourceExhausted,
                    &text,
                    first,
                    start.len(),
                    buffer,
                );
            }
            None => {
                let text = "the topic reaches beyond the payload";
                return self.refuse_first(Code::InvalidArgument, text, first, start.len(), buffer);
            }
        };
        // A STATE takes the place of another, so that each is published by itself.
        let most = if first.kind == MsgKind::State {
            1
        } else {
            u32::MAX
        };
        let run = Run::gather(buffer, prefix_len, self.max_body, most, &mut self.output)?;
        let is_shared = run.len >= buffer.capacity() / SMALL_PART;
        let capacity = buffer.capacity();
        let frames = if is_shared {
            buffer.split_to(run.len).freeze()
        } else {
            let copy = Bytes::copy_from_slice(buffer.get(..run.len).unwrap_or_default());
            bytes::Buf::advance(buffer, run.len);
            copy
        };
        let topic = frames.slice(HEADER_LEN + TOPIC_LEN..HEADER_LEN + prefix_len);
        let mut publication = Publication::new(from, topic, first.kind, frames, run.count);
        publication.dialect = Dialect::Mip;
        publication.urgent = first.flags & URGENT != 0;
        // Each PUBLISH is acknowledged, whatever its flags say.
        publication.wants_ack = true;
        if is_shared {
            publication.pinned = capacity;
        }
        if first.kind == MsgKind::State {
            publication.state = Some(StateKey {
                variant: 0,
                key: Bytes::new(),
                is_cleared: body_len == 0,
            });
        }
        Some(publication)
    }

    /// Answers the first frame of the buffer with an ERROR, and takes it out.
    fn refuse_first(
        &mut self,
        code: Code,
        text: &str,
        header: Header,
        payload_len: usize,
        buffer: &mut BytesMut,
    ) -> Option<Publication> {
        write_error(&mut self.output, code, text, header.msg_id);
        bytes::Buf::advance(buffer, HEADER_LEN + payload_len);
        None
    }

    /// The session that the peer has asked for, and the number that it is told.
    pub(crate) fn welcome(&mut self, hello: &Hello, key: SessionKey, number: u64) {
        self.state = State::Open(key);
        write_welcome(&mut self.output, number, hello.msg_id);
    }

    /// Refuses the HELLO; the connection is to be closed.
    pub(crate) fn refuse_hello(&mut self, hello: &Hello, code: Code, text: &str) {
        write_error(&mut self.output, code, text, hello.msg_id);
        write_close(&mut self.output);
    }

    /// Answers SUBSCRIBE or UNSUBSCRIBE: an ACK where one is asked for, and an ERROR in any case.
    pub(crate) fn answer(&mut self, request: &TopicRequest, outcome: Result<(), &Refused>) {
        match outcome {
            Ok(()) if request.wants_ack => write_ack(&mut self.output, request.msg_id),
            Ok(()) => {}
            Err(refused) => {
                write_error(
                    &mut self.output,
                    refused.code,
                    &refused.text,
                    request.msg_id,
                );
            }
        }
    }

    /// Takes the acknowledgments of the last messages back, and answers each with an ERROR. To be called before the next input
    /// is asked for.
    pub(crate) fn refuse(&mut self, frames: Bytes, refused: &Refused) {
        self.output.truncate(self.before_acks);
        for frame in Frames::new(frames) {
            let msg_id = frame.get(16..).and_then(<[u8]>::first_chunk);
            let msg_id = u64::from_be_bytes(*msg_id.unwrap_or(&[0; 8]));
            write_error(&mut self.output, refused.code, &refused.text, msg_id);
        }
    }

    /// Says why the connection ends.
    pub(crate) fn fail(&mut self, code: Code, text: &str) {
        write_error(&mut self.output, code, text, 0);
        write_close(&mut self.output);
    }

    /// Says goodbye, which is all that a peer is told without having asked.
    pub(crate) fn close(&mut self) {
        write_close(&mut self.output);
    }

    /// What is to be written. It is emptied by whoever writes it.
    pub(crate) const fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    /// When the rest of a frame must have come.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let (since, len) = self.partial?;
        let parts = u32::try_from(len / (16 * 1024)).unwrap_or(u32::MAX);
        Some(since + FRAME_TIME + TIME_PER_16_KIB.saturating_mul(parts))
    }

    /// How long the frame will be of which a part is missing; 0 where there is none.
    pub(crate) fn partial_len(&self) -> usize {
        self.partial.map_or(0, |(_, len)| len)
    }
}

/// Messages that are published together.
struct Run {
    len: usize,
    count: u32,
}

impl Run {
    /// Makes EVENTs of the PUBLISHes at the front of the buffer, in place, and acknowledges each. The first is known to be
    /// whole, and to have `prefix_len` bytes of topic with its length.
    #[inline]
    fn gather(
        buffer: &mut BytesMut,
        prefix_len: usize,
        max_body: usize,
        most: u32,
        output: &mut Vec<u8>,
    ) -> Option<Self> {
        let mut rest: &mut [u8] = buffer;
        let mut class: Option<(&[u8], MsgKind, u8)> = None;
        let mut run = Self { len: 0, count: 0 };
        while run.count < most && run.len < MAX_RUN {
            let Some((head, after)) = rest.split_first_chunk_mut::<HEADER_LEN>() else {
                break;
            };
            // What is wrong with it is found when it is the first.
            let Ok(header) = Header::parse(head) else {
                break;
            };
            if header.request != Request::Publish {
                break;
            }
            let Some((payload, after)) = after.split_at_mut_checked(header.payload_len) else {
                break;
            };
            let urgent = header.flags & URGENT;
            match class {
                None => {}
                Some((prefix, kind, is_urgent)) => {
                    let is_alike = header.kind == kind && urgent == is_urgent;
                    if !is_alike
                        || !payload.starts_with(prefix)
                        || payload.len() - prefix.len() > max_body
                    {
                        break;
                    }
                }
            }
            become_event(head, header.flags);
            write_ack(output, header.msg_id);
            run.len += HEADER_LEN + payload.len();
            run.count += 1;
            if class.is_none() {
                let (prefix, _) = payload.split_at_checked(prefix_len)?;
                class = Some((prefix, header.kind, urgent));
            }
            rest = after;
        }
        Some(run)
    }
}

/// Makes the header of an EVENT of that of a PUBLISH. Of its flags those stay that mean something to a subscriber.
#[inline]
fn become_event(header: &mut [u8; HEADER_LEN], before: u8) {
    let [_, _, _, _, _, flags, t0, t1, _, _, r0, r1, ..] = header;
    *flags = before & (COMPRESSED | URGENT);
    [*t0, *t1] = FrameType::Event.number().to_be_bytes();
    [*r0, *r1] = [0, 0];
}

#[cfg(test)]
mod tests;

const _: () = assert!(MAX_TOPIC < MAX_RUN, "a run has place for a topic");
