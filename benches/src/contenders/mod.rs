//! The contenders of this program. Those whose libraries are not ours are in `benches/peers`.

mod framed;
pub(crate) mod msip;
pub(crate) mod raw;

use msip_load::{Contender, Failure, Hold, Job, Outcome, Target, drive};

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
    /// The same, with bodies in JSON.
    MsipJson,
    /// The same, with bodies in MessagePack.
    MsipMessagePack,
    /// The same, with bodies compressed.
    MsipZstd,
}

impl Contender for Own {
    const ALL: &'static [Self] = &[
        Self::Raw,
        Self::Framed,
        Self::Msip,
        Self::MsipSender,
        Self::MsipJson,
        Self::MsipMessagePack,
        Self::MsipZstd,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Framed => "framed",
            Self::Msip => "msip",
            Self::MsipSender => "msip-sender",
            Self::MsipJson => "msip-json",
            Self::MsipMessagePack => "msip-msgpack",
            Self::MsipZstd => "msip-zstd",
        }
    }

    async fn serve(self, announce: impl FnOnce(u16) + Send) -> Result<(), Failure> {
        match self {
            Self::Raw => raw::serve(announce).await,
            Self::Framed => framed::serve(announce).await,
            Self::Msip
            | Self::MsipSender
            | Self::MsipJson
            | Self::MsipMessagePack
            | Self::MsipZstd => msip::serve(announce).await,
        }
    }

    async fn drive(self, port: u16, job: Job, hold: &mut Hold) -> Result<Outcome, Failure> {
        let settings = match self {
            Self::Raw => return raw::drive(port, job, hold).await,
            Self::Framed => {
                return drive::<framed::Connection>(Target::new(port, ""), job, hold).await;
            }
            Self::MsipSender => {
                return drive::<msip::Sending>(Target::new(port, ""), job, hold).await;
            }
            Self::Msip => "",
            Self::MsipJson => "?codec=json",
            Self::MsipMessagePack => "?codec=msgpack",
            Self::MsipZstd => "?compress=zstd",
        };
        drive::<msip::Shared>(Target::new(port, settings), job, hold).await
    }
}
