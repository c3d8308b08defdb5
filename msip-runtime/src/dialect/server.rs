//! The dialect that the URL of a listener names.

use std::{io, sync::Arc};

use msip_session::wire::{Hello, SECRET_LEN, SessionId};
use thiserror::Error;

#[cfg(any(feature = "flyrpc", feature = "messi"))]
use super::DialectStream;
#[cfg(feature = "flyrpc")]
use super::flyrpc;
#[cfg(feature = "messi")]
use super::messi;
use super::{Carries, DialectProtocol, Feature, Texts};
use crate::{
    Identity, SettingError,
    settings::Settings,
    transport::{DialectName, ServiceUrl, Stream, TransportOptions},
};

/// What the clients of a listener speak besides MSIP, and whom they are taken for.
#[derive(Debug)]
pub(crate) struct ServerDialect {
    speaks: Speaks,
    principal: Option<String>,
    protocol: DialectProtocol,
    /// The texts of what the server says, where not every text is carried.
    texts: Option<Arc<Texts>>,
    /// The largest body that the server takes.
    max_body: usize,
}

#[derive(Debug)]
enum Speaks {
    #[cfg(feature = "flyrpc")]
    FlyRpc(flyrpc::ServerConfig),
    #[cfg(feature = "messi")]
    Messi(messi::ServerConfig),
}

/// Why a server cannot listen for a dialect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum ListenerError {
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// It has no credentials to authenticate by.
    #[error("no principal")]
    NoPrincipal { dialect: &'static str },
    /// The server offers several protocols, or not the one that is named.
    #[error("which protocol?")]
    Protocol {
        dialect: &'static str,
        named: Option<String>,
    },
}

impl ServerDialect {
    /// The dialect of the URL's scheme; `None` where that is MSIP, or where the transport says itself that nobody listens for it.
    ///
    /// `protocols` are those of the server that have a schema; `authenticates` says whether it wants to know who its clients are.
    ///
    /// # Errors
    ///
    /// See [`ListenerError`].
    pub(crate) fn of(
        url: &ServiceUrl,
        options: &TransportOptions,
        settings: &Settings,
        protocols: &[DialectProtocol],
        authenticates: bool,
    ) -> Result<Option<Self>, ListenerError> {
        let speaks = match url.dialect() {
            None | Some(DialectName::Mip) => None,
            #[cfg(feature = "flyrpc")]
            Some(DialectName::FlyRpc) => {
                Some(Speaks::FlyRpc(flyrpc::ServerConfig::of(options, settings)?))
            }
            #[cfg(feature = "messi")]
            Some(DialectName::Messi) => {
                Some(Speaks::Messi(messi::ServerConfig::of(options, settings)?))
            }
        };
        let Some::<Speaks>(speaks) = speaks else {
            return Ok(None);
        };
        let dialect = speaks.carries().dialect;
        let principal = options.get("principal").filter(|name| !name.is_empty());
        if authenticates && principal.is_none() {
            return Err(ListenerError::NoPrincipal { dialect });
        }
        let named = options.get("protocol");
        let protocol = match (named, protocols) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(name), all) => all.iter().find(|protocol| protocol.name == name),
        };
        let Some(protocol) = protocol else {
            let named = named.map(str::to_owned);
            return Err(ListenerError::Protocol { dialect, named });
        };
        let refuses_nul = speaks.carries().check(Feature::NulText).is_err();
        let texts = refuses_nul.then(|| Texts::of_server(protocol)).flatten();
        Ok(Some(Self {
            speaks,
            texts: texts.map(Arc::new),
            principal: principal.map(str::to_owned),
            protocol: *protocol,
            max_body: settings.max_body,
        }))
    }

    /// What it carries to its clients.
    pub(crate) fn carries(&self) -> &'static Carries {
        self.speaks.carries()
    }

    /// Where what it sends has text that may have to be refused.
    pub(crate) fn texts(&self) -> Option<Arc<Texts>> {
        self.texts.clone()
    }

    /// Who its clients are, in place of what an authenticator would say.
    pub(crate) fn identity(&self) -> Option<Identity> {
        let principal = self.principal.as_ref()?;
        Some(Identity::new("listener").with_user(principal))
    }

    /// The stream of MSIP over a connection that was accepted.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    #[cfg_attr(
        not(any(feature = "flyrpc", feature = "messi")),
        expect(unused_variables, reason = "there is no dialect to wrap it")
    )]
    pub(crate) fn wrap(&self, stream: Stream) -> io::Result<Stream> {
        match self.speaks {
            #[cfg(feature = "flyrpc")]
            Speaks::FlyRpc(ref config) => {
                // Nobody tells what a client accepts.
                let max_body = u32::try_from(self.max_body).unwrap_or(u32::MAX);
                let client = self.client(max_body)?;
                let dialect = config.server(&self.protocol, self.max_body, client);
                Ok(Stream::boxed(DialectStream::new(stream, dialect)))
            }
            #[cfg(feature = "messi")]
            Speaks::Messi(ref config) => {
                let client = self.client(messi::MAX_PAYLOAD)?;
                let dialect = messi::MessiServer::new(
                    config,
                    self.protocol,
                    self.texts(),
                    self.max_body,
                    client,
                );
                Ok(Stream::boxed(DialectStream::new(stream, dialect)))
            }
        }
    }

    /// What the client says in its HELLO that a dialect plays, which takes bodies of `max_body` bytes.
    fn client(&self, max_body: u32) -> io::Result<(SessionId, Hello)> {
        let mut secret = vec![0; SECRET_LEN];
        getrandom::fill(&mut secret).map_err(io::Error::other)?;
        let hello = Hello {
            protocol: self.protocol.name.to_owned(),
            // Nobody tells what the client has.
            fingerprint: self.protocol.fingerprint,
            max_body,
            session_secret: secret,
            ..Hello::default()
        };
        loop {
            // Zero is drawn once in 2^64 times, and is no id.
            if let Some(id) = SessionId::new(getrandom::u64().map_err(io::Error::other)?) {
                return Ok((id, hello));
            }
        }
    }
}

impl Speaks {
    fn carries(&self) -> &'static Carries {
        // Without any feature of a dialect there is none.
        match *self {
            #[cfg(feature = "flyrpc")]
            Self::FlyRpc(_) => &flyrpc::CARRIES,
            #[cfg(feature = "messi")]
            Self::Messi(_) => &messi::TO_CLIENTS,
        }
    }
}
