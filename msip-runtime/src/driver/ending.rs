//! The end of a connection: why it ended, what becomes of its session, and its graceful close.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use bytes::BufMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    task::unconstrained,
    time::timeout,
};

use super::Driver;
use crate::{DisconnectReason, dialect::DialectError, transport::Stream};
use msip_session::{
    Fault, FaultKind, Lost, Suspended, TimedOut, first_frame, refuse_late,
    wire::{Code, Decoder, ErrorText, FrameType, Side, write_close},
};

/// How long, and for how many bytes, a connection that is over is still read, so that the last text arrives
/// (docs/protocol.md, "Errors and close").
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
const CLOSE_READ_LEN: usize = 64 * 1024;

/// How long, and for how many bytes, requests are refused that were under way when the time of a drain was up
/// (docs/protocol.md, "Drain").
const REFUSE_TIMEOUT: Duration = Duration::from_millis(500);
const REFUSE_READ_LEN: usize = 1024 * 1024;

/// Why the driver stopped.
#[derive(Debug)]
pub(crate) enum Ending {
    /// All that was open has finished.
    Finished,
    Eof,
    Io(io::Error),
    Fault(Fault),
    TimedOut(TimedOut),
    WriteStalled(Duration),
    /// A newer connection has claimed the session.
    TakenOver,
    /// The client could not log in.
    LoginFailed,
}

/// How a connection ended.
#[derive(Debug)]
pub(crate) struct ConnectionEnd {
    pub(crate) reason: DisconnectReason,
    /// Whether the session waits for another connection; else it has ended too.
    pub(crate) is_suspended: bool,
    /// Whether the peer has sent anything after its handshake, so that it has had the answer to its HELLO.
    pub(crate) has_received: bool,
    /// The exchanges that were lost.
    pub(crate) lost: Vec<Lost>,
    /// How many exchanges of either side were cut off.
    pub(crate) cut_off: usize,
    pub(crate) graceful_close: GracefulClose,
}

/// A connection that is over, but for the last bytes to write.
#[derive(Debug)]
pub(crate) struct GracefulClose {
    stream: Stream,
    chunks: Option<Vec<Vec<u8>>>,
    rest: Rest,
}

/// What becomes of what the peer still sends.
#[derive(Debug)]
enum Rest {
    /// It is read for a moment and discarded.
    Discarded,
    /// The peer has had its time: it is not read.
    Unread,
    /// Its requests are refused.
    Refused(Decoder, Side),
}

impl GracefulClose {
    /// Whether there are last bytes to write. Where there are none, dropping it is all that is left.
    pub(crate) const fn is_due(&self) -> bool {
        self.chunks.is_some()
    }

    /// Writes the last bytes if they can be written at once, and closes.
    pub(crate) fn finish_at_once(self) {
        try_once(self.finish());
    }

    /// Writes the last bytes, where there are any, and closes.
    pub(crate) async fn finish(mut self) {
        let Some(chunks) = self.chunks.take() else {
            return;
        };
        match self.rest {
            Rest::Discarded => close_gracefully(&mut self.stream, chunks).await,
            Rest::Unread => {
                let closing = async {
                    write_last(&mut self.stream, chunks).await?;
                    self.stream.shutdown().await
                };
                // It is over either way.
                let _ = timeout(CLOSE_TIMEOUT, closing).await;
            }
            Rest::Refused(decoder, side) => {
                close_refusing(&mut self.stream, chunks, decoder, side).await;
            }
        }
    }
}

