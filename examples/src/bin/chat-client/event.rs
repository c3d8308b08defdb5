//! The events of the chat client, and the handler that emits them.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use msip_examples::{
    chat::{
        Chat, ConnectReq, ConnectRsp, HandleServerToClient, JoinedInd, LeftInd, MessageInd,
        PresenceReq, PresenceRsp, SendClientToServer as _,
    },
    with_causes,
};
use msip_runtime::{CallError, Client, Code, ConnectError, DisconnectReason, Reconnect, Status};
use tokio::{sync::mpsc, time::sleep};

/// A user who has typed nothing for so long is away.
const AWAY_AFTER: Duration = Duration::from_secs(60);

/// How long to wait before asking for a name again that is still in use.
const NAME_IN_USE: Duration = Duration::from_secs(2);

/// An event to show to the user. Its `Display` is a line for the screen.
#[derive(Debug)]
pub(crate) enum Event {
    Entered(ConnectRsp),
    CameBack(ConnectRsp),
    NameInUse,
    Refused(CallError),
    Said(MessageInd),
    Joined(String),
    Left(String),
    Lost(DisconnectReason),
    CannotReach(ConnectError),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered(room) => {
                let (motd, users) = (Plain(&room.motd), room.users.join(", "));
                write!(f, "* {motd}\n* in the room: {}", Plain(&users))
            }
            Self::CameBack(room) => {
                let users = room.users.join(", ");
                write!(f, "* back again; in the room: {}", Plain(&users))
            }
            Self::NameInUse => {
                f.write_str("* connected again, but the name is still in use; waiting for it")
            }
            Self::Refused(error) => {
                write!(f, "cannot enter the room: {}", Plain(&error.to_string()))
            }
            Self::Said(message) => {
                write!(f, "{}> {}", Plain(&message.user), Plain(&message.text))
            }
            Self::Joined(user) => write!(f, "* {} is here", Plain(user)),
            Self::Left(user) => write!(f, "* {} has left", Plain(user)),
            Self::Lost(reason) => {
                let text = with_causes(reason);
                write!(
                    f,
                    "* connection lost: {}; connecting again ...",
                    Plain(&text)
                )
            }
            Self::CannotReach(error) => {
                write!(f, "* {}; trying on ...", Plain(&with_causes(error)))
            }
        }
    }
}

/// Text from a peer, without control characters, which could move the cursor or change colours.
struct Plain<'a>(&'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            write!(f, "{}", if c.is_control() { '\u{fffd}' } else { c })?;
        }
        Ok(())
    }
}

/// When something was typed last.
#[derive(Debug)]
pub(crate) struct Keyboard(Mutex<Instant>);

impl Default for Keyboard {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Keyboard {
    /// Notes that something was typed now.
    pub(crate) fn touched(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn is_active(&self) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() < AWAY_AFTER
    }
}

/// The handler: enters the room at each connect, and emits events.
#[derive(Debug)]
pub(crate) struct Member {
    name: String,
    keyboard: Arc<Keyboard>,
    has_entered: AtomicBool,
    events: mpsc::Sender<Event>,
}

impl Member {
    /// The handler and its events: the first is an [`Event::Entered`], or the error instead.
    pub(crate) fn new(
        name: &str,
        keyboard: Arc<Keyboard>,
        capacity: usize,
    ) -> (Self, mpsc::Receiver<Event>) {
        let (sender, events) = mpsc::channel(capacity);
        let member = Self {
            name: name.to_owned(),
            keyboard,
            has_entered: AtomicBool::new(false),
            events: sender,
        };
        (member, events)
    }

    async fn pass_on(&self, event: Event) {
        // When the program ends the receiver is closed.
        let _ = self.events.send(event).await;
    }
}

impl HandleServerToClient for Member {
    async fn on_connected(&self, client: &Client<Chat>) -> Result<(), Status> {
        let mut is_told = false;
        loop {
            let user = self.name.clone();
            let answer = client.connect_req(ConnectReq { user }).await;
            let is_first = !self.has_entered.load(Ordering::Relaxed);
            match answer {
                Ok(room) if is_first => {
                    self.has_entered.store(true, Ordering::Relaxed);
                    self.pass_on(Event::Entered(room)).await;
                    return Ok(());
                }
                Ok(room) => {
                    self.pass_on(Event::CameBack(room)).await;
                    return Ok(());
                }
                // The name is held by our own earlier connection, which the server has not detected as dead yet.
                Err(CallError::Status(status))
                    if status.code() == Code::AlreadyExists && !is_first =>
                {
                    if !is_told {
                        self.pass_on(Event::NameInUse).await;
                        is_told = true;
                    }
                    sleep(NAME_IN_USE).await;
                }
                // This runs again at the next connect.
                Err(error @ (CallError::NotSent(_) | CallError::ConnectionLost)) if !is_first => {
                    return Err(error.into());
                }
                Err(error) => {
                    self.pass_on(Event::Refused(error)).await;
                    return Ok(());
                }
            }
        }
    }

    async fn on_message_ind(&self, _: &Client<Chat>, message: MessageInd) {
        self.pass_on(Event::Said(message)).await;
    }

    async fn on_joined_ind(&self, _: &Client<Chat>, message: JoinedInd) {
        self.pass_on(Event::Joined(message.user)).await;
    }

    async fn on_left_ind(&self, _: &Client<Chat>, message: LeftInd) {
        self.pass_on(Event::Left(message.user)).await;
    }

    async fn on_presence_req(
        &self,
        _: &Client<Chat>,
        _: PresenceReq,
    ) -> Result<PresenceRsp, Status> {
        let active = self.keyboard.is_active();
        Ok(PresenceRsp { active })
    }

    async fn on_disconnected(&self, _: &Client<Chat>, reason: DisconnectReason) {
        if !matches!(reason, DisconnectReason::ClosedByUs) {
            self.pass_on(Event::Lost(reason)).await;
        }
    }

    async fn on_connect_failure(&self, error: &ConnectError, attempt: u32) -> Reconnect {
        // Reported once; further attempts that fail are not shown.
        if attempt == 1 {
            self.pass_on(Event::CannotReach(error.clone())).await;
        }
        Reconnect::Backoff
    }
}
