//! Authentication: who a client is, before anything else is done for it.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{
    failure_limiter::{FailureLimiter, FailureSource},
    peer_connection::Remote,
};
use crate::{
    Code, Identity, Status,
    instruments::RefusedHandshake,
    negotiation::cut_name,
    service::{caught, log_panic},
    transport::{PeerAddress, PeerCredential},
};
use msip_session::wire::{Escaped, HelloFrame};

/// The one text with which a client is refused that is not authenticated, whatever was wrong.
const REFUSAL: &str = "not authenticated";

/// When a client is refused that is not authenticated: so long after its HELLO, or a multiple of it. What was wrong with its
/// credential is not to be learned from how long it took to find out.
const REFUSAL_STEP: Duration = Duration::from_millis(50);

/// A client that asks to be served: what its HELLO says, and what the transport knows of it.
///
/// Everything but [`address`](Self::address) and [`transport_credential`](Self::transport_credential) is the client's own
/// claim. Cheap to clone.
#[derive(Clone)]
pub struct ConnectRequest(Arc<Parts>);

struct Parts {
    protocol: String,
    fingerprint: u64,
    client_name: String,
    client_version: String,
    credential: Vec<u8>,
    remote: Remote,
    local: PeerAddress,
}

impl ConnectRequest {
    /// Takes what an authenticator may want to know out of a HELLO.
    pub(super) fn take(
        HelloFrame { hello, .. }: &mut HelloFrame,
        remote: &Remote,
        local: &PeerAddress,
    ) -> Self {
        Self(Arc::new(Parts {
            protocol: hello.protocol.clone(),
            fingerprint: hello.fingerprint,
            client_name: hello.client_name.clone(),
            client_version: cut_name(&hello.client_version),
            credential: std::mem::take(&mut hello.credential),
            remote: remote.clone(),
            local: local.clone(),
        }))
    }

    /// One with this credential, over a connection of which nothing is known.
    #[cfg(test)]
    pub(crate) fn stub(credential: &[u8]) -> Self {
        Self(Arc::new(Parts {
            protocol: "stub".to_owned(),
            fingerprint: 0,
            client_name: String::new(),
            client_version: String::new(),
            credential: credential.to_vec(),
            remote: Remote {
                address: PeerAddress::Named("stub".into()),
                is_confidential: true,
                credential: PeerCredential::None,
            },
            local: PeerAddress::Named("stub".into()),
        }))
    }

    /// The key or token that the client has sent; empty where it has none.
    #[must_use]
    pub fn credential(&self) -> &[u8] {
        &self.0.credential
    }

    /// What the client calls itself; it may be empty.
    #[must_use]
    pub fn client_name(&self) -> &str {
        &self.0.client_name
    }

    /// The version that the client states; it may be empty.
    #[must_use]
    pub fn client_version(&self) -> &str {
        &self.0.client_version
    }

    /// The protocol that it speaks. This server need not offer it.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.0.protocol
    }

    /// The fingerprint of the client's schema.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.0.fingerprint
    }

    /// The address that it connects from.
    #[must_use]
    pub fn address(&self) -> &PeerAddress {
        &self.0.remote.address
    }

    /// The address of this end: of several listeners it tells by which one the client has come.
    #[must_use]
    pub fn local_address(&self) -> &PeerAddress {
        &self.0.local
    }

    /// Who the client is, as far as the transport has proved it: by a certificate, or the user id of a process.
    #[must_use]
    pub fn transport_credential(&self) -> &PeerCredential {
        &self.0.remote.credential
    }

    /// Whether only the client and this server can read what is sent.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.0.remote.is_confidential
    }
}

/// Everything but the credential, which is only measured.
impl fmt::Debug for ConnectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectRequest")
            .field("address", self.address())
            .field("protocol", &self.protocol())
            .field("fingerprint", &format_args!("{:016x}", self.fingerprint()))
            .field("client_name", &self.client_name())
            .field("client_version", &self.client_version())
            .field(
                "credential",
                &format_args!("<{} bytes>", self.credential().len()),
            )
            .field("transport_credential", self.transport_credential())
            .field("is_confidential", &self.is_confidential())
            .finish()
    }
}