impl Driver {
    /// Ends the connection, and with it the session, unless that can go on with another one.
    pub(crate) fn end(mut self, mut ending: Ending) -> ConnectionEnd {
        self.inbox.set_driven(false);
        self.stream.end_lane();
        let mut ended = ConnectionEnd {
            reason: DisconnectReason::ClosedByUs,
            is_suspended: false,
            has_received: self.has_received,
            lost: Vec::new(),
            cut_off: 0,
            graceful_close: GracefulClose {
                stream: self.stream,
                chunks: None,
                rest: Rest::Discarded,
            },
        };
        let in_flight = self
            .writing
            .as_ref()
            .map(|(chunk, written)| (chunk, *written));
        let begun = in_flight.map(|(chunk, written)| rest_of_frame(&chunk.bytes, written));
        let received = self.received.take().unwrap_or_default();
        let is_blamed = received.blame.is_some();
        let mut state = self.connection.lock();
        state.report_dropped();
        if let Some(session) = state.session() {
            if ending.is_closed_by_peer() && session.is_drained() {
                // The peer closes once it has read CLOSE, and nothing was left but that.
                ending = Ending::Finished;
            }
            if ending.leaves_session() && !is_blamed && session.is_resumable() {
                ended.is_suspended = true;
                let Suspended {
                    lost, cancelled, ..
                } = session.suspend(in_flight);
                ended.lost = lost;
                if matches!(ending, Ending::TakenOver) {
                    let mut last = begun.unwrap_or_default().to_vec();
                    write_close(&mut last, Code::Aborted, "session taken over");
                    ended.graceful_close.chunks = Some(vec![last]);
                }
                state.suspend(&ended.lost, cancelled);
            } else {
                if let Ending::Fault(fault) = &ending {
                    session.handle_fault(fault);
                }
                ended.cut_off = session.open_exchanges();
                ended.lost = session.lost(in_flight);
                if session.has_lingered() {
                    ended.graceful_close.rest = Rest::Unread;
                } else if matches!(ending, Ending::TimedOut(TimedOut::Drain))
                    && session.may_be_asked()
                {
                    ended.graceful_close.rest = Rest::Refused(self.decoder, session.side());
                }
                if ending.is_graceful() {
                    let begun = in_flight
                        .map(|(chunk, written)| chunk.bytes.get(written..).unwrap_or_default());
                    let queued = std::iter::from_fn(|| Some(session.poll_transmit()?.bytes));
                    let chunks = begun.map(<[u8]>::to_vec).into_iter().chain(queued);
                    ended.graceful_close.chunks = Some(chunks.collect());
                }
                state.end_session(&ended.lost);
            }
        }
        self.connection.lose_backlog(&mut state);
        drop(state);
        ended.reason = reason(ending, received.goodbye, received.blame);
        ended
    }
}

impl Ending {
    /// Whether the peer has closed the transport, or it broke.
    const fn is_closed_by_peer(&self) -> bool {
        matches!(self, Self::Eof | Self::Io(_))
    }

    /// Whether the peer may still be there, and come back.
    fn leaves_session(&self) -> bool {
        matches!(
            self,
            Self::Eof
                | Self::Io(_)
                | Self::TimedOut(TimedOut::Silence(_))
                | Self::WriteStalled(_)
                | Self::TakenOver
                | Self::LoginFailed
        )
    }

    /// Whether what is queued is written before the connection is closed.
    fn is_graceful(&self) -> bool {
        matches!(
            self,
            Self::Fault(_) | Self::Finished | Self::TimedOut(TimedOut::Drain)
        )
    }
}

/// The reason that the user sees.
fn reason(
    ending: Ending,
    goodbye: Option<ErrorText>,
    blame: Option<ErrorText>,
) -> DisconnectReason {
    match ending {
        Ending::Fault(Fault {
            kind: FaultKind::TooLarge { len, max },
            ..
        }) => DisconnectReason::TooLarge {
            len: len.into(),
            max: max.into(),
        },
        Ending::Fault(fault) => DisconnectReason::Protocol { rule: fault.rule },
        Ending::TimedOut(TimedOut::Silence(silence)) => {
            DisconnectReason::KeepaliveTimeout { silence }
        }
        Ending::WriteStalled(stalled) => DisconnectReason::WriteStalled { stalled },
        Ending::TakenOver => DisconnectReason::TakenOver,
        Ending::LoginFailed => DisconnectReason::ClosedByUs,
        Ending::Finished | Ending::Eof | Ending::Io(_) | Ending::TimedOut(_) => {
            match (blame, goodbye, ending) {
                (Some(blame), _, _) => DisconnectReason::ProtocolReportedByPeer(blame.into()),
                (None, Some(goodbye), _) => DisconnectReason::ClosedByPeer(goodbye.into()),
                (None, None, Ending::Eof) => DisconnectReason::Eof,
                (None, None, Ending::Io(error)) => match DialectError::of(&error) {
                    Some(DialectError { rule, .. }) => {
                        DisconnectReason::Protocol { rule: rule.clone() }
                    }
                    None => error.into(),
                },
                (None, None, _) => DisconnectReason::ClosedByUs,
            }
        }
    }
}

