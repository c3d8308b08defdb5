//! What a case plays with: a client, a server, or a peer of a server.

use msip_runtime::prost::Message;

use crate::{
    call::Call,
    failure::fail,
    handler::Handler,
    message::status,
    process::Process,
    protocol::conformance::control::{
        Broadcast, Close, Disconnect, Done, Ping, Start, Status, command::Command as Told,
        report::Report as Event,
    },
};

/// A client, a server, or a peer of a server, in a driver.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) process: Process,
    pub(crate) number: u64,
}

impl End {
    /// Begins an exchange, reading all of its answers.
    pub(crate) async fn start(&self, member: &str, message: &impl Message) -> Call {
        let start = Start {
            message: message.encode_to_vec(),
            ..Start::default()
        };
        self.start_with(member, start).await
    }

    /// Begins an exchange with these options, reading all of its answers unless the options say how many.
    pub(crate) async fn start_with(&self, member: &str, start: Start) -> Call {
        let read = if start.read == 0 {
            u64::MAX
        } else {
            start.read
        };
        self.start_reading(member, start, read).await
    }

    /// Begins an exchange of which this many answers are read.
    pub(crate) async fn start_reading(&self, member: &str, start: Start, read: u64) -> Call {
        let number = self.process.number();
        let start = Start {
            endpoint: self.number,
            exchange: number,
            member: member.to_owned(),
            read,
            ..start
        };
        self.process.tell(Told::Start(start)).await;
        Call {
            process: self.process.clone(),
            number,
            member: member.to_owned(),
        }
    }

    /// Sends a message, and waits until it is accepted or acknowledged.
    pub(crate) async fn send(&self, member: &str, message: &impl Message) {
        self.start(member, message).await.sent().await;
    }

    /// Clears the STATE of this key, and waits until that is accepted.
    pub(crate) async fn clear(&self, member: &str, key: &impl Message) {
        let start = Start {
            message: key.encode_to_vec(),
            clears: true,
            ..Start::default()
        };
        self.start_with(member, start).await.sent().await;
    }

    /// The next handler of this member that is called.
    pub(crate) async fn handling(&self, member: &str) -> Handler {
        let what = format!("a call of the handler of {member}");
        let told = self.process.event(&what, |event| match event {
            Event::Handling(told) if told.member == member && told.endpoint == self.number => {
                Some(told.clone())
            }
            _ => None,
        });
        Handler {
            told: told.await,
            process: self.process.clone(),
        }
    }

    /// The next handler that is called, of whatever member.
    pub(crate) async fn next_handling(&self) -> Handler {
        let told = self
            .process
            .event("a call of a handler", |event| match event {
                Event::Handling(told) if told.endpoint == self.number => Some(told.clone()),
                _ => None,
            });
        Handler {
            told: told.await,
            process: self.process.clone(),
        }
    }

    /// Whether a handler of this member was called by now.
    pub(crate) fn has_handled(&self, member: &str) -> bool {
        let handled = self.process.seen(|event| match event {
            Event::Handling(told) => {
                (told.member == member && told.endpoint == self.number).then_some(())
            }
            _ => None,
        });
        handled.is_some()
    }

    /// Closes it gracefully, and waits until it is closed.
    pub(crate) async fn close(&self) {
        let endpoint = self.number;
        self.done(Told::Close(Close { endpoint })).await;
    }

    /// Closes it gracefully, and does not wait.
    pub(crate) async fn begin_close(&self) {
        let endpoint = self.number;
        self.process.tell(Told::Close(Close { endpoint })).await;
    }

    /// Ends the session of this peer.
    pub(crate) async fn disconnect(&self, code: &str, message: &str) {
        let disconnect = Disconnect {
            endpoint: self.number,
            status: Some(status(code, message)),
        };
        self.done(Told::Disconnect(disconnect)).await;
    }

    /// Sends a message to all clients of this server, and returns how many have accepted it.
    pub(crate) async fn broadcast(&self, member: &str, message: &impl Message) -> u32 {
        let broadcast = Broadcast {
            endpoint: self.number,
            member: member.to_owned(),
            message: message.encode_to_vec(),
            clears: false,
        };
        self.done(Told::Broadcast(broadcast)).await.count
    }

    /// Clears the STATE of this key for all clients of this server.
    pub(crate) async fn broadcast_clearing(&self, member: &str, key: &impl Message) {
        let broadcast = Broadcast {
            endpoint: self.number,
            member: member.to_owned(),
            message: key.encode_to_vec(),
            clears: true,
        };
        self.done(Told::Broadcast(broadcast)).await;
    }

    /// Sends a ping, and waits for its pong.
    pub(crate) async fn ping(&self, len: u32) {
        let endpoint = self.number;
        self.done(Told::Ping(Ping { endpoint, len })).await;
    }

    /// Waits until its connection has ended.
    pub(crate) async fn disconnected(&self) {
        let ended = self
            .process
            .event("the end of a connection", |event| match event {
                Event::Disconnected(told) if told.endpoint == self.number => Some(()),
                _ => None,
            });
        ended.await;
    }

    /// Waits until this client is connected again, and says whether its session was resumed.
    pub(crate) async fn connected(&self) -> bool {
        let connected = self.process.event("a connect", |event| match event {
            Event::Connected(told) if told.endpoint == self.number => Some(told.resumed),
            _ => None,
        });
        connected.await
    }

    /// Waits until this client was closed by its server, and says why.
    pub(crate) async fn closed(&self) -> Status {
        let closed = self.process.event("being closed", |event| match event {
            Event::Closed(told) if told.endpoint == self.number => {
                Some(told.status.clone().unwrap_or_default())
            }
            _ => None,
        });
        closed.await
    }

    /// Waits until this client has lost its session.
    pub(crate) async fn session_lost(&self) {
        let lost = self
            .process
            .event("the loss of a session", |event| match event {
                Event::SessionLost(told) if told.endpoint == self.number => Some(()),
                _ => None,
            });
        lost.await;
    }

    async fn done(&self, command: Told) -> Done {
        match self.process.ask(command).await {
            Ok(Event::Done(done)) => done,
            other => fail(format_args!("{}: {other:?}", self.process.language())),
        }
    }
}
