//! What a configured client is made of: its URL is read, and its settings are checked.

use std::sync::Arc;

#[cfg(feature = "datagram")]
use super::super::udp_channel::UdpChannel;
use super::{
    super::{
        credential::CredentialSource,
        establish::{ProtocolId, Target},
        token::source_of_url,
        topic::ClientTopic,
    },
    ClientBuilder,
};
use crate::{
    ChannelError, ConnectError,
    channel::{self, ChannelPlan},
    compatibility::PeerSchemas,
    dialect::{ClientDialect, DialectProtocol, Feature},
    middleware::Stacks,
    negotiation::Translations,
    settings::Settings,
    transport::{self, Connector, ServiceUrl, TransportOptions, UrlError},
};
use msip_session::wire::Side;

/// The configuration that a builder yields, whatever the protocol.
pub(in crate::client) struct Parts {
    url: ServiceUrl,
    topic: Option<ClientTopic>,
    connector: Connector,
    /// What is spoken, where that is not MSIP.
    dialect: Option<ClientDialect>,
    pub(in crate::client) settings: Settings,
    pub(in crate::client) stacks: Stacks,
    name: String,
    credential: CredentialSource,
    channels: Vec<ChannelPlan>,
    #[cfg(feature = "datagram")]
    udp: Option<UdpChannel>,
}

impl Parts {
    /// Finds what is spoken at the URL, and refuses what that cannot carry.
    fn with_dialect(mut self, options: &TransportOptions) -> Result<Self, ConnectError> {
        self.dialect = ClientDialect::of(&self.url, options, &self.settings)?;
        let Some(dialect) = &self.dialect else {
            for channel in &self.channels {
                let options = channel.url.transport_options(Side::Connecting);
                let dialect = ClientDialect::of(&channel.url, &options, &channel.settings)?;
                if let Some(dialect) = dialect {
                    dialect.carries().check(Feature::Channels)?;
                }
            }
            return Ok(self);
        };
        if let Some(codec) = dialect.codec() {
            self.settings.codec = codec;
        }
        let wants = [
            (self.credential.is_some(), Feature::Credentials),
            (self.has_channels(), Feature::Channels),
        ];
        for (_, feature) in wants.iter().filter(|(wants, _)| *wants) {
            dialect.carries().check(*feature)?;
        }
        Ok(self)
    }

    /// Refuses another dialect, for what only MSIP has.
    pub(in crate::client) fn refuse_dialect(&self) -> Result<(), ConnectError> {
        if let Some(dialect) = &self.dialect {
            dialect.carries().check(Feature::Endpoints)?;
        }
        Ok(())
    }

    fn has_channels(&self) -> bool {
        #[cfg(feature = "datagram")]
        if self.udp.is_some() {
            return true;
        }
        !self.channels.is_empty()
    }

    /// A dialect may need to know what is spoken.
    pub(in crate::client) fn typed(
        mut self,
        protocol: DialectProtocol,
    ) -> Result<Self, ConnectError> {
        let typed = self.dialect.map(|dialect| dialect.typed(protocol));
        self.dialect = typed.transpose()?;
        Ok(self)
    }

    /// Refuses a dialect that cannot do without a schema.
    pub(in crate::client) fn refuse_untyped(&self) -> Result<(), ConnectError> {
        if let Some(dialect) = &self.dialect {
            dialect.carries().check(Feature::Untyped)?;
        }
        Ok(())
    }

    /// Refuses channels, for a client whose service consumes one connection.
    pub(in crate::client) fn refuse_channels(&self) -> Result<(), ChannelError> {
        if self.channels.is_empty() {
            Ok(())
        } else {
            Err(ChannelError::Untyped)
        }
    }

    /// Refuses a topic in the URL, for a client that subscribes by itself.
    pub(in crate::client) fn refuse_topic(&self) -> Result<(), UrlError> {
        match self.dialect {
            // It is where messages go that name none.
            Some(_) => Ok(()),
            None => self.url.check_direct(),
        }
    }

    pub(in crate::client) fn target(
        self,
        protocol: ProtocolId,
        translations: Translations,
        schemas: Option<Arc<PeerSchemas>>,
    ) -> Target {
        let Self {
            url,
            topic,
            connector,
            dialect,
            settings,
            stacks,
            name,
            credential,
            channels,
            #[cfg(feature = "datagram")]
            udp,
        } = self;
        // Nobody tells what the other end of a dialect has as its schema.
        let schemas = schemas.filter(|_| dialect.is_none());
        Target {
            protocol,
            topic,
            url,
            connector,
            dialect,
            settings,
            stacks,
            name,
            translations: Arc::new(translations),
            schemas,
            credential,
            channels,
            #[cfg(feature = "datagram")]
            udp,
            claims: None,
        }
    }
}

impl<P, H> ClientBuilder<P, H> {
    /// Reads the URL, and checks the settings.
    pub(in crate::client) fn finish(self) -> Result<(H, Parts), ConnectError> {
        let Self {
            url,
            handler,
            mut settings,
            stacks,
            name,
            connector,
            given,
            credential,
            channels,
            ..
        } = self;
        let url = match connector {
            Some(_) => ServiceUrl::parse_any(&url)?,
            None => ServiceUrl::parse(&url)?,
        };
        if connector.is_none() {
            url.check_streams()?;
        }
        let options = url.transport_options(Side::Connecting).with(given.clone());
        let credential = source_of_url(&url)?.unwrap_or(credential);
        settings.apply_url(&["connection", "client"], &url, &options)?;
        settings.finish()?;
        #[cfg_attr(not(feature = "datagram"), expect(unused_mut))]
        let mut channels = channel::plan(&url, &channels, &settings, &given)?;
        #[cfg(feature = "datagram")]
        let udp = UdpChannel::take(&mut channels)?;
        let connector = match connector {
            Some(connector) => connector,
            None => transport::connector_of(&url, &options)?,
        };
        // Only a broker of MSIP routes to services.
        let topic = url.topic().filter(|_| url.dialect().is_none());
        let parts = Parts {
            topic: topic.map(ClientTopic::new).transpose()?,
            url,
            connector,
            dialect: None,
            settings,
            stacks,
            name,
            credential,
            channels,
            #[cfg(feature = "datagram")]
            udp,
        };
        Ok((handler, parts.with_dialect(&options)?))
    }
}
