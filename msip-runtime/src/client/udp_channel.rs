//! The datagrams over UDP that a client asks for.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use msip_session::wire::{Hello, Welcome};
use tokio::time::timeout;

use crate::{
    ConnectError,
    error::WithCauses,
    settings::Settings,
    transport::{
        Address, LaneGrant, LaneKinds, Stream, TransportSettingError, UDP_DATAGRAMS, client_lane,
        look_up,
    },
};

/// Where a client sends which messages by datagrams.
#[derive(Debug, Clone)]
pub(super) struct UdpChannel {
    pub(super) address: Address,
    pub(super) kinds: LaneKinds,
}

/// The same for one connection, before its HELLO.
pub(super) struct PreparedChannel<'a> {
    channel: &'a UdpChannel,
    to: SocketAddr,
}

impl UdpChannel {
    /// Looks the address up, and checks that nothing is sent where others could read it, neither the key nor what goes by
    /// datagrams. `server` is the other end of the connection that the key comes by.
    pub(super) async fn prepare(
        &self,
        is_confidential: bool,
        server: Option<IpAddr>,
        settings: &Settings,
    ) -> Result<PreparedChannel<'_>, ConnectError> {
        let unusable =
            |why: &str| TransportSettingError::new("channel", self.address.to_string(), why);
        if !is_confidential && !settings.insecure {
            let why = "others could read its key on the connection beside it: encrypt that, or set `insecure`";
            return Err(unusable(why).into());
        }
        let limit = settings.connect_timeout;
        let looking_up = look_up(&self.address, server);
        let to = timeout(limit, looking_up)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| ConnectError::transport(&self.address, error))?;
        if !to.ip().to_canonical().is_loopback() && !settings.insecure {
            let why = "others could read datagrams to another machine, which are not encrypted: set `insecure` where that is all right";
            return Err(unusable(why).into());
        }
        Ok(PreparedChannel { channel: self, to })
    }
}

impl PreparedChannel<'_> {
    /// Asks for datagrams.
    pub(super) fn ask(&self, hello: &mut Hello) {
        let value = self.channel.kinds.encode();
        hello.extensions.insert(UDP_DATAGRAMS.to_owned(), value);
    }

    /// Adds the datagrams to the connection, as the answer to the HELLO gives them. Where it gives none, all goes by the stream.
    pub(super) async fn add_lane(
        &self,
        stream: Stream,
        welcome: &Welcome,
        settings: &Settings,
    ) -> Stream {
        let channel = &self.channel.address;
        let grant = welcome.extensions.get(UDP_DATAGRAMS);
        let Some(grant) = grant.and_then(|value| LaneGrant::parse(value)) else {
            tracing::warn!(%channel, "the server gives no datagrams over UDP: nothing goes by them");
            return stream;
        };
        let interval = settings.ping_interval;
        match client_lane(&grant, self.to, self.channel.kinds, interval).await {
            Ok(lane) => stream.with_lane(lane),
            Err(error) => {
                let error = WithCauses(&error);
                tracing::warn!(%channel, %error, "no datagrams can be sent: nothing goes by them");
                stream
            }
        }
    }
}
