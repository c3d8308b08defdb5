//! The task of a connection of a client of MiddleMan: reads texts, does what they ask for, and writes what the client hears.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{Sink as _, Stream as _};
use msip_runtime::{
    Draining,
    transport::PeerAddress,
    untyped::{HandedOff, HandoffPermit},
};
use msip_session::wire::Escaped;
use tokio::{
    io::AsyncWriteExt as _,
    task::yield_now,
    time::{Sleep, sleep_until, timeout},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, Message, Role, WebSocketConfig},
    },
};

use super::{
    Door, Inner, Partial,
    ending::{Ending, Fault},
    id,
    link::Link,
    message::MAX_HEAD_LEN,
    metered::{Metered, Overhead},
    session::{Input, Session},
    upgrade::upgrade,
};
use crate::{
    connections::OpenConnection,
    router::{EndReason, WakeList},
};

/// How long the client has for its key, once its WebSocket is there.
const KEY_TIME: Duration = Duration::from_secs(5);

/// How much is read of a client until its key is known, and how much of messages of which nothing comes besides one message.
const MAX_FIRST: usize = 64 * 1024;
const MAX_BETWEEN: usize = 128 * 1024;

/// How much the library reads at once.
const READ_LEN: usize = 8 * 1024;

/// How much is taken out of the outbox at once, in bytes; it is written before more is taken.
const TAKE_LEN: usize = 256 * 1024;

/// Beyond so many bytes of errors that the client has not read, nothing more is read from it.
const MAX_ANSWERS: usize = 64 * 1024;

/// How often one poll may read and write before others have their turn.
const MAX_STEPS: usize = 4;

/// How many turns may pass until it is asked whether the broker stops.
const DRAIN_TURNS: u32 = 64;

/// How long the rest of a message may take: this, and as much again for each part that has come.
const MESSAGE_TIME: Duration = Duration::from_secs(30);
const TIME_PER_16_KIB: Duration = Duration::from_secs(1);

/// How many control frames a client may send at once, and then in a second.
const CONTROL_BURST: u32 = 1000;
const CONTROL_PER_SECOND: u64 = 10;

/// How long a connection that is over is read, so that the last text arrives.
const CLOSE_TIME: Duration = Duration::from_secs(1);
const CLOSE_MESSAGES: usize = 64;

type Socket = WebSocketStream<Metered>;

/// Serves a client until its connection ends.
pub(super) async fn serve(peers: &Inner, door: &Door, peer: HandedOff) {
    let HandedOff {
        mut connection,
        permit,
        ..
    } = peer;
    let early = match upgrade(&mut connection.stream, &door.origins).await {
        Ok(early) => early,
        Err(error) => {
            if permit.may_log(&connection.peer) {
                let reason = error.to_string();
                tracing::info!(reason = %Escaped::new(&reason), "a client of MiddleMan was refused");
            }
            return;
        }
    };
    let (local, address) = (connection.local, connection.peer);
    let max_message = peers.settings.max_body + MAX_HEAD_LEN;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_LEN)
        .write_buffer_size(READ_LEN)
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
        .accept_unmasked_frames(false);
    let metered = Metered::new(connection.stream, early.len(), MAX_FIRST);
    let socket = WebSocketStream::from_partially_read(metered, early, Role::Server, Some(config));
    let mut socket = Box::new(socket.await);
    let (is_open, ending) = match begin(peers, door, &mut socket, &permit, &local, &address).await {
        Ok(connection) => {
            let mut connection = Box::new(connection.with(socket));
            let ending = connection.run().await;
            peers.counters.ended();
            socket = connection.end(&ending);
            (true, ending)
        }
        Err(ending) => (false, ending),
    };
    if permit.may_log(&address) {
        let reason = ending.to_string();
        let said = match is_open {
            true => "a client of MiddleMan has left",
            false => "a client of MiddleMan was refused",
        };
        tracing::info!(reason = %Escaped::new(&reason), "{said}");
    }
    close(socket, ending).await;
}

