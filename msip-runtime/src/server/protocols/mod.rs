//! The protocols that a server offers: HELLO names one, and its service is run.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use super::{about_client::AboutClient, introduction::Introduction, peer_connection::Remote};
use crate::{
    DisconnectReason, Status,
    compatibility::describes,
    connection::ConnectionShared,
    dialect::DialectProtocol,
    driver::HandlerTask,
    negotiation::{MAX_NAME_LEN, Translations},
    service::Inbox,
    settings::{SchemaRule, Settings},
};
use msip_session::{
    Lost,
    wire::{Escaped, Hello, broker},
};

mod typed;
mod untyped;

pub(super) use typed::TypedOffer;
pub(super) use untyped::UntypedOffer;
pub use untyped::UntypedProtocol;

/// Every protocol of a server, in the order in which they were given.
#[derive(Debug, Default)]
pub(super) struct ProtocolTable {
    offers: Vec<Box<dyn Offer>>,
}

/// A protocol that a server offers, or any protocol at all.
pub(super) trait Offer: fmt::Debug + Send + Sync {
    /// Its name in HELLO; `None` for any.
    fn name(&self) -> Option<&str>;

    /// The fingerprint of its schema; `None` for any.
    fn fingerprint(&self) -> Option<u64>;

    /// What a dialect has to know of it; `None` where it has no schema.
    fn for_dialects(&self) -> Option<DialectProtocol> {
        None
    }

    /// Whether it can describe its schema to a client that has another one.
    fn describes(&self) -> bool;

    /// Whether its service routes messages by their topics, as a broker does.
    fn routes_topics(&self) -> bool {
        false
    }

    /// Whether its sessions may have channels.
    fn has_channels(&self) -> bool;

    /// How bodies are written in the codecs that there are.
    fn translations(&self) -> &Translations;

    /// Every client of it that is connected.
    fn connected(&self) -> Vec<Arc<ConnectionShared>>;

    /// Begins a session of a client whose HELLO names it.
    fn open(
        &self,
        introduction: Introduction,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> (Arc<dyn ServedPeer>, HandlerTask);
}

/// A future in a box: of what happens once in a session.
pub(super) type Once<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// The client of a session, as what serves it knows it.
pub(super) trait ServedPeer: Send + Sync {
    /// It is connected.
    fn register(&self);

    /// It is not.
    fn unregister(&self);

    /// It has resumed its session with another connection.
    fn has_resumed(&self, remote: Remote);

    /// Whether the handlers of its session can be dropped while it has no connection, and [begun](Self::handlers) anew.
    fn can_begin_handlers(&self) -> bool;

    /// Begins the handlers of its session anew, which has a connection again.
    fn handlers(&self, inbox: &Arc<Inbox>) -> HandlerTask;

    /// The handlers of a channel of its session. `None` where nothing can be handled yet.
    fn channel_handlers(
        &self,
        connection: &Arc<ConnectionShared>,
        inbox: &Arc<Inbox>,
    ) -> Option<HandlerTask>;

    /// Whether its session can be parked: nobody else has a handle of it.
    fn can_park(&self) -> bool;

    /// What is kept of it while its session is parked: from here on this is not used. `None` where it
    /// [cannot be parked](Self::can_park).
    fn park(&self) -> Option<Box<dyn ParkedPeer>>;

    /// What is kept of it while it has no connection and depends on it: names, identity, rooms; in bytes.
    fn suspended_len(&self) -> usize;

    /// Its session has ended, and this was open in it.
    fn ended(&self, lost: &[Lost]);

    /// Tells the handler that its last connection has ended.
    fn disconnected(&self, reason: DisconnectReason) -> Once<'_>;

    /// Tells the handler that its session has ended for good.
    fn gone(&self) -> Once<'_>;
}

/// What is kept of the client, for what serves it.
pub(super) trait ParkedPeer: Send + Sync {
    /// The client as it was before. Its connection is there, and its handlers are not.
    fn reopen(
        self: Box<Self>,
        about: &AboutClient,
        connection: &Arc<ConnectionShared>,
    ) -> Arc<dyn ServedPeer>;

    /// What it takes, in bytes, with the client's rooms.
    fn len(&self, about: &AboutClient) -> usize;
}

impl ProtocolTable {
    /// Adds a protocol in front of the others.
    pub(super) fn push_first(&mut self, offer: Box<dyn Offer>) {
        self.offers.insert(0, offer);
    }

    pub(super) fn push(&mut self, offer: Box<dyn Offer>) {
        self.offers.push(offer);
    }

    /// What dialects have to know of those that have a schema.
    pub(super) fn for_dialects(&self) -> impl Iterator<Item = DialectProtocol> {
        self.offers.iter().filter_map(|offer| offer.for_dialects())
    }

    /// What serves the protocol that a client's HELLO names.
    pub(super) fn find(&self, hello: &Hello, settings: &Settings) -> Result<&dyn Offer, Status> {
        if hello.protocol.len() > MAX_NAME_LEN {
            let text = format!(
                "the name of the protocol has {} bytes: at most {MAX_NAME_LEN} are allowed",
                hello.protocol.len()
            );
            return Err(Status::failed_precondition(text));
        }
        let named = |name| self.offers.iter().find(|offer| offer.name() == name);
        let found = named(Some(hello.protocol.as_str())).or_else(|| named(None));
        let Some(offer) = found else {
            let names = self.names();
            let text = match &*hello.protocol {
                broker::PROTOCOL => format!("this server speaks {names}, and is no broker"),
                other => format!("this server speaks {names}, not `{}`", Escaped::new(other)),
            };
            return Err(Status::failed_precondition(text));
        };
        check_fingerprint(&**offer, hello, settings.schema)?;
        Ok(&**offer)
    }

    /// Every client that is connected.
    pub(super) fn connected(&self) -> Vec<Arc<ConnectionShared>> {
        self.offers
            .iter()
            .flat_map(|offer| offer.connected())
            .collect()
    }

    /// The names of all of them, for logs.
    pub(super) fn log_name(&self) -> String {
        let names = self.offers.iter().map(|offer| offer.name().unwrap_or("*"));
        names.collect::<Vec<_>>().join(",")
    }

    /// The names of all of them, for the refusal of an unknown one.
    fn names(&self) -> String {
        let names: Vec<String> = self
            .offers
            .iter()
            .map(|offer| match offer.name() {
                Some(name) => format!("`{name}`"),
                None => "any protocol".to_owned(),
            })
            .collect();
        match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} and {last}", others.join(", ")),
            None => "no protocol".to_owned(),
        }
    }
}

/// Whether a client whose schema has this fingerprint may be served. What can be compared is compared later.
fn check_fingerprint(offer: &dyn Offer, hello: &Hello, rule: SchemaRule) -> Result<(), Status> {
    let theirs = hello.fingerprint;
    let Some(ours) = offer.fingerprint().filter(|ours| *ours != theirs) else {
        return Ok(());
    };
    let why = match rule {
        SchemaRule::Any => return Ok(()),
        SchemaRule::Compatible if !offer.describes() => ", and the server cannot compare them",
        SchemaRule::Compatible if !describes(&hello.extensions) => {
            ", and the client cannot describe its own"
        }
        SchemaRule::Compatible => return Ok(()),
        SchemaRule::Strict => "",
    };
    let text = format!(
        "the server's schema has the fingerprint {ours:016x}, the client's {theirs:016x}{why}"
    );
    Err(Status::failed_precondition(text))
}
