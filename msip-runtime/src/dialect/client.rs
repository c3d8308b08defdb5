//! The dialect that the URL of a client names.

use std::{io, sync::Arc};

use bytes::Bytes;

#[cfg(feature = "flyrpc")]
use super::flyrpc;
#[cfg(feature = "messi")]
use super::messi;
use super::{
    Carries, DialectProtocol, DialectStream, Feature, Texts,
    mip::{self, MipClient, MipConfig},
};
use crate::{
    ConnectError,
    body::{Codec, Compression},
    settings::Settings,
    transport::{DialectName, ServiceUrl, Stream, TransportOptions, UrlError},
};

/// What a client speaks besides MSIP.
#[derive(Debug, Clone)]
pub(crate) struct ClientDialect {
    speaks: Speaks,
    topic: Option<Bytes>,
    /// What is spoken, where the client has a schema.
    protocol: Option<DialectProtocol>,
    /// The texts of what the client says, where not every text is carried.
    texts: Option<Arc<Texts>>,
    max_body: usize,
}

#[derive(Debug, Clone)]
enum Speaks {
    Mip,
    #[cfg(feature = "flyrpc")]
    FlyRpc(flyrpc::ClientConfig),
    #[cfg(feature = "messi")]
    Messi(messi::ClientConfig),
}

impl ClientDialect {
    /// The dialect of the URL's scheme; `None` where that is MSIP.
    ///
    /// # Errors
    ///
    /// A setting asks for what the dialect does not carry, or is invalid.
    #[cfg_attr(
        not(feature = "messi"),
        expect(unused_variables, reason = "for the settings of Messi")
    )]
    pub(crate) fn of(
        url: &ServiceUrl,
        options: &TransportOptions,
        settings: &Settings,
    ) -> Result<Option<Self>, ConnectError> {
        let speaks = match url.dialect() {
            None => return Ok(None),
            Some(DialectName::Mip) => Speaks::Mip,
            #[cfg(feature = "flyrpc")]
            Some(DialectName::FlyRpc) => Speaks::FlyRpc(flyrpc::ClientConfig::of(url, settings)),
            #[cfg(feature = "messi")]
            Some(DialectName::Messi) => Speaks::Messi(messi::ClientConfig::of(options, settings)?),
        };
        let dialect = Self {
            speaks,
            topic: url
                .topic()
                .map(|topic| Bytes::copy_from_slice(topic.as_bytes())),
            protocol: None,
            texts: None,
            max_body: settings.max_body,
        };
        let wants = [
            (settings.codec != Codec::Protobuf, Feature::Codecs),
            (settings.compress != Compression::None, Feature::Compression),
            (settings.correlation_ids, Feature::CorrelationIds),
            (dialect.topic.is_some(), Feature::Topics),
        ];
        for (_, feature) in wants.iter().filter(|(wants, _)| *wants) {
            dialect.carries().check(*feature)?;
        }
        Ok(Some(dialect))
    }

    /// The same for a client with a schema.
    ///
    /// # Errors
    ///
    /// The URL names no topic, and the dialect gives all messages of a schema to one.
    pub(crate) fn typed(mut self, protocol: DialectProtocol) -> Result<Self, UrlError> {
        if matches!(self.speaks, Speaks::Mip) && self.topic.is_none() {
            return Err(UrlError::NoTopic);
        }
        self.protocol = Some(protocol);
        if self.carries().check(Feature::NulText).is_err() {
            self.texts = Texts::of_client(&protocol).map(Arc::new);
        }
        Ok(self)
    }

    /// The codec of the bodies of its session, where the settings do not say it.
    pub(crate) const fn codec(&self) -> Option<Codec> {
        match &self.speaks {
            #[cfg(feature = "flyrpc")]
            Speaks::FlyRpc(config) => Some(config.codec),
            _ => None,
        }
    }

    /// What it carries.
    pub(crate) fn carries(&self) -> &'static Carries {
        match self.speaks {
            Speaks::Mip => &mip::CARRIES,
            #[cfg(feature = "flyrpc")]
            Speaks::FlyRpc(_) => &flyrpc::CARRIES,
            #[cfg(feature = "messi")]
            Speaks::Messi(_) => &messi::TO_SERVERS,
        }
    }

    /// Where what it sends has text that may have to be refused.
    pub(crate) fn texts(&self) -> Option<Arc<Texts>> {
        self.texts.clone()
    }

    /// The stream of MSIP over a new connection.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(crate) fn wrap(&self, stream: Stream) -> io::Result<Stream> {
        match &self.speaks {
            Speaks::Mip => {
                let dialect = MipClient::new(MipConfig {
                    topic: self.topic.clone().unwrap_or_default(),
                    is_typed: self.protocol.is_some(),
                    max_body: self.max_body,
                    mask: getrandom::u64().map_err(io::Error::other)?,
                });
                Ok(Stream::boxed(DialectStream::new(stream, dialect)))
            }
            #[cfg(feature = "flyrpc")]
            Speaks::FlyRpc(config) => {
                // A client without a schema was refused before.
                let protocol = self.protocol.ok_or(io::ErrorKind::Unsupported)?;
                let dialect = config.client(&protocol);
                Ok(Stream::boxed(DialectStream::new(stream, dialect)))
            }
            #[cfg(feature = "messi")]
            Speaks::Messi(config) => {
                // A client without a schema was refused before.
                let protocol = self.protocol.ok_or(io::ErrorKind::Unsupported)?;
                let dialect =
                    messi::MessiClient::new(config, protocol, self.texts(), self.max_body);
                Ok(Stream::boxed(DialectStream::new(stream, dialect)))
            }
        }
    }
}
