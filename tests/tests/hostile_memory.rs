//! Memory grows with the bytes that were received, never with what a header announces. One test, for it measures the
//! whole process.
#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use msip_runtime::{
    Client,
    wire::{FrameType, MsgId, Side},
};
use msip_tests::{
    SeenByServer,
    lab::{EchoReq, Lab, SendClientToServer as _},
    memory::Memory,
    raw::{self, RawPeer},
    soon, start,
};

/// How many connections announce something large.
const PEERS: usize = 200;

/// The memory of this process at some moment.
struct Before(Memory);

impl Before {
    fn now() -> Self {
        Self(Memory::of(std::process::id()).expect("Linux has it"))
    }

    /// Fails where it has grown by more than `max` bytes.
    fn has_grown_by_at_most(&self, max: u64, what: &str) {
        let Self(now) = Self::now();
        let resident = now.resident.saturating_sub(self.0.resident);
        let reserved = now.reserved.saturating_sub(self.0.reserved);
        assert!(
            resident < max && reserved < max,
            "{resident} bytes more in use and {reserved} more reserved for {what}"
        );
    }
}

/// Connects, sends these bytes after the handshake, and returns once the server has handled them.
async fn speak(
    url: &msip_runtime::transport::ServiceUrl,
    bystander: &Client<Lab>,
    bytes: &[u8],
) -> RawPeer {
    let mut raw = RawPeer::dial(url).await;
    raw.greet().await;
    raw.say(bytes).await;
    // What is announced is looked at in the turn that reads it, and each call takes the server through several.
    for _ in 0..3 {
        soon("an answer", bystander.echo_req(EchoReq::default()))
            .await
            .expect("untouched");
    }
    raw
}

#[tokio::test]
async fn what_is_announced_costs_nothing() {
    let (url, mut events, _server) = start("tcp://127.0.0.1:0?ping_interval=1h").await;
    let bystander = Client::<Lab>::connect(url.to_string())
        .await
        .expect("connects");
    let id = MsgId::exchange(Side::Connecting, 2);
    let refused = raw::announced(FrameType::Publish, id, u32::MAX);
    // As large as the server takes, and one byte of it.
    let mut begun = raw::announced(FrameType::Publish, id, 4 * 1024 * 1024);
    begun.push(0);

    // Connections as such, so that only what is announced is measured.
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        peers.push(speak(&url, &bystander, b"").await);
    }
    peers.clear();

    let before = Before::now();
    for _ in 0..PEERS {
        let mut raw = speak(&url, &bystander, &refused).await;
        let heard = raw.hear_to_the_end().await;
        assert_eq!(
            heard[0],
            "ERROR c2: RESOURCE_EXHAUSTED: PUBLISH announces a payload of 4294967295 bytes: 4202755 are allowed"
        );
        peers.push(raw);
    }
    before.has_grown_by_at_most(16 << 20, &format!("{PEERS} times 4 GiB"));
    peers.clear();

    let before = Before::now();
    for _ in 0..PEERS {
        peers.push(speak(&url, &bystander, &begun).await);
    }
    before.has_grown_by_at_most(
        32 << 20,
        &format!("{PEERS} times 4 MiB that were announced and did not come"),
    );
    let mut connected = 0;
    while let Ok(event) = events.try_recv() {
        connected += usize::from(matches!(event, SeenByServer::Connected(_)));
    }
    assert_eq!(connected, 3 * PEERS + 1);
}
