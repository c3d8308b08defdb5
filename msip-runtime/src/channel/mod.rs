//! Channels: a second way for messages of some kinds (docs/protocol.md, "Channels").

mod error;
mod kind_set;
mod plan;
mod token;

pub use error::ChannelError;
pub(crate) use kind_set::KindSet;
#[cfg(feature = "datagram")]
pub(crate) use plan::ChannelTransport;
pub(crate) use plan::{ChannelPlan, plan};
pub(crate) use token::{ChannelClaim, ChannelClaims, ChannelKey};

use crate::{Codec, Compression, MsgKind};

/// A second way for messages of some kinds: a connection of its own, with its own codec and compression.
///
/// Given to [`ClientBuilder::channel`](crate::ClientBuilder::channel), or by the setting `channel` of the client's URL, which may
/// be there several times: `?channel=log,metric:quic://host:7400`. A kind goes by one channel at most, and calls and streams stay
/// on the client's connection whatever their kind is. So do COMMANDs.
///
/// A URL `udp://host:port`, with the feature `datagram`, is not for a connection: LOG and METRIC messages go by datagrams beside the
/// client's own (docs/transports.md, "Datagrams over UDP"), encoded as there. It takes `ping_interval` and `insecure`.
///
/// Any other URL takes the settings of its transport, `codec`, `compress`, `compress_threshold`, `outgoing_queue`, `ping_interval` and
/// `insecure`; all else is as the client's own URL and builder say. Written inside another URL, a `&` of it is `%26`:
/// `?channel=log:tls://host:7400?ca=ca.pem%26codec=json`.
///
/// # Examples
///
/// ```
/// # mod chat {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(ClientToServer)]
/// #     #[msip(protocol = "chat")]
/// #     pub enum ClientToServer { #[msip(tag = 1)] SayInd(SayInd) }
/// #     #[derive(ServerToClient)]
/// #     pub enum ServerToClient { #[msip(tag = 1)] SaidInd(SayInd) }
/// #     #[derive(Message)]
/// #     pub struct SayInd { #[msip(tag = 1)] pub text: String }
/// # }
/// # use chat::Chat;
/// use msip_runtime::{Channel, Client, Compression, MsgKind};
///
/// let lines = Channel::new("tcp://127.0.0.1:7401")
///     .kinds([MsgKind::Log, MsgKind::Metric])
///     .compression(Compression::None);
/// let builder = Client::<Chat>::builder("tcp://127.0.0.1:7400").channel(lines);
/// # let _ = builder;
/// ```
#[derive(Debug, Clone)]
#[must_use = "a channel is given to a builder"]
pub struct Channel {
    url: String,
    kinds: KindSet,
    codec: Option<Codec>,
    compression: Option<Compression>,
}

impl Channel {
    /// A channel to this URL, which is one of the same server.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            kinds: KindSet::default(),
            codec: None,
            compression: None,
        }
    }

    /// Adds the kinds that go by it: `EVENT`, `STATE`, `LOG` or `METRIC`.
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = MsgKind>) -> Self {
        self.kinds = kinds.into_iter().fold(self.kinds, KindSet::with);
        self
    }

    /// The codec of the bodies on it. Default: the client's.
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = Some(codec);
        self
    }

    /// What the bodies on it are compressed with, in both directions. Default: what those of the client are.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.compression = Some(compression);
        self
    }
}
