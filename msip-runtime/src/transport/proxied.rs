//! The PROXY protocol, version 2: where a client comes from whose connection a proxy hands on.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{TransportOptions, TransportSettingError};

/// The server's setting with the addresses of proxies.
pub(super) const PROXY_FROM: &str = "proxy_from";

/// With what a header begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The longest header after its first 16 bytes: addresses, and what a proxy adds.
const MAX_LEN: usize = 2048;

/// The proxies that are believed.
#[derive(Debug, Clone)]
pub(super) struct TrustedProxies(Arc<[Network]>);

/// The addresses that have the first `bits` in common with this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl TrustedProxies {
    /// Those of the setting; `None` where it is not there.
    pub(super) fn of(options: &TransportOptions) -> Result<Option<Self>, TransportSettingError> {
        let Some(text) = options.get(PROXY_FROM) else {
            return Ok(None);
        };
        let networks: Option<_> = text.split(',').map(Network::parse).collect();
        let proxies = networks.map(Self).ok_or_else(|| {
            let why = "it is no list of IP addresses and networks, such as 10.0.0.0/8,192.0.2.1";
            TransportSettingError::new(PROXY_FROM, text, why)
        })?;
        Ok(Some(proxies))
    }

    /// Whether a connection from this address begins with a header.
    pub(super) fn trust(&self, peer: SocketAddr) -> bool {
        let ip = peer.ip().to_canonical();
        self.0.iter().any(|network| network.has(ip))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.parse().ok())?;
        (bits <= all).then_some(Self { address, bits })
    }

    fn has(&self, ip: IpAddr) -> bool {
        let is_prefix = |difference: u128, width: u32| {
            difference.checked_shr(width - self.bits).unwrap_or(0) == 0
        };
        match (self.address, ip) {
            (IpAddr::V4(ours), IpAddr::V4(ip)) => {
                is_prefix(u128::from(ours.to_bits() ^ ip.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(ip)) => is_prefix(ours.to_bits() ^ ip.to_bits(), 128),
            _ => false,
        }
    }
}

/// Reads the header with which a connection from the proxy begins, and nothing after it. Returns where the client is; where
/// the header does not say so, as that of a health check, the proxy.
///
/// # Cancel safety
///
/// Dropping the future loses what was read.
pub(super) async fn read_header(
    stream: &mut (impl AsyncRead + Unpin),
    proxy: SocketAddr,
) -> io::Result<SocketAddr> {
    let wrong = |what: &str| {
        let text = format!("the proxy {proxy} (`{PROXY_FROM}`) {what}");
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    let mut head = [0; 16];
    stream.read_exact(&mut head).await?;
    let [signature @ .., command, family, len0, len1] = head;
    if signature != SIGNATURE {
        return Err(wrong(if signature.starts_with(b"PROXY ") {
            "speaks version 1 of the PROXY protocol: version 2 is understood"
        } else {
            "sent no PROXY header"
        }));
    }
    let len = usize::from(u16::from_be_bytes([len0, len1]));
    if len > MAX_LEN {
        return Err(wrong("sent a PROXY header that is too long"));
    }
    let mut rest = vec![0; len];
    stream.read_exact(&mut rest).await?;
    match (command, family) {
        // LOCAL: the proxy itself has connected.
        (0x20, _) => Ok(proxy),
        (0x21, 0x11) => {
            let ([a, b, c, d], port) =
                source(&rest, 12).ok_or_else(|| wrong("sent too short a PROXY header"))?;
            Ok((Ipv4Addr::new(a, b, c, d), port).into())
        }
        (0x21, 0x21) => {
            let (ip, port) =
                source::<16>(&rest, 36).ok_or_else(|| wrong("sent too short a PROXY header"))?;
            Ok((Ipv6Addr::from(ip), port).into())
        }
        // Of another kind than TCP, about which it says nothing.
        (0x21, 0x00 | 0x31) => Ok(proxy),
        _ => Err(wrong("sent a PROXY header of an unknown kind")),
    }
}

/// The source's address and port in a block of addresses: source, destination, and both ports.
fn source<const N: usize>(block: &[u8], len: usize) -> Option<([u8; N], u16)> {
    let block = block.get(..len)?;
    let ip = block.first_chunk()?;
    let port = block.get(2 * N..)?.first_chunk()?;
    Some((*ip, u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_the_addresses_with_their_first_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.0.0.1", "::1"),
            ("192.0.2.128/25", "192.0.2.129", "192.0.2.127"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::"),
            ("::/0", "2001:db8::", "10.0.0.1"),
            ("::1", "::1", "::2"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.has(inside.parse().unwrap()), "{network:?} {inside}");
            assert!(
                !network.has(outside.parse().unwrap()),
                "{network:?} {outside}"
            );
        }
        for text in [
            "",
            "proxy.example",
            "10.0.0.0/33",
            "10.0.0.0/",
            "::/129",
            "10.0.0.0/-1",
            "10.0.0",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
