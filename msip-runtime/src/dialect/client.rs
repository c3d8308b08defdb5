//! The dialect that the URL of a client names.

use std::io;

use bytes::Bytes;

use super::{
    Carries, DialectStream, Feature,
    mip::{self, MipClient, MipConfig},
};
use crate::{
    ConnectError,
    body::{Codec, Compression},
    settings::Settings,
    transport::{ServiceUrl, Stream, UrlError},
};

/// What a client speaks besides MSIP.
#[derive(Debug, Clone)]
pub(crate) struct ClientDialect {
    topic: Option<Bytes>,
    is_typed: bool,
    max_body: usize,
}

impl ClientDialect {
    /// The dialect of the URL's scheme; `None` where that is MSIP.
    ///
    /// # Errors
    ///
    /// A setting asks for what the dialect does not carry.
    pub(crate) fn of(url: &ServiceUrl, settings: &Settings) -> Result<Option<Self>, ConnectError> {
        if url.dialect().is_none() {
            return Ok(None);
        }
        let dialect = Self {
            topic: url
                .topic()
                .map(|topic| Bytes::copy_from_slice(topic.as_bytes())),
            is_typed: false,
            max_body: settings.max_body,
        };
        let wants = [
            (settings.codec != Codec::Protobuf, Feature::Codecs),
            (settings.compress != Compression::None, Feature::Compression),
            (settings.correlation_ids, Feature::CorrelationIds),
        ];
        for (_, feature) in wants.iter().filter(|(wants, _)| *wants) {
            dialect.carries().check(*feature)?;
        }
        Ok(Some(dialect))
    }

    /// The same for a client with a schema, whose messages all belong to the topic of the URL.
    ///
    /// # Errors
    ///
    /// The URL names no topic.
    pub(crate) fn typed(mut self) -> Result<Self, UrlError> {
        if self.topic.is_none() {
            return Err(UrlError::NoTopic);
        }
        self.is_typed = true;
        Ok(self)
    }

    /// What it carries.
    #[expect(clippy::unused_self, reason = "there will be other dialects")]
    pub(crate) fn carries(&self) -> &'static Carries {
        static CARRIES: Carries = mip::CARRIES;
        &CARRIES
    }

    /// The stream of MSIP over a new connection.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub(crate) fn wrap(&self, stream: Stream) -> io::Result<Stream> {
        let dialect = MipClient::new(MipConfig {
            topic: self.topic.clone().unwrap_or_default(),
            is_typed: self.is_typed,
            max_body: self.max_body,
            mask: getrandom::u64().map_err(io::Error::other)?,
        });
        Ok(Stream::boxed(DialectStream::new(stream, dialect)))
    }
}