/// Says who a client is, or that it is refused; given to
/// [`ServerBuilder::authenticate`](crate::ServerBuilder::authenticate).
///
/// Every closure `Fn(ConnectRequest) -> impl Future<Output = Result<Identity, Status>>` is one; one that returns
/// `Result<Option<Identity>, Status>` can leave a client to the next in the chain.
///
/// # Examples
///
/// Tokens, of which the server keeps hashes only: looking up a hash takes the same time however much of a token was
/// guessed.
///
/// ```
/// use std::collections::HashMap;
/// use msip_runtime::{Authenticator, ConnectRequest, Identity, Status};
/// use sha2::{Digest, Sha256};
///
/// /// The names of clients, by the hashes of their tokens.
/// struct Tokens(HashMap<[u8; 32], String>);
///
/// impl Tokens {
///     fn new<'a>(tokens: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
///         let hashed = |(name, token): (&str, &str)| (Sha256::digest(token).into(), name.to_owned());
///         Self(tokens.into_iter().map(hashed).collect())
///     }
/// }
///
/// impl Authenticator for Tokens {
///     async fn authenticate(&self, client: &ConnectRequest) -> Result<Option<Identity>, Status> {
///         if client.credential().is_empty() {
///             return Ok(None); // no token: the next in the chain decides, or nobody does
///         }
///         let hash: [u8; 32] = Sha256::digest(client.credential()).into();
///         match self.0.get(&hash) {
///             Some(name) => Ok(Some(Identity::new("token").with_user(name))),
///             None => Err(Status::unauthenticated("unknown token")), // logged here; the client is not told why
///         }
///     }
/// }
/// # let _ = Tokens::new([("ada", "ada's long random token")]);
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Says who the client is.
    ///
    /// `Ok(None)` leaves it to the next authenticator; where there is none, the client is refused. An error refuses it, and
    /// ends the chain: a credential that is recognised and wrong belongs there, so that it does not fall through to a
    /// weaker method.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the client leaves, after `handshake_timeout`, and when the server shuts down.
    fn authenticate(
        &self,
        client: &ConnectRequest,
    ) -> impl Future<Output = Result<Option<Identity>, Status>> + Send;
}

impl<F, Answer, I> Authenticator for F
where
    F: Fn(ConnectRequest) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Result<I, Status>> + Send,
    I: Into<Option<Identity>>,
{
    fn authenticate(
        &self,
        client: &ConnectRequest,
    ) -> impl Future<Output = Result<Option<Identity>, Status>> + Send {
        let client = client.clone();
        async move { self(client).await.map(Into::into) }
    }
}

type Answering<'a> = Pin<Box<dyn Future<Output = Result<Option<Identity>, Status>> + Send + 'a>>;

/// An authenticator of whatever type.
trait AnyAuthenticator: Send + Sync {
    fn ask<'a>(&'a self, client: &'a ConnectRequest) -> Answering<'a>;
}

impl<A: Authenticator> AnyAuthenticator for A {
    fn ask<'a>(&'a self, client: &'a ConnectRequest) -> Answering<'a> {
        // What it does before its future is polled belongs to it too, as for panics.
        Box::pin(async move { self.authenticate(client).await })
    }
}

/// The authenticators of a server, in the order in which they are asked. Without any, clients have no identity.
#[derive(Clone, Default)]
pub(super) struct Authenticators {
    chain: Vec<Arc<dyn AnyAuthenticator>>,
    failures: Arc<FailureLimiter>,
}

/// Why a client is refused: what it is told, how it is counted, and what the log says in addition.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) told: Status,
    pub(super) counted: RefusedHandshake,
    /// What the client is not told: the authenticator's own words, or the setting of the server that refuses it.
    pub(super) why: Option<String>,
}

