//! Which messages a role may send, and be sent.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use thiserror::Error;

use super::{Direction, ExchangeContext, Middleware, Next};
use crate::{CallError, Envelope, Exchange, Identity, Protocol, Status, Variant};

/// Stands for every role, and for clients that have none; in place of a message, for every message.
const ANY: &str = "*";

/// What a client is told that may not send a message, whatever the reason.
const REFUSAL: &str = "not permitted";

/// Lets clients send, and be sent, what a table says of the roles of their identity. Everything else is refused with
/// `PERMISSION_DENIED`.
///
/// A rule is a role and messages, by their names in the schema (`say_ind`, `who_req`). `*` stands for every role, and for clients
/// without one; in place of messages, for every message. *Deny wins*: what a rule denies to one role of a client no other rule
/// allows it. What no rule allows is refused. The order of rules does not matter.
///
/// A call is one message, its request: whoever may send it gets its answer, and a stream of requests or answers goes on until it
/// ends. The roles are those that the client has when the exchange begins.
///
/// It is a middleware of a server, around what comes in ([`allow`](AuthorizeBuilder::allow), [`deny`](AuthorizeBuilder::deny)), what
/// goes out ([`allow_to`](AuthorizeBuilder::allow_to), [`deny_to`](AuthorizeBuilder::deny_to)), or both. A
/// broadcast goes to those of its clients who may be sent the message.
///
/// Cheap to clone.
///
/// # Examples
///
/// ```
/// # mod chat {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(ClientToServer)]
/// #     #[msip(protocol = "chat")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)] SayInd(Text),
/// #         #[msip(tag = 2)] KickInd(Text),
/// #         #[msip(tag = 3)] WhoReq(Text),
/// #     }
/// #     #[derive(ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)] WhoRsp(Text),
/// #         #[msip(tag = 2)] SaidInd(Text),
/// #     }
/// #     #[derive(Message)]
/// #     pub struct Text { #[msip(tag = 1)] pub text: String }
/// # }
/// # use chat::Chat;
/// use msip_runtime::{Server, middleware::Authorize};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let rules = Authorize::of::<Chat>()
///     .allow("*", ["who_req"])
///     .allow("member", ["say_ind"])
///     .allow("operator", ["*"])
///     .deny("muted", ["say_ind"])
///     .allow_to("member", ["*"])
///     .build()?;
/// let server = Server::<Chat>::builder("tcp://127.0.0.1:0")
///     .incoming(rules.clone())
///     .outgoing(rules);
/// # let _ = server;
///
/// let error = Authorize::of::<Chat>().allow("member", ["shout_ind"]).build().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "`shout_ind` is no message of ClientToServer: there are say_ind, kick_ind, who_req"
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Authorize(Arc<Table>);

/// Collects the rules of an [`Authorize`]; from [`Authorize::of`].
#[derive(Debug, Clone, Default)]
pub struct AuthorizeBuilder {
    from_clients: Vec<&'static Variant>,
    to_clients: Vec<&'static Variant>,
    rules: Vec<Rule>,
}

/// A rule that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AuthorizeError {
    /// The protocol has no such message in this direction.
    #[error("`{name}` is no message of {envelope}: there are {known}")]
    UnknownMessage {
        /// The name.
        name: String,
        /// `ClientToServer` or `ServerToClient`.
        envelope: &'static str,
        /// The messages that a rule may name.
        known: String,
    },
    /// The message is an answer, which goes with its request.
    #[error("`{name}` is an answer: whoever may send the request gets it, so name the request")]
    Answer {
        /// The name.
        name: String,
    },
    /// A role has no name.
    #[error("a role has no name: write `*` for everyone")]
    NoRole,
}

#[derive(Debug, Clone)]
struct Rule {
    flow: Flow,
    effect: Effect,
    role: String,
    message: String,
}

/// Who sends a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    FromClients,
    ToClients,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

/// What the rules come to, for each message.
#[derive(Debug, Default)]
struct Table {
    from_clients: Rows,
    to_clients: Rows,
}

type Rows = BTreeMap<&'static str, Row>;

/// Whom a message is allowed and denied.
#[derive(Debug, Default)]
struct Row {
    allowed: Roles,
    denied: Roles,
}

#[derive(Debug, Default)]
struct Roles {
    has_everyone: bool,
    named: BTreeSet<String>,
}

impl Authorize {
    /// Rules about the messages of this protocol.
    #[must_use]
    pub fn of<P: Protocol>() -> AuthorizeBuilder {
        AuthorizeBuilder::default().and::<P>()
    }

    fn permits(&self, flow: Flow, message: &str, identity: Option<&Identity>) -> bool {
        let rows = match flow {
            Flow::FromClients => &self.0.from_clients,
            Flow::ToClients => &self.0.to_clients,
        };
        let roles = identity.map_or(&[][..], |identity| &identity.roles);
        rows.get(message).is_some_and(|row| row.permits(roles))
    }
}

impl AuthorizeBuilder {
    /// The messages of this protocol too, where a server offers several. A rule holds for all messages of the name, of whichever
    /// protocol; messages of a protocol that is not named here are refused.
    #[must_use]
    pub fn and<P: Protocol>(mut self) -> Self {
        self.from_clients.extend(P::ClientToServer::VARIANTS);
        self.to_clients.extend(P::ServerToClient::VARIANTS);
        self
    }

