//! The bodies of fuzz targets in `fuzz/`: each takes arbitrary bytes, and panics if a guarantee is violated.
//!
//! Built only for fuzzing and for the tests of this crate, which run them over the checked-in corpora.

mod bodies;
mod frames;
pub(crate) mod kitchen;
mod messi;
mod peer;

pub use bodies::{body_codecs, decompress};
pub use messi::messi;
pub use peer::connected_peer;

/// Upgrades and frames of WebSockets, as a peer may send them.
pub fn websocket(data: &[u8]) {
    crate::transport::fuzz_websocket(data);
}

/// Packets of FlyRPC, and a session behind them.
#[cfg(feature = "flyrpc")]
pub fn flyrpc(data: &[u8]) {
    crate::dialect::fuzz_flyrpc::<kitchen::Kitchen>(data);
}

/// Datagrams over UDP: made, repeated, changed and made up.
pub fn udp_datagram(data: &[u8]) {
    crate::transport::fuzz_udp_datagram(data);
}

#[cfg(test)]
mod tests {
    use super::*;
    use msip_replay::replay;

    #[test]
    fn the_corpora_and_mutations_of_them_violate_no_guarantee() {
        replay("decompress", decompress, 500);
        replay("body_codecs", body_codecs, 1000);
        replay("connected_peer", connected_peer, 50);
        replay("websocket", websocket, 2000);
        replay("messi", messi, 2000);
        replay("udp_datagram", udp_datagram, 2000);
        #[cfg(feature = "flyrpc")]
        replay("flyrpc", flyrpc, 5000);
    }
}