/// Reads the key, and gives the client what it is to have for it.
async fn begin<'a>(
    peers: &'a Inner,
    door: &Door,
    socket: &mut Socket,
    permit: &HandoffPermit,
    local: &PeerAddress,
    address: &PeerAddress,
) -> Result<Beginning<'a>, Ending> {
    let mut session = Session::new();
    let first = timeout(KEY_TIME, first_text(socket)).await;
    let first = first.map_err(|_| Ending::NoKey)??;
    let Some(Input::Key(key)) = session.handle_text(&first).map_err(Ending::Fault)? else {
        return Err(Ending::WrongKey);
    };
    let admission = (peers.admit)(door, local, key).await;
    let admission = admission.ok_or(Ending::WrongKey)?;
    let refused = |status: msip_runtime::Status| Ending::Refused(status.message().to_owned());
    permit.greeted().map_err(refused)?;
    let cid = id::draw().map_err(Ending::Io)?;
    let max_message = peers.settings.max_body + MAX_HEAD_LEN;
    socket.get_mut().message_read(max_message + MAX_BETWEEN);
    let is_trusted = admission.is_trusted;
    let link = Link::new(peers, admission, cid, address.to_string(), peers.now());
    session.welcome(link.cid(), is_trusted);
    peers.counters.begun();
    if permit.may_log(address) {
        let principal = link.session.principal().name();
        let session = link.session.key();
        tracing::info!(%session, principal, "a client of MiddleMan is here");
    }
    let connections = &peers.settings.connections;
    let listed = connections.opened_at(address, Some(local.clone()), &link.session);
    Ok(Beginning {
        peers,
        session,
        link,
        listed,
        draining: permit.draining(),
    })
}

async fn first_text(socket: &mut Socket) -> Result<Utf8Bytes, Ending> {
    loop {
        let next = poll_fn(|task| Pin::new(&mut *socket).poll_next(task)).await;
        match received(next, MAX_FIRST)? {
            Some(Message::Text(text)) => return Ok(text),
            Some(Message::Binary(_)) => return Err(Ending::Fault(Fault::Binary)),
            Some(_) => {}
            None => return Err(Ending::Closed),
        }
    }
}

/// A message, where there is one; `None` for a close frame.
fn received(next: Option<Result<Message, Error>>, max: usize) -> Result<Option<Message>, Ending> {
    let error = match next {
        None => return Err(Ending::Eof),
        Some(Ok(Message::Close(_))) => return Ok(None),
        Some(Ok(message)) => return Ok(Some(message)),
        Some(Err(error)) => error,
    };
    Err(match error {
        Error::ConnectionClosed | Error::AlreadyClosed => Ending::Eof,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Ending::Eof,
        Error::Io(error) if error.get_ref().is_some_and(|cause| cause.is::<Overhead>()) => {
            Ending::Fault(Fault::TooLarge { max })
        }
        Error::Io(error) => Ending::Io(error),
        Error::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
            Ending::Fault(Fault::TooLarge { max: max_size })
        }
        Error::Utf8(_) => Ending::Fault(Fault::NotUtf8),
        error => Ending::Fault(Fault::Protocol {
            what: error.to_string(),
        }),
    })
}

/// A client whose key is known.
struct Beginning<'a> {
    peers: &'a Inner,
    session: Session,
    link: Link<'a>,
    listed: OpenConnection,
    draining: Draining,
}

impl<'a> Beginning<'a> {
    fn with(self, socket: Box<Socket>) -> Connection<'a> {
        let Self {
            peers,
            session,
            link,
            listed,
            draining,
        } = self;
        Connection {
            peers,
            socket,
            session,
            link,
            listed,
            partial: Partial::new(&peers.partial),
            partial_since: None,
            taken: Vec::new(),
            texts: Vec::new(),
            is_writing: false,
            blocked_since: None,
            written: 0,
            control_left: CONTROL_BURST,
            control_at: peers.now(),
            is_pushed_back: false,
            draining,
            drain_at: None,
            turns: 0,
            timer: None,
        }
    }
}