impl Authenticators {
    pub(super) fn push(&mut self, authenticator: impl Authenticator) {
        self.chain.push(Arc::new(authenticator));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// Who the client is, by the first authenticator that knows, until `deadline`. A source that had `max_failures` credentials
    /// refused within a minute has no more of them looked at; 0 is no limit.
    pub(super) async fn identify(
        &self,
        client: &ConnectRequest,
        deadline: Instant,
        max_failures: usize,
    ) -> Result<Identity, Refusal> {
        let begun = Instant::now();
        let is_try = !client.credential().is_empty() && max_failures > 0;
        let source = is_try.then(|| FailureSource::of(&client.0.remote));
        if let Some(source) = &source
            && self.failures.is_over(source, max_failures)
        {
            return Err(Refusal::told(Status::resource_exhausted(
                "too many failed authentications from there: try again in a minute",
            ))
            .because("there were as many as max_auth_failures allows"));
        }
        let answer = match timeout_at(deadline, self.ask_each(client)).await {
            Ok(Ok(identity)) if identity.remaining().is_some_and(|left| left.is_zero()) => {
                Err(Refusal::unauthenticated("the identity has expired"))
            }
            Ok(answer) => answer,
            Err(_) => Err(Refusal::told(Status::unavailable(
                "the server took too long to authenticate this client",
            ))
            .because("it took longer than handshake_timeout allows")),
        };
        if answer.as_ref().is_err_and(Refusal::is_unauthenticated) {
            if let Some(source) = source {
                self.failures.failed(source, max_failures);
            }
            sleep_until(next_refusal(begun, Instant::now()).min(deadline)).await;
        }
        answer
    }

    async fn ask_each(&self, client: &ConnectRequest) -> Result<Identity, Refusal> {
        for authenticator in &self.chain {
            match caught(authenticator.ask(client)).await {
                Ok(Ok(Some(identity))) => return Ok(identity),
                Ok(Ok(None)) => {}
                Ok(Err(status)) => return Err(status.into()),
                Err(panic) => {
                    log_panic("an authenticator", &panic);
                    return Err(Status::internal("authentication failed").into());
                }
            }
        }
        let why = if client.credential().is_empty() {
            "no credential"
        } else {
            "no authenticator knows the credential"
        };
        Err(Refusal::unauthenticated(why))
    }
}

impl fmt::Debug for Authenticators {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Authenticators")
            .field(&self.chain.len())
            .finish()
    }
}

/// The first time at which a client may be refused after `now`, of one that has said HELLO at `begun`.
fn next_refusal(begun: Instant, now: Instant) -> Instant {
    let steps = (now - begun).as_nanos().div_ceil(REFUSAL_STEP.as_nanos());
    begun + REFUSAL_STEP * u32::try_from(steps.max(1)).unwrap_or(u32::MAX)
}

impl Refusal {
    /// One that the client is told as it is.
    pub(super) fn told(status: Status) -> Self {
        Self {
            counted: RefusedHandshake::Status(status.code()),
            told: status,
            why: None,
        }
    }

    /// It exceeds `max_connections`, and is refused with this status.
    pub(super) fn too_many_connections(status: Status) -> Self {
        Self {
            told: status,
            counted: RefusedHandshake::TooManyConnections,
            why: None,
        }
        .because("as many are connected as max_connections allows")
    }

    /// The log says this too.
    fn because(mut self, why: &str) -> Self {
        self.why = Some(why.to_owned());
        self
    }

    fn is_unauthenticated(&self) -> bool {
        self.told.code() == Code::Unauthenticated
    }

    fn unauthenticated(why: &str) -> Self {
        Self {
            told: Status::unauthenticated(REFUSAL),
            counted: RefusedHandshake::Status(Code::Unauthenticated),
            why: Some(Escaped::new(why).to_string()),
        }
    }
}

/// A client that is not authenticated is not told why. All else is told as it is.
impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        if status.code() == Code::Unauthenticated {
            Self::unauthenticated(status.message())
        } else {
            Self::told(status)
        }
    }
}