    /// Clients with this role may send these messages.
    #[must_use]
    pub fn allow<M: Into<String>>(
        self,
        role: impl Into<String>,
        messages: impl IntoIterator<Item = M>,
    ) -> Self {
        self.rules(Flow::FromClients, Effect::Allow, role, messages)
    }

    /// Clients with this role may not send these messages, whatever else is said of them.
    #[must_use]
    pub fn deny<M: Into<String>>(
        self,
        role: impl Into<String>,
        messages: impl IntoIterator<Item = M>,
    ) -> Self {
        self.rules(Flow::FromClients, Effect::Deny, role, messages)
    }

    /// Clients with this role may be sent these messages.
    #[must_use]
    pub fn allow_to<M: Into<String>>(
        self,
        role: impl Into<String>,
        messages: impl IntoIterator<Item = M>,
    ) -> Self {
        self.rules(Flow::ToClients, Effect::Allow, role, messages)
    }

    /// Clients with this role may not be sent these messages, whatever else is said of them.
    #[must_use]
    pub fn deny_to<M: Into<String>>(
        self,
        role: impl Into<String>,
        messages: impl IntoIterator<Item = M>,
    ) -> Self {
        self.rules(Flow::ToClients, Effect::Deny, role, messages)
    }

    /// The middleware.
    ///
    /// # Errors
    ///
    /// A rule names a message that the protocol does not have in its direction, or an answer; see [`AuthorizeError`].
    pub fn build(self) -> Result<Authorize, AuthorizeError> {
        let mut table = Table {
            from_clients: rows(&self.from_clients),
            to_clients: rows(&self.to_clients),
        };
        for rule in self.rules {
            let (rows, variants) = match rule.flow {
                Flow::FromClients => (&mut table.from_clients, &self.from_clients),
                Flow::ToClients => (&mut table.to_clients, &self.to_clients),
            };
            if rule.role.is_empty() {
                return Err(AuthorizeError::NoRole);
            }
            if rule.message == ANY {
                rows.values_mut().for_each(|row| row.add(&rule));
            } else if let Some(row) = rows.get_mut(rule.message.as_str()) {
                row.add(&rule);
            } else {
                return Err(rule.wrong(variants));
            }
        }
        Ok(Authorize(Arc::new(table)))
    }

    fn rules<M: Into<String>>(
        mut self,
        flow: Flow,
        effect: Effect,
        role: impl Into<String>,
        messages: impl IntoIterator<Item = M>,
    ) -> Self {
        let role = role.into();
        self.rules.extend(messages.into_iter().map(|message| Rule {
            flow,
            effect,
            role: role.clone(),
            message: message.into(),
        }));
        self
    }
}

impl Rule {
    /// What is wrong with its message.
    fn wrong(self, variants: &[&'static Variant]) -> AuthorizeError {
        let name = self.message;
        if variants.iter().any(|variant| variant.name == name) {
            return AuthorizeError::Answer { name };
        }
        let known: Vec<_> = openers(variants).map(|variant| variant.name).collect();
        AuthorizeError::UnknownMessage {
            name,
            envelope: match self.flow {
                Flow::FromClients => "ClientToServer",
                Flow::ToClients => "ServerToClient",
            },
            known: known.join(", "),
        }
    }
}

impl Row {
    fn add(&mut self, rule: &Rule) {
        let roles = match rule.effect {
            Effect::Allow => &mut self.allowed,
            Effect::Deny => &mut self.denied,
        };
        if rule.role == ANY {
            roles.has_everyone = true;
        } else {
            roles.named.insert(rule.role.clone());
        }
    }

    fn permits(&self, roles: &[String]) -> bool {
        !self.denied.include(roles) && self.allowed.include(roles)
    }
}

impl Roles {
    fn include(&self, roles: &[String]) -> bool {
        self.has_everyone || roles.iter().any(|role| self.named.contains(role))
    }
}

/// The messages that begin an exchange.
fn openers(variants: &[&'static Variant]) -> impl Iterator<Item = &'static Variant> {
    let all = variants.iter().copied();
    all.filter(|variant| variant.exchange != Exchange::Answer)
}

fn rows(variants: &[&'static Variant]) -> Rows {
    let named = openers(variants).map(|variant| (variant.name, Row::default()));
    named.collect()
}

impl Middleware for Authorize {
    async fn handle(
        &self,
        exchange: &mut ExchangeContext,
        mut next: Next<'_>,
    ) -> Result<(), CallError> {
        let is_client = exchange.peer().is_none();
        let flow = match exchange.direction() {
            Direction::Incoming if !is_client => Flow::FromClients,
            Direction::Outgoing if is_client => Flow::FromClients,
            Direction::Incoming | Direction::Outgoing => Flow::ToClients,
        };
        if !self.permits(flow, exchange.message(), exchange.identity().as_deref()) {
            return Err(exchange.refuse(Status::permission_denied(REFUSAL)));
        }
        next.run(exchange).await
    }

    fn permits_broadcast(&self, message: &'static Variant, client: Option<&Identity>) -> bool {
        self.permits(Flow::ToClients, message.name, client)
    }
}

impl fmt::Debug for Authorize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