/// A connection.
struct Connection<'a> {
    peers: &'a Inner,
    socket: Box<Socket>,
    session: Session,
    link: Link<'a>,
    /// The connection is listed while this is there.
    listed: OpenConnection,
    partial: Partial<'a>,
    /// Since when a message is under way.
    partial_since: Option<Duration>,
    taken: Vec<crate::router::OutboxItem>,
    texts: Vec<Utf8Bytes>,
    /// Whether what was given to the socket is not all written.
    is_writing: bool,
    /// Since when the client takes nothing.
    blocked_since: Option<Duration>,
    /// How much was written when that was looked at last.
    written: u64,
    control_left: u32,
    control_at: Duration,
    /// Whether the publisher waits for slow subscribers.
    is_pushed_back: bool,
    draining: Draining,
    /// When it is closed, since the broker stops.
    drain_at: Option<Duration>,
    turns: u32,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Connection<'_> {
    /// Serves the client until there is a reason to end.
    async fn run(&mut self) -> Ending {
        loop {
            match poll_fn(|task| self.poll_steps(task)).await {
                // Unlike a wake, it lets tokio look at the sockets of others first.
                Ok(()) => yield_now().await,
                Err(ending) => return ending,
            }
        }
    }

    /// Reads and writes until there is nothing to do, or others have their turn.
    fn poll_steps(&mut self, task: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        let now = self.peers.now();
        let mut has_worked = false;
        for _ in 0..MAX_STEPS {
            let mut has_progress = self.fill(now, task)?;
            has_progress |= self.write(now, task)?;
            has_progress |= self.read(now, task)?;
            if !has_progress {
                return self.park(has_worked, now, task);
            }
            has_worked = true;
        }
        self.turns = self.turns.wrapping_add(1);
        Poll::Ready(Ok(()))
    }

    /// Gives the socket what there is for the client, once all that it was given before is written.
    fn fill(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        if self.is_writing {
            return Ok(false);
        }
        while let Some(text) = self.session.poll_output() {
            self.texts.push(text.into());
        }
        // What a service has published before its answer is in the outbox when the answer is here: it is written first.
        let mut answers = Vec::new();
        if let Poll::Ready(Err(_)) = self.link.replies.poll_take(&mut answers, task) {
            return Err(Ending::Ended(EndReason::SlowConsumer));
        }
        match self
            .link
            .session
            .poll_take(now, TAKE_LEN, &mut self.taken, task)
        {
            Poll::Pending => {}
            Poll::Ready(Err(reason)) => return Err(Ending::Ended(reason)),
            Poll::Ready(Ok(())) => {
                for item in self.taken.drain(..) {
                    self.link.render(item, now, &mut self.texts);
                }
            }
        }
        self.texts.append(&mut answers);
        let has_texts = !self.texts.is_empty();
        for text in self.texts.drain(..) {
            let sent = Pin::new(&mut *self.socket).start_send(Message::Text(text));
            sent.map_err(write_failed)?;
            self.is_writing = true;
        }
        Ok(has_texts)
    }

    /// Writes what the socket was given.
    fn write(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        if !self.is_writing {
            return Ok(false);
        }
        let polled = Pin::new(&mut *self.socket).poll_flush(task);
        let written = self.socket.get_ref().written;
        let has_taken = written > self.written;
        let len = written.saturating_sub(std::mem::replace(&mut self.written, written));
        match polled {
            Poll::Ready(flushed) => {
                flushed.map_err(write_failed)?;
                self.is_writing = false;
                self.blocked_since = None;
                Ok(true)
            }
            Poll::Pending => {
                if has_taken {
                    self.blocked_since = None;
                    let len = usize::try_from(len).unwrap_or(usize::MAX);
                    self.link.session.wrote(len, now);
                }
                self.blocked_since.get_or_insert(now);
                Ok(false)
            }
        }
    }

    /// Reads one message, and does what it asks for.
    fn read(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        // First, so that the time at which it is looked again is not in the past.
        if self.is_pushed_back {
            if self.link.publisher.poll_ready(now, task).is_pending() {
                return Ok(false);
            }
            self.is_pushed_back = false;
        }
        if self.session.output_len() > MAX_ANSWERS {
            return Ok(false);
        }
        let max_message = self.peers.settings.max_body + MAX_HEAD_LEN;
        let Poll::Ready(next) = Pin::new(&mut *self.socket).poll_next(task) else {
            return self.count_partial(now).map(|()| false);
        };
        let message = received(next, max_message)?.ok_or(Ending::Closed)?;
        match message {
            Message::Text(text) => {
                self.socket
                    .get_mut()
                    .message_read(max_message + MAX_BETWEEN);
                self.partial_since = None;
                self.partial.set(0, usize::MAX);
                self.handle(&text, now)?;
            }
            Message::Binary(_) => return Err(Ending::Fault(Fault::Binary)),
            // The library answers pings.
            _ => self.count_control(now)?,
        }
        Ok(true)
    }

    fn handle(&mut self, text: &str, now: Duration) -> Result<(), Ending> {
        let input = self.session.handle_text(text).map_err(Ending::Fault)?;
        let Some(input) = input else {
            return Ok(());
        };
        // All who are given something are woken at the end.
        let mut wakes = WakeList::new();
        match self.link.handle(input, now, &mut wakes) {
            Ok(is_congested) => self.is_pushed_back |= is_congested,
            Err(told) => self.session.refuse(&told),
        }
        self.is_pushed_back |= self.link.publisher.wait_until().is_some();
        Ok(())
    }

    fn count_control(&mut self, now: Duration) -> Result<(), Ending> {
        let seconds = now.saturating_sub(self.control_at).as_secs();
        if seconds > 0 {
            let more = u32::try_from(seconds.saturating_mul(CONTROL_PER_SECOND));
            let more = more.unwrap_or(CONTROL_BURST);
            self.control_left = self.control_left.saturating_add(more).min(CONTROL_BURST);
            self.control_at = now;
        }
        let left = self.control_left.checked_sub(1);
        self.control_left = left.ok_or(Ending::Fault(Fault::Flood))?;
        Ok(())
    }

    /// Counts what is there of a message that has not come whole.
    fn count_partial(&mut self, now: Duration) -> Result<(), Ending> {
        let len = self.socket.get_ref().unused();
        if len == 0 {
            return Ok(());
        }
        self.partial_since.get_or_insert(now);
        let most = self.peers.settings.max_memory;
        if self.partial.set(len, most) {
            return Ok(());
        }
        let why = format!("messages that are not complete have more than {most} bytes (memory)");
        Err(Ending::Refused(why))
    }

    /// There is nothing to do until something happens.
    fn park(
        &mut self,
        has_worked: bool,
        now: Duration,
        task: &mut Context<'_>,
    ) -> Poll<Result<(), Ending>> {
        self.turns = self.turns.wrapping_add(1);
        // The signal is shared by all connections, so that it is asked when nothing else explains why it was woken, and now and
        // then.
        let may_be_drained = !has_worked || self.turns.is_multiple_of(DRAIN_TURNS);
        if may_be_drained
            && self.drain_at.is_none()
            && Pin::new(&mut self.draining).poll(task).is_ready()
        {
            // A millisecond for each of them is enough.
            let connected = Duration::from_millis(self.peers.counters.connected());
            let spread = self.peers.settings.drain_spread.min(connected);
            self.drain_at = Some(now.saturating_add(random_part(spread)));
        }
        // The outbox is not asked while what was taken before cannot be written.
        if self.is_writing
            && let Poll::Ready(reason) = self.link.session.poll_ended(task)
        {
            return Poll::Ready(Err(Ending::Ended(reason)));
        }
        ready!(self.poll_timer(now, task)?);
        Poll::Pending
    }

    /// Waits for the next time at which something is due; pending where nothing is.
    fn poll_timer(&mut self, now: Duration, task: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        loop {
            let later = |at: Option<Duration>, by| at.map(|at| at.saturating_add(by));
            let stalled_at = later(self.blocked_since, self.peers.settings.write_timeout);
            let parts = self.socket.get_ref().unused() / (16 * 1024);
            let parts = u32::try_from(parts).unwrap_or(u32::MAX);
            let message_time = MESSAGE_TIME + TIME_PER_16_KIB.saturating_mul(parts);
            let message_at = later(self.partial_since, message_time);
            let ready_at = self
                .link
                .publisher
                .wait_until()
                .filter(|_| self.is_pushed_back);
            let sweep_at = self.link.held.sweep_at();
            let times = [stalled_at, message_at, self.drain_at, ready_at, sweep_at];
            let Some(next) = times.into_iter().flatten().min() else {
                // One that is set stays: most often another time is near.
                return Poll::Pending;
            };
            if next <= now {
                let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
                if is_due(self.drain_at) {
                    return Poll::Ready(Err(Ending::Shutdown));
                }
                if is_due(stalled_at) {
                    return Poll::Ready(Err(Ending::WriteStalled));
                }
                if is_due(message_at) {
                    return Poll::Ready(Err(Ending::Fault(Fault::TimedOut)));
                }
                self.link.held.sweep(now);
                // The publisher has waited for long enough, if it was that.
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            let at = self.peers.began + next;
            match &mut self.timer {
                Some(timer) if timer.deadline() <= at => {}
                Some(timer) => timer.as_mut().reset(at),
                none => *none = Some(Box::pin(sleep_until(at))),
            }
            let Some(timer) = &mut self.timer else {
                return Poll::Pending;
            };
            ready!(timer.as_mut().poll(task));
            self.timer = None;
            if self.peers.now() >= next {
                // With another clock reading.
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Leaves the router. Returns the socket, to be closed.
    fn end(self, ending: &Ending) -> Box<Socket> {
        let Self {
            peers,
            socket,
            mut link,
            listed,
            ..
        } = self;
        link.end(ending.end_reason(), peers.now());
        listed.closed(ending);
        socket
    }
}

fn write_failed(error: Error) -> Ending {
    match error {
        Error::Io(error) => Ending::Io(error),
        // The other end has closed meanwhile.
        _ => Ending::Eof,
    }
}

/// Says why the connection ends, and reads what the client still sends: else that may be lost.
async fn close(mut socket: Box<Socket>, ending: Ending) {
    let Some(code) = ending.close_code() else {
        return;
    };
    let closing = async {
        if !matches!(ending, Ending::Closed) {
            let mut reason = ending.to_string();
            // That of a close frame has 123 bytes at most.
            while reason.len() > 123 {
                reason.pop();
            }
            let reason = reason.into();
            socket.close(Some(CloseFrame { code, reason })).await?;
        } else {
            poll_fn(|task| Pin::new(&mut *socket).poll_flush(task)).await?;
        }
        for _ in 0..CLOSE_MESSAGES {
            let next = poll_fn(|task| Pin::new(&mut *socket).poll_next(task)).await;
            if !matches!(next, Some(Ok(_))) {
                break;
            }
        }
        socket.get_mut().shutdown().await?;
        Ok::<_, Error>(())
    };
    // It is over either way.
    let _ = timeout(CLOSE_TIME, closing).await;
}

/// A random part of a time.
fn random_part(most: Duration) -> Duration {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    most.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
