//! A server, and a client that is connected and says whatever it may: frames that are valid, with bodies that are compressed and
//! nested, in sequences that nobody means well with.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    frames::Script,
    kitchen::{HandleClientToServer, Kitchen, Many, Scalars, SendClientToServer as _, Tree},
};
use crate::{
    Client, Peer, Server, Status,
    transport::{self, ServiceUrl},
};
use msip_session::wire::{
    Decoder, FrameType, Header, Limits, MsgId, SessionId, Side, write_hello, write_ping,
};

/// What a byte that is sent may cost, in processor time and in memory, and what there may be in addition. A debug build is slow, and
/// other tests of this process have memory too.
const TIME_PER_BYTE: Duration = Duration::from_micros(20);
const TIME: Duration = Duration::from_secs(2);
const MEMORY_PER_BYTE: u64 = 64;
const MEMORY: u64 = 192 * 1024 * 1024;

/// Nothing is waited for longer, in the time of the paused clock.
const LONGEST: Duration = Duration::from_secs(600);

/// What the server is given, so that limits are reached.
const SETTINGS: &str =
    "max_body=64KiB&max_calls=16&max_call_bytes=256KiB&outgoing_queue=64KiB&max_memory=4MiB";

/// Says what the bytes name to a server. Fails where that panics, does not end, costs more than its bytes allow, or where
/// another client is not served.
pub fn connected_peer(data: &[u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let script = Script::read(data);
    let url = format!(
        "mem://connected-peer-{}?{SETTINGS}",
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let before = Cost::now();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap_or_else(|error| panic!("{error}"));
    let sent = script.frames.len();
    runtime.block_on(run(&url, script));
    drop(runtime);
    if let (Some(before), Some(after)) = (before, Cost::now()) {
        after.is_allowed_since(&before, sent);
    }
}

async fn run(url: &str, script: Script) {
    let server = Server::<Kitchen>::bind(url)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let url = server.local_url().clone();
    let serving = tokio::spawn(server.serve(Quiet));
    let said = tokio::time::timeout(LONGEST, say(&url, script)).await;
    assert!(said.is_ok(), "neither answered nor closed");
    // Others are served, and so is the next one.
    let served = tokio::time::timeout(LONGEST, async {
        let client = Client::<Kitchen>::connect(url.to_string()).await?;
        let answer = client.tree_req(Tree::default()).await;
        Ok::<_, crate::ConnectError>(answer)
    });
    match served.await {
        Ok(Ok(Ok(_))) => {}
        other => panic!("another client: {other:?}"),
    }
    assert!(!serving.is_finished(), "it serves no more");
    serving.abort();
}

/// Connects, says all that, and reads until the server answers what was said last, or closes.
async fn say(url: &ServiceUrl, script: Script) {
    let connection = transport::connect(url)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    let (mut reading, mut writing) = tokio::io::split(connection.stream);
    let last = MsgId::exchange(Side::Connecting, u64::MAX >> 8);
    let write = async {
        let mut bytes = Vec::new();
        begin(&mut bytes, &script);
        bytes.extend_from_slice(&script.frames);
        write_ping(&mut bytes, last, &[]);
        // A server that has closed reads no more.
        let _ = writing.write_all(&bytes).await;
        let _ = writing.flush().await;
    };
    let read = async {
        let mut decoder = Decoder::new(Limits::default().max_payload());
        loop {
            loop {
                match decoder.decode() {
                    Ok(Some(frame)) if frame.header.msg_id == last => return,
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => panic!("a server's frame: {error}"),
                }
            }
            if !matches!(reading.read_buf(decoder.buffer()).await, Ok(1..)) {
                return;
            }
        }
    };
    // What is written is not waited for where the server has closed.
    tokio::pin!(write);
    let mut is_written = false;
    tokio::pin!(read);
    loop {
        tokio::select! {
            () = &mut write, if !is_written => is_written = true,
            () = &mut read => return,
        }
    }
}

/// HELLO.
fn begin(bytes: &mut Vec<u8>, script: &Script) {
    let mut payload = Vec::new();
    // Not 0, which is none.
    if let Some(session) = SessionId::new(7) {
        write_hello(&mut payload, session, &script.hello);
    }
    let id = MsgId::exchange(Side::Connecting, 1);
    let header = Header {
        payload_len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
        ..Header::control(FrameType::Hello, id)
    };
    bytes.extend_from_slice(&header.encode());
    bytes.extend_from_slice(&payload);
}

/// Handles everything, and answers calls with what was sent.
struct Quiet;

impl HandleClientToServer for Quiet {
    async fn on_scalars_ind(&self, _: &Peer<Kitchen>, _: Scalars) {}

    async fn on_many_ind(&self, _: &Peer<Kitchen>, _: Many) {}

    async fn on_tree_ind(&self, _: &Peer<Kitchen>, _: Tree) {}

    async fn on_tick_ind(&self, _: &Peer<Kitchen>) {}

    async fn on_tree_req(&self, _: &Peer<Kitchen>, request: Tree) -> Result<Tree, Status> {
        Ok(request)
    }
}

/// What this thread and this process have cost, where Linux tells it.
struct Cost {
    processor: Duration,
    memory: u64,
}

impl Cost {
    fn now() -> Option<Self> {
        let schedstat = fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        let processor = schedstat.split_whitespace().next()?.parse().ok()?;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let peak = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let peak: u64 = peak.split_whitespace().nth(1)?.parse().ok()?;
        Some(Self {
            processor: Duration::from_nanos(processor),
            memory: peak * 1024,
        })
    }

    fn is_allowed_since(&self, before: &Self, sent: usize) {
        let processor = self.processor.saturating_sub(before.processor);
        let memory = self.memory.saturating_sub(before.memory);
        let bytes = u32::try_from(sent).unwrap_or(u32::MAX);
        assert!(
            processor <= TIME + TIME_PER_BYTE * bytes,
            "{processor:?} for {sent} bytes"
        );
        assert!(
            memory <= MEMORY + MEMORY_PER_BYTE * u64::from(bytes),
            "{memory} bytes of memory for {sent} bytes"
        );
    }
}
