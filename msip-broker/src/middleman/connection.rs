//! The task of a connection of a client of MiddleMan: reads texts, does what they ask for, and writes what the client hears.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    transport::PeerAddress,
    untyped::{HandedOff, HandoffPermit},
};
use msip_session::wire::Escaped;
use tokio::{task::yield_now, time::timeout};

use super::{
    Inner, Listener,
    client::Client,
    ending::{Ending, Fault},
    id,
    reader::Reader,
    session::{Input, Session},
    socket::{self, Socket},
    upgrade::upgrade,
    writer::Writer,
};
use crate::{
    connections::{DeadlineTimer, Drain, OpenConnection},
    router::{EndReason, OutboxItem, WakeList},
};

/// What is kept back of `handshake_timeout`, so that a client without a key is told why before the connection is cut: a part of what is
/// left of it when the WebSocket is there, and no more than this.
const TELL_PART: u32 = 5;
const MAX_TELL_TIME: Duration = Duration::from_secs(1);

/// How much is taken out of the outbox at once, in bytes; it is written before more is taken.
const TAKE_LEN: usize = 256 * 1024;

/// Beyond so many bytes of errors that the client has not read, nothing more is read from it.
const MAX_ANSWERS: usize = 64 * 1024;

/// How often one poll may read and write before others have their turn.
const MAX_STEPS: usize = 4;

/// Serves a client until its connection ends.
pub(super) async fn serve(peers: &Inner, listener: &Listener, peer: HandedOff) {
    let HandedOff {
        mut connection,
        permit,
        ..
    } = peer;
    let early = match upgrade(&mut connection.stream, &listener.origins).await {
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
    let max_message = peers.settings.max_message();
    let mut socket = socket::open(connection.stream, early, max_message).await;
    let (is_open, ending) = match welcome(peers, &mut socket, &permit, &local, &address).await {
        Ok(welcomed) => {
            let mut connection = Box::new(Connection::new(peers, socket, welcomed));
            let ending = connection.run().await;
            peers.connected.ended();
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
    socket::close(socket, ending).await;
}

/// A client whose key is known.
struct Welcomed<'a> {
    session: Session,
    client: Client<'a>,
    listed: OpenConnection,
    drain: Drain,
}

/// Reads the key, and gives the client what it is to have for it.
async fn welcome<'a>(
    peers: &'a Inner,
    socket: &mut Socket,
    permit: &HandoffPermit,
    local: &PeerAddress,
    address: &PeerAddress,
) -> Result<Welcomed<'a>, Ending> {
    let mut session = Session::new();
    let left = permit.remaining();
    let key_time = left - MAX_TELL_TIME.min(left / TELL_PART);
    let admitting = async {
        let first = socket::first_text(socket).await?;
        let Some(Input::Key(key)) = session.handle_text(&first).map_err(Ending::Fault)? else {
            return Err(Ending::WrongKey);
        };
        // The keys may have been read again since the connection was accepted.
        let listener = (peers.find_listener)(local).ok_or(Ending::WrongKey)?;
        let admission = (peers.admit)(&listener, local, key).await;
        admission.ok_or(Ending::WrongKey)
    };
    let admission = timeout(key_time, admitting).await;
    let admission = admission.map_err(|_| Ending::NoKey)??;
    permit.greeted().map_err(|status| {
        if permit.may_log(address) {
            tracing::info!(limit = "connections", "too many clients");
        }
        Ending::Refused(status.message().to_owned())
    })?;
    let cid = id::draw().map_err(Ending::Io)?;
    socket::text_read(socket, peers.settings.max_message());
    let is_trusted = admission.is_trusted;
    let client = Client::new(peers, admission, cid, address.to_string(), peers.now());
    session.welcome(client.cid(), is_trusted);
    peers.connected.begun();
    if permit.may_log(address) {
        let principal = client.session.principal().name();
        let session = client.session.key();
        tracing::info!(%session, principal, "a client of MiddleMan is here");
    }
    let connections = &peers.settings.connections;
    let listed = connections.opened_at(address, Some(local.clone()), &client.session);
    Ok(Welcomed {
        session,
        client,
        listed,
        drain: Drain::new(permit.draining()),
    })
}

/// A connection.
struct Connection<'a> {
    peers: &'a Inner,
    socket: Box<Socket>,
    session: Session,
    client: Client<'a>,
    /// The connection is listed while this is there.
    listed: OpenConnection,
    reader: Reader<'a>,
    taken: Vec<OutboxItem>,
    writer: Writer,
    /// Whether the publisher waits for slow subscribers.
    is_pushed_back: bool,
    drain: Drain,
    timer: DeadlineTimer,
}

