//! What a server serves that is attacked.

use std::str::FromStr;

use crate::{lab::Lab, raw, sampler::Sampler};
use msip_runtime::wire::{Compression, Hello};

/// A protocol, and a handler of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Served {
    /// `tests/proto/lab.proto`, handled by [`LabServer`](crate::LabServer).
    #[default]
    Lab,
    /// `tests/proto/sampler.proto`, handled by [`Echo`](crate::Echo): a body of every type of field, and a broadcast.
    Sampler,
    /// Any protocol, untyped: a call is answered with what was sent, under the same variant.
    Untyped,
    /// What others serve at a broker: see [`AttackOnServer::on_broker`](super::AttackOnServer::on_broker).
    Broker,
}

impl Served {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lab => "lab",
            Self::Sampler => "sampler",
            Self::Untyped => "untyped",
            Self::Broker => "broker",
        }
    }

    /// A HELLO that such a server takes, with each compression.
    pub(super) fn hello(self) -> Hello {
        let hello = match self {
            Self::Lab | Self::Untyped | Self::Broker => raw::hello_of::<Lab>(),
            Self::Sampler => raw::hello_of::<Sampler>(),
        };
        Hello {
            compressions: [Compression::Gzip, Compression::Zstd, Compression::Lz4]
                .map(Into::into)
                .to_vec(),
            ..hello
        }
    }
}

impl FromStr for Served {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Lab, Self::Sampler, Self::Untyped]
            .into_iter()
            .find(|served| served.name() == name)
            .ok_or_else(|| format!("`{name}` is no protocol"))
    }
}
