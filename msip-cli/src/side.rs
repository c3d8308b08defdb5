//! The side that code is wanted for.

use clap::ValueEnum;
use msip_codegen::Sides;

/// Which of the two peers uses the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Side {
    /// What a client needs
    Client,
    /// What a server needs
    Server,
    /// Both
    #[default]
    Both,
}

impl Side {
    /// The one of this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match name {
            "client" => Some(Self::Client),
            "server" => Some(Self::Server),
            "both" => Some(Self::Both),
            _ => None,
        }
    }
}

impl From<Side> for Sides {
    fn from(side: Side) -> Self {
        match side {
            Side::Client => Self::Client,
            Side::Server => Self::Server,
            Side::Both => Self::Both,
        }
    }
}