impl<'a> Connection<'a> {
    fn new(peers: &'a Inner, socket: Box<Socket>, welcomed: Welcomed<'a>) -> Self {
        let Welcomed {
            session,
            client,
            listed,
            drain,
        } = welcomed;
        Self {
            peers,
            socket,
            session,
            client,
            listed,
            reader: Reader::new(peers),
            taken: Vec::new(),
            writer: Writer::default(),
            is_pushed_back: false,
            drain,
            timer: DeadlineTimer::default(),
        }
    }

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
        for _ in 0..MAX_STEPS {
            let mut has_progress = self.fill(now, task)?;
            let session = &self.client.session;
            has_progress |= self.writer.flush(&mut self.socket, session, now, task)?;
            has_progress |= self.read(now, task)?;
            if !has_progress {
                return self.park(now, task);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Gives the socket what there is for the client, once all that it was given before is written.
    fn fill(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        if self.writer.is_writing {
            return Ok(false);
        }
        let texts = &mut self.writer.texts;
        while let Some(text) = self.session.poll_output() {
            texts.push(text.into());
        }
        // What a service has published before its answer is in the outbox when the answer is here: it is written first.
        let mut answers = Vec::new();
        if let Poll::Ready(Err(_)) = self.client.replies.poll_take(&mut answers, task) {
            return Err(Ending::Ended(EndReason::SlowConsumer));
        }
        let session = &self.client.session;
        match session.poll_take(now, TAKE_LEN, &mut self.taken, task) {
            Poll::Pending => {}
            Poll::Ready(Err(reason)) => return Err(Ending::Ended(reason)),
            Poll::Ready(Ok(())) => {
                for item in self.taken.drain(..) {
                    self.client.render(item, now, texts);
                }
            }
        }
        texts.append(&mut answers);
        self.writer.start(&mut self.socket)
    }

    /// Reads one message, and does what it asks for.
    fn read(&mut self, now: Duration, task: &mut Context<'_>) -> Result<bool, Ending> {
        // First, so that the time at which it is looked again is not in the past.
        if self.is_pushed_back {
            if self.client.publisher.poll_ready(now, task).is_pending() {
                return Ok(false);
            }
            self.is_pushed_back = false;
        }
        if self.session.output_len() > MAX_ANSWERS {
            return Ok(false);
        }
        match self.reader.poll_read(&mut self.socket, now, task)? {
            Poll::Pending => return Ok(false),
            Poll::Ready(None) => {}
            Poll::Ready(Some(text)) => self.handle(&text, now)?,
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
        match self.client.handle(input, now, &mut wakes) {
            Ok(is_congested) => self.is_pushed_back |= is_congested,
            Err(told) => self.session.refuse(&told),
        }
        self.is_pushed_back |= self.client.publisher.wait_until().is_some();
        Ok(())
    }

    /// There is nothing to do until something happens.
    fn park(&mut self, now: Duration, task: &mut Context<'_>) -> Poll<Result<(), Ending>> {
        let (connected, spread) = (&self.peers.connected, self.peers.settings.drain_spread);
        self.drain.look(connected, spread, now, task);
        // The outbox is not asked while what was taken before cannot be written.
        if self.writer.is_writing
            && let Poll::Ready(reason) = self.client.session.poll_ended(task)
        {
            return Poll::Ready(Err(Ending::Ended(reason)));
        }
        self.check_deadlines(now, task)?;
        Poll::Pending
    }

    /// Ends what has taken too long, and has the task woken at the next time at which something is due.
    fn check_deadlines(&mut self, now: Duration, task: &mut Context<'_>) -> Result<(), Ending> {
        let stalled_at = self.writer.blocked_since;
        let stalled_at = stalled_at.map(|at| at.saturating_add(self.peers.settings.write_timeout));
        let message_at = self.reader.deadline(&self.socket);
        let ready_at = self.client.publisher.wait_until();
        let ready_at = ready_at.filter(|_| self.is_pushed_back);
        let sweep_at = self.client.held.sweep_at();
        let is_due = |at: Option<Duration>| at.is_some_and(|at| at <= now);
        if is_due(self.drain.at()) {
            return Err(Ending::Ended(EndReason::Shutdown));
        }
        if is_due(stalled_at) {
            return Err(Ending::Ended(EndReason::SlowConsumer));
        }
        if is_due(message_at) {
            return Err(Ending::Fault(Fault::TimedOut));
        }
        if is_due(sweep_at) {
            self.client.held.sweep(now);
        }
        let times = [stalled_at, message_at, self.drain.at(), ready_at, sweep_at];
        self.timer.wake_at_first(times, self.peers.began, now, task);
        Ok(())
    }

    /// Leaves the router. Returns the socket, to be closed.
    fn end(self, ending: &Ending) -> Box<Socket> {
        let Self {
            peers,
            socket,
            mut client,
            listed,
            ..
        } = self;
        client.end(ending.end_reason(), peers.now());
        listed.closed(ending);
        socket
    }
}