/// What is still to be written of the frame in which the first `written` bytes of a chunk end.
fn rest_of_frame(chunk: &[u8], written: usize) -> &[u8] {
    let mut end = 0;
    while end < written {
        match chunk.get(end..).and_then(first_frame) {
            Some(frame) => end += frame.len(),
            None => break,
        }
    }
    chunk.get(written..end).unwrap_or_default()
}

/// Writes the last bytes, and reads on for a moment: a transport that is closed with bytes unread takes back what
/// it has not delivered.
pub(crate) async fn close_gracefully(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    chunks: Vec<Vec<u8>>,
) {
    let closing = async {
        write_last(stream, chunks).await?;
        stream.shutdown().await?;
        let mut discarded = 0;
        let mut buffer = vec![0; 4096];
        while discarded < CLOSE_READ_LEN {
            match stream.read(&mut buffer).await? {
                0 => break,
                len => discarded += len,
            }
        }
        io::Result::Ok(())
    };
    // It is over either way.
    let _ = timeout(CLOSE_TIMEOUT, closing).await;
}

/// The same without waiting for anything: what cannot be written at once is not.
pub(crate) fn close_at_once(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    chunks: Vec<Vec<u8>>,
) {
    try_once(close_gracefully(stream, chunks));
}

/// Polls a close, whatever the task has done before, until it waits for somebody else.
fn try_once(closing: impl Future<Output = ()>) {
    let mut closing = pin!(unconstrained(closing));
    let again = Arc::new(WokenFlag::default());
    let waker = Waker::from(Arc::clone(&again));
    for _ in 0..MAX_POLLS {
        again.0.store(false, Ordering::Relaxed);
        let polled = closing.as_mut().poll(&mut Context::from_waker(&waker));
        if polled.is_ready() || !again.0.load(Ordering::Relaxed) {
            break;
        }
    }
}

/// How often a stream may ask to be polled again while a close is tried.
const MAX_POLLS: usize = 64;

/// A stream that wakes its task while it is polled waits for nobody: it is polled again.
#[derive(Default)]
struct WokenFlag(AtomicBool);

impl Wake for WokenFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn write_last(
    stream: &mut (impl AsyncWrite + Unpin),
    chunks: Vec<Vec<u8>>,
) -> io::Result<()> {
    for chunk in chunks {
        stream.write_all(&chunk).await?;
    }
    stream.flush().await
}

/// Writes the last bytes, and refuses by name what the peer has sent before it knew of the close, until it closes too.
async fn close_refusing(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    chunks: Vec<Vec<u8>>,
    mut decoder: Decoder,
    side: Side,
) {
    let refusing = async {
        write_last(stream, chunks).await?;
        let mut read_len = 0;
        let mut refusals = Vec::new();
        loop {
            let mut is_over = false;
            // A peer that has broken the protocol is refused no more.
            while let Some(frame) = decoder.decode().ok().flatten() {
                refuse_late(&frame.header, side, &mut refusals);
                is_over |= frame.header.frame_type == FrameType::Close;
            }
            if !refusals.is_empty() {
                stream.write_all(&refusals).await?;
                stream.flush().await?;
                refusals.clear();
            }
            if is_over || read_len >= REFUSE_READ_LEN {
                return io::Result::Ok(());
            }
            // Not by its type, so that what the driver reads with is compiled into its own reads alone.
            let buffer: &mut (dyn BufMut + Send) = decoder.buffer();
            match stream.read_buf(buffer).await? {
                0 => return Ok(()),
                len => read_len += len,
            }
        }
    };
    // It is over either way.
    let _ = timeout(REFUSE_TIMEOUT, refusing).await;
    let _ = timeout(REFUSE_TIMEOUT, stream.shutdown()).await;
}
