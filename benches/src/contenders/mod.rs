//! The contenders of this program. Those whose libraries are not ours are in `benches/peers`.

mod framed;
pub(crate) mod msip;
pub(crate) mod raw;
mod scheme;
mod through_broker;

use msip_load::{Contender, Failure, Hold, Job, Load, Outcome, Target, drive};

use raw::Way;
use scheme::Scheme;

/// Which contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Hand-tuned tokio over the same header: the limit.
    Raw,
    /// A codec of tokio-util, a send per message: what people write.
    Framed,
    /// MSIP as generated, with default settings.
    Msip,
    /// The same, whose one-way messages go through a sender of their own.
    MsipSender,
    /// The first of MSIP's, through a broker.
    MsipBroker,
    /// The second, through a broker.
    MsipBrokerSender,
    /// The same, with bodies in JSON.
    MsipJson,
    /// The same, with bodies in MessagePack.
    MsipMessagePack,
    /// The same, with bodies compressed.
    MsipZstd,
    /// The same by another transport than TCP.
    MsipBy(Scheme),
    /// As the first, over TLS.
    RawTls,
    /// As that, with a whole TLS handshake for each connection: begun, and called on once.
    RawTlsAnew,
    /// MSIP over TLS, whose clients resume the TLS sessions of those before: begun, and called on once.
    MsipTlsResumed,
    /// As the first, over a WebSocket.
    RawWebSocket,
}

impl Contender for Own {
    const ALL: &'static [Self] = &[
        Self::Raw,
        Self::Framed,
        Self::Msip,
        Self::MsipSender,
        Self::MsipBroker,
        Self::MsipBrokerSender,
        Self::MsipJson,
        Self::MsipMessagePack,
        Self::MsipZstd,
        Self::RawTls,
        Self::RawTlsAnew,
        Self::MsipTlsResumed,
        Self::RawWebSocket,
        Self::MsipBy(Scheme::Unix),
        Self::MsipBy(Scheme::Tls),
        Self::MsipBy(Scheme::WebSocket),
        Self::MsipBy(Scheme::SecureWebSocket),
        Self::MsipBy(Scheme::Quic),
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Framed => "framed",
            Self::Msip => "msip",
            Self::MsipSender => "msip-sender",
            Self::MsipBroker => "msip-broker",
            Self::MsipBrokerSender => "msip-broker-sender",
            Self::MsipJson => "msip-json",
            Self::MsipMessagePack => "msip-msgpack",
            Self::MsipZstd => "msip-zstd",
            Self::RawTls => "raw-tls",
            Self::RawTlsAnew => "raw-anew-tls",
            Self::MsipTlsResumed => "msip-resumed-tls",
            Self::RawWebSocket => "raw-ws",
            Self::MsipBy(Scheme::Tcp) => "msip-tcp",
            Self::MsipBy(Scheme::Unix) => "msip-unix",
            Self::MsipBy(Scheme::Tls) => "msip-tls",
            Self::MsipBy(Scheme::WebSocket) => "msip-ws",
            Self::MsipBy(Scheme::SecureWebSocket) => "msip-wss",
            Self::MsipBy(Scheme::Quic) => "msip-quic",
        }
    }

    async fn serve(self, announce: impl FnOnce(u16) + Send) -> Result<(), Failure> {
        match self {
            Self::Raw => raw::serve(Way::Tcp, announce).await,
            Self::RawTls | Self::RawTlsAnew => raw::serve(Way::Tls, announce).await,
            Self::MsipTlsResumed => msip::serve(Scheme::Tls, announce).await,
            Self::RawWebSocket => raw::serve(Way::WebSocket, announce).await,
            Self::Framed => framed::serve(announce).await,
            Self::MsipBroker | Self::MsipBrokerSender => through_broker::serve(announce).await,
            Self::MsipBy(scheme) => msip::serve(scheme, announce).await,
            Self::Msip
            | Self::MsipSender
            | Self::MsipJson
            | Self::MsipMessagePack
            | Self::MsipZstd => msip::serve(Scheme::Tcp, announce).await,
        }
    }

    async fn drive(self, port: u16, job: Job, hold: &mut Hold) -> Result<Outcome, Failure> {
        let (scheme, settings) = match self {
            // All else is as with the others.
            Self::RawTlsAnew | Self::MsipTlsResumed if job.load != Load::Connect => {
                return Err(Failure::NotOffered);
            }
            Self::RawTlsAnew => return raw::drive(Way::TlsAnew, port, job, hold).await,
            Self::MsipTlsResumed => {
                let target = Target::new(port, format!("tls://localhost:{port}"));
                return drive::<msip::Resuming>(target, job, hold).await;
            }
            Self::Raw => return raw::drive(Way::Tcp, port, job, hold).await,
            Self::RawTls => return raw::drive(Way::Tls, port, job, hold).await,
            Self::RawWebSocket => return raw::drive(Way::WebSocket, port, job, hold).await,
            Self::Framed => {
                return drive::<framed::Connection>(Target::new(port, ""), job, hold).await;
            }
            Self::MsipSender => {
                let target = Target::new(port, Scheme::Tcp.url(port));
                return drive::<msip::Sending>(target, job, hold).await;
            }
            Self::MsipBroker => {
                let target = Target::new(port, through_broker::url(port));
                return drive::<msip::Shared>(target, job, hold).await;
            }
            Self::MsipBrokerSender => {
                let target = Target::new(port, through_broker::url(port));
                return drive::<msip::Sending>(target, job, hold).await;
            }
            Self::MsipBy(scheme) => (scheme, ""),
            Self::Msip => (Scheme::Tcp, ""),
            Self::MsipJson => (Scheme::Tcp, "?codec=json"),
            Self::MsipMessagePack => (Scheme::Tcp, "?codec=msgpack"),
            Self::MsipZstd => (Scheme::Tcp, "?compress=zstd"),
        };
        let url = scheme.url(port) + settings;
        drive::<msip::Shared>(Target::new(port, url), job, hold).await
    }
}
