//! Where the broker listens, and what that says of those who connect there.

use std::net::IpAddr;

use msip_runtime::transport::{PeerAddress, ServiceUrl};

use crate::config::ListenerConfig;

/// A listener that is bound.
#[derive(Debug, Clone)]
pub(crate) struct BoundListener {
    place: Place,
    /// Whether only programs of this machine can connect.
    pub(super) is_local: bool,
    pub(super) principal: Option<String>,
    pub(super) mip_resume: Option<bool>,
    /// Which of those of the configuration it is.
    #[cfg_attr(
        not(feature = "middleman"),
        expect(dead_code, reason = "for clients of MiddleMan")
    )]
    pub(super) index: usize,
    /// Who clients of MiddleMan are.
    #[cfg_attr(
        not(feature = "middleman"),
        expect(dead_code, reason = "for clients of MiddleMan")
    )]
    pub(super) trusted: Option<String>,
    #[cfg_attr(
        not(feature = "middleman"),
        expect(dead_code, reason = "for clients of MiddleMan")
    )]
    pub(super) public: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// `None` is every address.
    Socket(Option<IpAddr>, u16),
    /// A URL.
    Named(String),
}

impl BoundListener {
    /// What `config` says of a listener that is bound at `url`.
    pub(crate) fn new(index: usize, url: &ServiceUrl, config: &ListenerConfig) -> Self {
        let address = url.address();
        let (place, is_local) = match (address.host(), address.port()) {
            (Some(host), Some(port)) => {
                let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
                let ip = ip.ok().map(|ip| ip.to_canonical());
                let is_local = ip.map_or(host == "localhost", |ip| ip.is_loopback());
                let ip = ip.filter(|ip| !ip.is_unspecified());
                (Place::Socket(ip, port), is_local)
            }
            // A Unix socket, or a listener in memory: its connections are known by the URL.
            _ => (Place::Named(address.to_string()), true),
        };
        Self {
            place,
            is_local,
            principal: config.principal.clone(),
            mip_resume: config.mip_resume,
            index,
            trusted: config.middleman.trusted.clone(),
            public: config.middleman.public.clone(),
        }
    }

    /// The listener that has accepted a connection with this local address: of two at one port, that of the very address.
    pub(super) fn find<'a>(all: &'a [Self], local: &PeerAddress) -> Option<&'a Self> {
        let with = |place: &Place| all.iter().find(|listener| listener.place == *place);
        match local {
            PeerAddress::Socket(address) => {
                let exact = Place::Socket(Some(address.ip().to_canonical()), address.port());
                with(&exact).or_else(|| with(&Place::Socket(None, address.port())))
            }
            PeerAddress::Named(name) => {
                let name = &**name;
                all.iter().find(|listener| match &listener.place {
                    Place::Named(place) => place == name,
                    Place::Socket(..) => false,
                })
            }
            _ => None,
        }
    }
}
