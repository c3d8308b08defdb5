//! Small cases, measured separately: without sockets, on one thread.
//!
//! A case repeats one operation. `cargo bench -p msip-benches` measures its time; `msip-benches instructions` counts
//! instructions, which do not depend on the load of the machine.

use std::hint::black_box;

use bytes::{BufMut as _, Bytes};
use msip_load::data_of;
use msip_runtime::{
    BodyError, CallError, Client, ConnectError, Envelope as _, MsgKind, SendError, Server,
    body::Body,
    wire::{
        DecodeError, Decoder, Flags, Frame, FrameTooLong, FrameType, HEADER_LEN, Header,
        HeaderError, Limits, MsgId, Payload, PayloadError, RawKind, Side, begin_frame,
        finish_frame,
    },
};
use thiserror::Error;
use tokio::{runtime::Builder, task::JoinSet};

use crate::{
    Echo,
    bench::{Bench, ClientToServer, Note, SendClientToServer as _, TallyReq},
};

/// One case.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Its name.
    pub name: &'static str,
    /// A description.
    pub what: &'static str,
    /// Runs it this many times.
    pub run: fn(u64) -> Result<(), CaseError>,
}

/// A case failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CaseError {
    /// A header is invalid.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A frame is invalid.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A payload is invalid.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A body is invalid.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// A frame is too long.
    #[error(transparent)]
    TooLong(#[from] FrameTooLong),
    /// The server cannot listen.
    #[error(transparent)]
    Bind(#[from] msip_runtime::BindError),
    /// The client cannot connect.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A message was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// The runtime cannot be created.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A task panicked.
    #[error(transparent)]
    Task(#[from] tokio::task::JoinError),
    /// Messages are missing.
    #[error("{came} of {sent} came")]
    Lost {
        /// The number sent.
        sent: u64,
        /// The number received.
        came: u64,
    },
}

/// All cases.
pub const CASES: &[Case] = &[
    Case {
        name: "header-parse",
        what: "a header read from 24 bytes",
        run: header_parse,
    },
    Case {
        name: "header-encode",
        what: "a header written to 24 bytes",
        run: header_encode,
    },
    Case {
        name: "decode-frames",
        what: "a frame cut out of a chunk of 1,000, each with 32 B",
        run: decode_frames,
    },
    Case {
        name: "parse-payload",
        what: "the payload of a frame of 32 B taken apart",
        run: parse_payload,
    },
    Case {
        name: "encode-message",
        what: "a message of 32 B encoded into the outgoing buffer, behind its header",
        run: encode_message,
    },
    Case {
        name: "decode-message",
        what: "a message of 32 B decoded",
        run: decode_message,
    },
    Case {
        name: "call",
        what: "a call of 32 B and its answer, in memory, both ends on one thread",
        run: |count| calls(count, 1),
    },
    Case {
        name: "call-of-64",
        what: "the same, 64 at a time",
        run: |count| calls(count, 64),
    },
    Case {
        name: "one-way",
        what: "a message of 32 B without an answer, sent and handled, in memory, both ends on one thread",
        run: one_way,
    },
];

fn header() -> Header {
    Header {
        flags: Flags::ACK_REQUIRED,
        frame_type: FrameType::Publish,
        kind: RawKind::from(MsgKind::Command),
        variant: 1,
        payload_len: 36,
        msg_id: MsgId::exchange(Side::Connecting, 7),
    }
}

fn header_parse(count: u64) -> Result<(), CaseError> {
    let bytes = header().encode();
    for _ in 0..count {
        black_box(Header::parse(black_box(&bytes))?);
    }
    Ok(())
}

fn header_encode(count: u64) -> Result<(), CaseError> {
    let header = header();
    for _ in 0..count {
        black_box(black_box(&header).encode());
    }
    Ok(())
}

fn message() -> ClientToServer {
    ClientToServer::EchoReq(Note {
        number: 7,
        data: data_of(32),
    })
}

/// A frame as sent by a client: without a topic, and with a body.
fn put_message(buffer: &mut Vec<u8>, message: &ClientToServer) -> Result<(), CaseError> {
    let mark = begin_frame(buffer, &header());
    buffer.put_u16(0);
    message.encode(buffer);
    finish_frame(buffer, mark)?;
    Ok(())
}

fn decode_frames(count: u64) -> Result<(), CaseError> {
    const CHUNK: u64 = 1000;
    let mut chunk = Vec::new();
    for _ in 0..CHUNK {
        put_message(&mut chunk, &message())?;
    }
    let mut decoder = Decoder::new(Limits::default().max_payload());
    let mut decoded = 0;
    while decoded < count {
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            let buffer = decoder.buffer();
            let room = (buffer.capacity() - buffer.len()).min(rest.len());
            let (now, later) = rest.split_at(room);
            buffer.extend_from_slice(now);
            rest = later;
            while let Some(frame) = decoder.decode()? {
                black_box(frame);
                decoded += 1;
            }
        }
    }
    Ok(())
}

fn parse_payload(count: u64) -> Result<(), CaseError> {
    let mut bytes = Vec::new();
    put_message(&mut bytes, &message())?;
    let frame = Frame {
        header: header(),
        payload: Bytes::from(bytes.split_off(HEADER_LEN)),
    };
    let limits = Limits::default();
    for _ in 0..count {
        black_box(Payload::parse(black_box(frame.clone()), &limits)?);
    }
    Ok(())
}

fn encode_message(count: u64) -> Result<(), CaseError> {
    let message = message();
    let mut buffer = Vec::with_capacity(64 * 1024);
    for _ in 0..count {
        if buffer.len() > 60 * 1024 {
            buffer.clear();
        }
        put_message(&mut buffer, black_box(&message))?;
    }
    black_box(buffer);
    Ok(())
}

fn decode_message(count: u64) -> Result<(), CaseError> {
    let mut body = Vec::new();
    message().encode(&mut body);
    let body = Bytes::from(body);
    for _ in 0..count {
        black_box(ClientToServer::decode(1, black_box(Body::from(&body)))?);
    }
    Ok(())
}

/// Runs a client and a server in memory, on this thread.
fn in_memory<F>(work: impl FnOnce(Client<Bench>) -> F) -> Result<(), CaseError>
where
    F: Future<Output = Result<(), CaseError>>,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let server = Server::<Bench>::bind("mem://cases").await?;
        let serving = tokio::spawn(server.serve(Echo::default()));
        let client = Client::<Bench>::connect("mem://cases").await?;
        let done = work(client).await;
        serving.abort();
        done
    })
}

fn calls(count: u64, in_flight: u64) -> Result<(), CaseError> {
    in_memory(async |client| {
        let mut tasks = JoinSet::new();
        for _ in 0..in_flight {
            let client = client.clone();
            tasks.spawn(async move {
                let data = data_of(32);
                for number in 0..count / in_flight {
                    let data = data.clone();
                    black_box(client.echo_req(Note { number, data }).await?);
                }
                Ok::<_, CallError>(())
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
}

fn one_way(count: u64) -> Result<(), CaseError> {
    in_memory(async |client| {
        let data = data_of(32);
        for number in 0..count {
            let data = data.clone();
            client.note_ind(Note { number, data }).await?;
        }
        let came = client.tally_req(TallyReq {}).await?.count;
        if came != count {
            return Err(CaseError::Lost { sent: count, came });
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_does_what_it_says() {
        for case in CASES {
            (case.run)(1000).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        }
    }
}
