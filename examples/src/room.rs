//! The chat room: the handler of the chat server.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use msip_runtime::{Broadcast, CallOptions, DisconnectReason, Peer, Status};
use tokio::task::JoinSet;

use crate::chat::{
    BroadcastServerToClient as _, Chat, ConnectReq, ConnectRsp, HandleClientToServer, JoinedInd,
    LeftInd, MessageInd, Person, PresenceReq, SendServerToClient as _, WhoReq, WhoRsp,
};

/// The longest name, in characters.
const LONGEST_NAME: usize = 20;

/// How long a member may take to answer whether anyone is at the keyboard.
const PATIENCE: Duration = Duration::from_secs(2);

/// A chat room that people enter under a name.
///
/// It implements [`HandleClientToServer`]: one room serves all clients. A client that is connected and has not entered
/// receives nothing.
pub struct Room {
    motd: String,
    members: Mutex<BTreeMap<String, Peer<Chat>>>,
    tell: Box<dyn Fn(&str) + Send + Sync>,
}

/// The name that a peer has entered under; kept in its extensions.
struct Name(String);

impl Room {
    /// An empty room with a message for newcomers. `tell` is called with a line for each event in the room.
    pub fn new(motd: impl Into<String>, tell: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self {
            motd: motd.into(),
            members: Mutex::default(),
            tell: Box::new(tell),
        }
    }

    fn members(&self) -> MutexGuard<'_, BTreeMap<String, Peer<Chat>>> {
        // No insert or remove can be left half done.
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everyone in the room but this peer.
    fn others(&self, peer: &Peer<Chat>) -> Broadcast<Chat> {
        let members: Vec<_> = self.members().values().map(Peer::id).collect();
        peer.others().only(members)
    }

    /// Adds a peer to the room. Returns the names of everyone in it.
    fn enter(&self, name: &str, peer: &Peer<Chat>) -> Result<Vec<String>, Status> {
        if let Some(known) = peer.extensions().get::<Name>() {
            return Err(Status::failed_precondition(format!(
                "you are in the room already, as {}",
                known.0
            )));
        }
        let mut members = self.members();
        if members.contains_key(name) {
            return Err(Status::already_exists(format!(
                "somebody is in the room as {name} already"
            )));
        }
        // A clone without the call that this peer is a view of.
        members.insert(name.to_owned(), peer.clone());
        peer.extensions().insert(Name(name.to_owned()));
        Ok(members.keys().cloned().collect())
    }
}

impl HandleClientToServer for Room {
    async fn on_connect_req(
        &self,
        peer: &Peer<Chat>,
        request: ConnectReq,
    ) -> Result<ConnectRsp, Status> {
        let name = check_name(&request.user)?;
        let users = self.enter(name, peer)?;
        (self.tell)(&format!("{name} entered"));
        self.others(peer).joined_ind(JoinedInd {
            user: name.to_owned(),
        });
        Ok(ConnectRsp {
            motd: self.motd.clone(),
            users,
        })
    }

    async fn on_message_ind(&self, peer: &Peer<Chat>, message: MessageInd) {
        // A one-way message has no answer: one from a client that has not entered is ignored.
        let Some(name) = peer.extensions().get::<Name>() else {
            return;
        };
        self.others(peer).message_ind(MessageInd {
            user: name.0.clone(),
            text: message.text,
        });
    }

    /// Calls every client at once, with half of the time that remains of the caller's deadline, since the answer has to
    /// travel too. A client that does not answer is away.
    async fn on_who_req(&self, peer: &Peer<Chat>, _: WhoReq) -> Result<WhoRsp, Status> {
        let members: Vec<_> = self.members().clone().into_iter().collect();
        let remaining = peer.call().remaining();
        let patience = remaining.map_or(PATIENCE, |remaining| PATIENCE.min(remaining / 2));
        let options = CallOptions::from(peer.call()).timeout(patience);
        let mut asked = JoinSet::new();
        for (user, member) in members {
            let options = options.clone();
            asked.spawn(async move {
                let answer = member.with(options).presence_req(PresenceReq {}).await;
                let active = answer.is_ok_and(|answer| answer.active);
                Person { user, active }
            });
        }
        let mut people = asked.join_all().await;
        people.sort_by(|one, other| one.user.cmp(&other.user));
        Ok(WhoRsp { people })
    }

    async fn on_client_disconnected(&self, peer: &Peer<Chat>, reason: DisconnectReason) {
        let Some(name) = peer.extensions().remove::<Name>() else {
            return;
        };
        self.members().remove(&name.0);
        (self.tell)(&format!("{} left: {reason}", name.0));
        self.others(peer).left_ind(LeftInd {
            user: name.0.clone(),
        });
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("members", &*self.members())
            .finish_non_exhaustive()
    }
}

fn check_name(name: &str) -> Result<&str, Status> {
    let is_good = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    if (1..=LONGEST_NAME).contains(&name.chars().count()) && name.chars().all(is_good) {
        return Ok(name);
    }
    Err(Status::invalid_argument(format!(
        "a name has 1 to {LONGEST_NAME} letters, digits, `-` or `_`"
    )))
}
