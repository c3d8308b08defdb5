//! The datagrams over UDP that a client asks for.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use msip_session::wire::{Hello, Welcome};
use tokio::time::timeout;

use crate::{
    ChannelError, ConnectError, MsgKind,
    channel::{ChannelPlan, ChannelTransport},
    error::WithCauses,
    instruments::{Side, datagram_refused},
    transport::{
        Address, LaneGrant, LaneKinds, RefusedDatagram, Stream, UDP_DATAGRAMS, client_lane, look_up,
    },
};

/// Where a client sends which messages by datagrams.
#[derive(Debug, Clone)]
pub(super) struct UdpChannel {
    address: Address,
    kinds: LaneKinds,
    insecure: bool,
    connect_timeout: Duration,
    ping_interval: Duration,
}

/// The same for one connection, before its HELLO.
pub(super) struct PreparedChannel<'a> {
    channel: &'a UdpChannel,
    to: SocketAddr,
}

impl UdpChannel {
    /// Takes the one that sends datagrams out of the channels of a client.
    pub(super) fn take(channels: &mut Vec<ChannelPlan>) -> Result<Option<Self>, ChannelError> {
        let is_datagrams =
            |channel: &mut ChannelPlan| matches!(channel.transport, ChannelTransport::Datagrams);
        let mut taken = channels.extract_if(.., is_datagrams);
        let Some(first) = taken.next() else {
            return Ok(None);
        };
        if let Some(second) = taken.next() {
            let url = second.url.address().to_string();
            return Err(ChannelError::SecondOfDatagrams { url });
        }
        let kinds = LaneKinds {
            logs: first.kinds.contains(MsgKind::Log),
            metrics: first.kinds.contains(MsgKind::Metric),
        };
        let is_other = |kind: &MsgKind| !matches!(kind, MsgKind::Log | MsgKind::Metric);
        if let Some(kind) = first.kinds.kinds().find(is_other) {
            return Err(ChannelError::KindOfDatagrams {
                url: first.url.address().to_string(),
                kind: kind.name().to_ascii_lowercase(),
            });
        }
        Ok(Some(Self {
            address: first.url.address().clone(),
            kinds,
            insecure: first.settings.insecure,
            connect_timeout: first.settings.connect_timeout,
            ping_interval: first.settings.ping_interval,
        }))
    }

    /// Looks the address up, and checks that nothing is sent where others could read it, neither the key nor what goes by
    /// datagrams. `server` is the other end of the connection that the key comes by.
    pub(super) async fn prepare(
        &self,
        is_confidential: bool,
        server: Option<IpAddr>,
    ) -> Result<PreparedChannel<'_>, ConnectError> {
        let url = || self.address.to_string();
        if !is_confidential && !self.insecure {
            return Err(ChannelError::KeyNotConfidential { url: url() }.into());
        }
        let to = timeout(self.connect_timeout, look_up(&self.address, server))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| ConnectError::transport(&self.address, error))?;
        if !to.ip().to_canonical().is_loopback() && !self.insecure {
            return Err(ChannelError::NotEncrypted { url: url() }.into());
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
    pub(super) async fn add_lane(&self, stream: Stream, welcome: &Welcome) -> Stream {
        let channel = &self.channel.address;
        let grant = welcome.extensions.get(UDP_DATAGRAMS);
        let Some(grant) = grant.and_then(|value| LaneGrant::parse(value)) else {
            tracing::warn!(%channel, "the server gives no datagrams over UDP: nothing goes by them");
            return stream;
        };
        let interval = self.channel.ping_interval;
        let count = |why: RefusedDatagram| datagram_refused(Side::Client, why.name());
        match client_lane(&grant, self.to, self.channel.kinds, interval, count).await {
            Ok(lane) => stream.with_lane(lane),
            Err(error) => {
                let error = WithCauses(&error);
                tracing::warn!(%channel, %error, "no datagrams can be sent: nothing goes by them");
                stream
            }
        }
    }
}
