//! The builder of a broker.

use std::{net::SocketAddr, time::Duration};

use msip_runtime::{
    Codec, CodecSet,
    auth::ApiKeys,
    untyped::{UntypedProtocol, UntypedServer},
};

use super::{Broker, BrokerError, BrokerReloader, background::Background, check};
use crate::{
    clock::Clock,
    config::{AdminConfig, Config, LimitsConfig},
    connections::Connections,
    directory::{Authentication, BoundListener, Directory, MipTerms},
    mip::{Admission, MipPeers, MipSettings},
    msip::BrokerService,
    router::{Limits, Router},
    shared::BrokerShared,
};

use super::middleman_listeners::MiddleManListeners;

/// Configures a broker before it listens; from [`Broker::builder`].
///
/// What the file of the program can say besides is in [`Config`], for [`config`](Self::config).
///
/// # Examples
///
/// ```
/// use msip_broker::Broker;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msip_broker::BrokerError> {
/// let broker = Broker::builder()
///     .listen("tcp://127.0.0.1:0")
///     .listen("mem://broker-builder")
///     .max_body(1024 * 1024)
///     .session_expiry(Duration::from_secs(60))
///     .bind()
///     .await?;
/// assert_eq!(broker.local_urls().count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct BrokerBuilder {
    config: Config,
    /// In place of those of the configuration.
    listen: Vec<String>,
}

impl BrokerBuilder {
    /// Takes all of this, in place of what was said before.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self.listen.clear();
        self
    }

    /// Listens here, such as `tcp://127.0.0.1:0` or `mem://plant`; may be called several times. The URL may say
    /// `insecure=true`, `principal=NAME` and `mip_resume=false` too, as on the command line.
    #[must_use]
    pub fn listen(mut self, url: impl Into<String>) -> Self {
        self.listen.push(url.into());
        self
    }

    /// The largest body of a message, in bytes. Default 4 MiB; 1 KiB to 1 GiB.
    #[must_use]
    pub fn max_body(mut self, max: u64) -> Self {
        self.config.max_body = max;
        self
    }

    /// How long a session is kept without a connection. Default 5 min; 0 to 24 h.
    #[must_use]
    pub fn session_expiry(mut self, expiry: Duration) -> Self {
        self.config.session_expiry = expiry;
        self
    }

    /// Answers HTTP requests about itself at this address of loopback. Default: nowhere.
    ///
    /// The recorder of the crate `metrics` is then that of the broker, unless the process has another one.
    #[must_use]
    pub fn admin(mut self, address: SocketAddr) -> Self {
        self.config.admin = Some(AdminConfig::new(address));
        self
    }

    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BrokerError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what it listens at.
    pub async fn bind(self) -> Result<Broker, BrokerError> {
        let mut config = self.config;
        config.listen_instead(&self.listen)?;
        config.check()?;
        let authentication = Authentication::new(&config.keys)?;
        let keys = authentication.keys().cloned();
        let shared = BrokerShared {
            router: Router::new(limits(&config)),
            directory: Directory::new(&config),
            connections: Connections::default(),
            clock: Clock::start(),
        };
        // Before the server: what the runtime counts has to find the recorder.
        let background = Background::bind(&config, &shared, keys.clone()).await?;
        let mut urls = config.listeners.iter().map(|listener| &listener.url);
        // The check has found one at least.
        let first = urls.next().map_or("", String::as_str);
        let mut server = UntypedServer::builder(first);
        for url in urls {
            server = server.also(url);
        }
        let peers = msip_peers(&shared, keys.clone());
        let is_insecure = config.listeners.iter().any(|listener| listener.insecure);
        let server = server
            .name("msip-broker")
            // Bodies pass unread: all have to be written in one way, unless the URL says otherwise.
            .codecs(CodecSet::from([Codec::Protobuf]))
            .max_body(size(config.max_body))
            .session_expiry(config.session_expiry)
            .drain_timeout(config.drain_timeout)
            // Whether a call that is passed on will have a stream is not known before its answer.
            .stream_drain(config.drain_timeout)
            .drain_spread(config.drain_spread)
            .max_connections(size(config.limits.connections))
            .max_detached_sessions(size(config.limits.detached_sessions))
            .max_memory(size(config.limits.memory))
            // Each listener was checked by itself.
            .insecure(is_insecure)
            .untyped(UntypedProtocol::any().with_topics(), peers.clone())
            .handoff(mip_peers(&config, &shared));
        let middleman = MiddleManListeners::open(&config)?;
        let server = middleman.install(server, &config, &shared, keys.clone());
        let server = authentication.install(&shared.directory, server);
        let server = match server.bind().await {
            Ok(server) => server,
            Err(error) => return Err(check::explain(&config, error).await),
        };
        let bound = server.local_urls().zip(&config.listeners).enumerate();
        let bound = bound.map(|(at, (url, listener))| BoundListener::new(at, url, listener));
        shared.directory.bound(&config, bound.collect());
        let reloader =
            BrokerReloader::new(server.reloader(), keys, peers, middleman, &shared, config);
        Ok(Broker {
            server,
            shared,
            background,
            reloader,
        })
    }
}

/// What serves MSIP peers, whatever their protocol is.
fn msip_peers(shared: &BrokerShared, keys: Option<ApiKeys>) -> BrokerService {
    let (clock, directory) = (shared.clock, shared.directory.clone());
    BrokerService::with_connections(
        shared.router.clone(),
        move || clock.now(),
        move |peer| match (peer.identity(), &keys) {
            // The keys may have been read again since it has shown one.
            (Some(identity), Some(keys)) => {
                Some(directory.of_identity(Some(&keys.current(&identity)?)))
            }
            (identity, _) => Some(directory.of_identity(identity.as_deref())),
        },
        shared.connections.clone(),
    )
}

/// What serves MIP peers, at all listeners.
fn mip_peers(config: &Config, shared: &BrokerShared) -> MipPeers {
    let settings = MipSettings {
        max_body: size(config.max_body),
        max_away: size(config.limits.detached_sessions),
        drain_spread: config.drain_spread,
        max_memory: size(config.limits.memory),
        connections: shared.connections.clone(),
        ..MipSettings::default()
    };
    let directory = shared.directory.clone();
    let (router, began) = (shared.router.clone(), shared.clock.began());
    MipPeers::new(router, began, settings, move |connection| {
        let MipTerms {
            principal,
            rights,
            may_resume,
        } = directory.of_mip(&connection.local);
        Ok(Admission {
            principal,
            rights,
            may_resume,
        })
    })
}

/// The limits of the router.
fn limits(config: &Config) -> Limits {
    let LimitsConfig {
        outgoing_bytes,
        outgoing_messages,
        droppable_bytes,
        session_bytes,
        session_messages,
        subscriptions,
        grants,
        kept_values,
        kept_bytes,
        ..
    } = config.limits;
    Limits {
        outgoing_bytes: size(outgoing_bytes),
        outgoing_messages: size(outgoing_messages),
        droppable_bytes: size(droppable_bytes),
        session_bytes: size(session_bytes),
        session_messages: size(session_messages),
        session_expiry: config.session_expiry,
        subscriptions: size(subscriptions),
        grants: size(grants),
        kept_values: size(kept_values),
        kept_bytes: size(kept_bytes),
        ..Limits::default()
    }
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}
