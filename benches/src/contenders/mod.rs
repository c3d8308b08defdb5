//! The contenders of this program. Those whose libraries are not ours are in `benches/peers`.

pub(crate) mod msip;
pub(crate) mod raw;

use msip_load::{Contender, Failure, Job, Outcome};

/// Which contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Own {
    /// Hand-tuned tokio over the same header: the limit.
    Raw,
    /// MSIP as generated, with default settings.
    Msip,
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
        Self::Msip,
        Self::MsipJson,
        Self::MsipMessagePack,
        Self::MsipZstd,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Msip => "msip",
            Self::MsipJson => "msip-json",
            Self::MsipMessagePack => "msip-msgpack",
            Self::MsipZstd => "msip-zstd",
        }
    }

    async fn serve(self, announce: impl FnOnce(u16) + Send) -> Result<(), Failure> {
        match self {
            Self::Raw => raw::serve(announce).await,
            Self::Msip | Self::MsipJson | Self::MsipMessagePack | Self::MsipZstd => {
                msip::serve(announce).await
            }
        }
    }

    async fn drive(self, port: u16, job: Job) -> Result<Outcome, Failure> {
        match self {
            Self::Raw => raw::drive(port, job).await,
            Self::Msip => msip::drive(port, "", job).await,
            Self::MsipJson => msip::drive(port, "?codec=json", job).await,
            Self::MsipMessagePack => msip::drive(port, "?codec=msgpack", job).await,
            Self::MsipZstd => msip::drive(port, "?compress=zstd", job).await,
        }
    }
}
