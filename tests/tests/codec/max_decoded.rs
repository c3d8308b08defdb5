//! Messages that are too large once they are decoded: refused before they are, at both sides, in every codec.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use msip_runtime::{
    CallError, Client, ClientToServer, Code, Codec, Message, Peer, Server, ServerToClient, Status,
    Stream, Streaming,
    testing::stream_of,
    wire::{Codec as WireCodec, Compression, Flags, Hello},
};
use msip_tests::{Echo, RawCaller, raw, sampler::Sampler, soon};
use tokio::sync::Semaphore;

const MIB: usize = 1024 * 1024;

#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "scales")]
enum ClientToServer {
    #[msip(tag = 1)]
    WeighReq(Load),
    #[msip(tag = 2)]
    LoadInd(Load),
    #[msip(tag = 3, reply = ACK)]
    SaveInd(Load),
    #[msip(tag = 4, reply = STREAM)]
    ListReq(Load),
    #[msip(tag = 5, request = STREAM)]
    SumReq(Load),
}

#[derive(Debug, Clone, PartialEq, ServerToClient)]
enum ServerToClient {
    #[msip(tag = 1)]
    WeighRsp(Load),
    #[msip(tag = 2)]
    LoadInd(Load),
    #[msip(tag = 3)]
    ListRsp(Load),
    #[msip(tag = 4)]
    SumRsp(Load),
}

#[derive(Debug, Clone, Default, PartialEq, Message)]
struct Load {
    #[msip(tag = 1)]
    rows: Vec<Row>,
    /// How many rows the answer is to have.
    #[msip(tag = 2)]
    asked: u32,
    /// Whether the handler waits for the gate.
    #[msip(tag = 3)]
    waits: bool,
}

impl Load {
    fn of(count: usize) -> Self {
        Self {
            rows: vec![Row::default(); count],
            ..Self::default()
        }
    }

    fn asking_for(asked: u32) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    fn answer(&self) -> Self {
        Self::of(usize::try_from(self.asked).expect("fits"))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Message)]
struct Row {
    #[msip(tag = 1)]
    name: String,
    #[msip(tag = 2)]
    note: String,
    #[msip(tag = 3)]
    price: f64,
    #[msip(tag = 4)]
    tags: Vec<String>,
}

/// How many rows are more than the megabyte that the tests allow.
const MANY: usize = 10_000;

#[derive(Debug, Clone)]
struct Weigher {
    rows: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

impl Weigher {
    fn new() -> Self {
        Self {
            rows: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
        }
    }

    /// Serves in a task that the test's runtime ends.
    async fn serve(&self, url: &str) -> (String, msip_runtime::MemoryUse) {
        let server = Server::<Scales>::bind(url).await.expect("listens");
        let (url, memory) = (server.local_url().to_string(), server.memory());
        tokio::spawn(server.serve(self.clone()));
        (url, memory)
    }

    fn seen(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    fn see(&self, load: &Load) {
        self.rows.fetch_add(load.rows.len(), Ordering::Relaxed);
    }
}

impl HandleClientToServer for Weigher {
    async fn on_weigh_req(&self, _: &Peer<Scales>, request: Load) -> Result<Load, Status> {
        self.see(&request);
        if request.waits {
            let permit = self.gate.acquire().await;
            permit.map_err(|_| Status::internal("no gate"))?.forget();
        }
        Ok(request.answer())
    }

    async fn on_load_ind(&self, peer: &Peer<Scales>, message: Load) {
        self.see(&message);
        if message.asked > 0 {
            peer.load_ind(message.answer()).await.expect("is sent");
        }
    }

    async fn on_save_ind(&self, _: &Peer<Scales>, message: Load) -> Result<(), Status> {
        self.see(&message);
        Ok(())
    }

    async fn on_list_req(
        &self,
        _: &Peer<Scales>,
        request: Load,
    ) -> Result<impl Stream<Item = Result<Load, Status>> + Send + 'static, Status> {
        Ok(stream_of([Ok(Load::of(1)), Ok(request.answer())]))
    }

    async fn on_sum_req(
        &self,
        _: &Peer<Scales>,
        mut requests: Streaming<Load>,
    ) -> Result<Load, Status> {
        while let Some(request) = requests.next().await {
            self.see(&request?);
        }
        Ok(Load::default())
    }
}

#[derive(Debug, Clone, Default)]
struct Seen(Arc<AtomicUsize>);

impl HandleServerToClient for Seen {
    async fn on_load_ind(&self, _: &Client<Scales>, message: Load) {
        self.0.fetch_add(message.rows.len(), Ordering::Relaxed);
    }
}

fn is_refused<T: std::fmt::Debug>(what: &str, outcome: Result<T, impl std::error::Error>) {
    let error = outcome.expect_err(what);
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    assert!(
        format!("{error}: {cause}").contains("(max_decoded)"),
        "{what}: {error}: {cause}"
    );
}

const CODECS: [Codec; 3] = [Codec::Protobuf, Codec::Json, Codec::MessagePack];

#[tokio::test]
async fn a_server_refuses_what_is_too_large_and_the_connection_goes_on() {
    let weigher = Weigher::new();
    let (url, _) = weigher.serve("tcp://127.0.0.1:0?max_decoded=1MiB").await;
    for codec in CODECS {
        let client = Client::<Scales>::builder(&url).codec(codec);
        let client = client.connect().await.expect("connects");
        let before = weigher.seen();
        let refused = soon("an answer", client.weigh_req(Load::of(MANY))).await;
        match &refused {
            Err(CallError::Status(status)) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{codec}");
                let text = "weigh_req (1) would take more than 1048576 bytes decoded (max_decoded)";
                assert!(status.message().starts_with(text), "{codec}: {status}");
            }
            other => panic!("{codec}: {other:?}"),
        }
        client.load_ind(Load::of(MANY)).await.expect("is sent");
        let saved = soon("an answer", client.save_ind(Load::of(MANY))).await;
        is_refused("a delivery", saved);
        let items = stream_of([Load::of(1), Load::of(MANY)]);
        is_refused("an item", soon("an answer", client.sum_req(items)).await);
        assert_eq!(weigher.seen() - before, 1, "{codec}: the first item alone");
        client.load_ind(Load::of(3)).await.expect("is sent");
        soon("an answer", client.save_ind(Load::of(5)))
            .await
            .expect("is saved");
        soon("an answer", client.weigh_req(Load::of(7)))
            .await
            .expect("is answered");
        assert_eq!(weigher.seen() - before, 16, "{codec}: all that is small");
    }
}

#[tokio::test]
async fn a_client_refuses_what_is_too_large_and_the_connection_goes_on() {
    let weigher = Weigher::new();
    let (url, _) = weigher.serve("tcp://127.0.0.1:0").await;
    let many = u32::try_from(MANY).expect("fits");
    for codec in CODECS {
        let seen = Seen::default();
        let client = Client::<Scales>::builder(&url)
            .codec(codec)
            .max_decoded(MIB)
            .handler(seen.clone());
        let client = client.connect().await.expect("connects");
        let answer = soon("an answer", client.weigh_req(Load::asking_for(many))).await;
        is_refused("an answer", answer);
        let mut items = soon("items", client.list_req(Load::asking_for(many)))
            .await
            .expect("is sent");
        let first = soon("an item", items.next()).await.expect("comes");
        assert_eq!(first.expect("is small"), Load::of(1), "{codec}");
        let second = soon("an item", items.next()).await.expect("comes");
        is_refused("an item", second);
        for asked in [many, 2] {
            client
                .load_ind(Load::asking_for(asked))
                .await
                .expect("is sent");
        }
        let answer = soon("an answer", client.weigh_req(Load::asking_for(2))).await;
        assert_eq!(answer.expect("is small"), Load::of(2), "{codec}");
        // It came before the answer.
        assert_eq!(seen.0.load(Ordering::Relaxed), 2, "{codec}");
    }
}

#[tokio::test]
async fn what_handlers_hold_counts_as_it_is_decoded() {
    let weigher = Weigher::new();
    let (url, memory) = weigher.serve("tcp://127.0.0.1:0?max_memory=8MiB").await;
    let client = Client::<Scales>::connect(&url).await.expect("connects");
    let other = Client::<Scales>::connect(&url).await.expect("connects");
    let held = Load {
        waits: true,
        ..Load::of(MANY)
    };
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let (client, held) = (client.clone(), held.clone());
        calls.spawn(async move { client.weigh_req(held).await });
    }
    // Those that do not fit are refused at once, the others wait for the gate.
    let mut refused = 0;
    while calls.len() > weigher.seen() / MANY || weigher.seen() == 0 {
        let ended = soon("a refusal", calls.join_next()).await;
        let error = ended
            .expect("one ends")
            .expect("no panic")
            .expect_err("is refused");
        assert!(error.to_string().contains("(max_memory)"), "{error}");
        refused += 1;
    }
    let waiting = calls.len();
    assert!(waiting >= 1 && refused >= 8, "{waiting} wait");
    assert!(memory.held() <= 8 * MIB, "{} bytes are held", memory.held());
    assert!(
        memory.held() > waiting * MIB,
        "{} bytes are held",
        memory.held()
    );
    // Others go on.
    soon("an answer", other.weigh_req(Load::of(10)))
        .await
        .expect("is small");
    weigher.gate.add_permits(waiting);
    while let Some(ended) = soon("an answer", calls.join_next()).await {
        ended.expect("no panic").expect("is answered");
    }
    soon("an answer", client.weigh_req(Load::of(MANY)))
        .await
        .expect("memory is free again");
}

/// The bodies of `sampler`'s `chain_req` with so many empty elements, in each codec.
fn chains(count: usize) -> [(WireCodec, Vec<u8>); 3] {
    let many = [0x12, 0].repeat(count);
    let mut protobuf = vec![0x1a];
    msip_runtime::prost::encoding::encode_varint(many.len() as u64, &mut protobuf);
    protobuf.extend(many);
    let elements = vec!["{}"; count].join(",");
    let json = format!("{{\"chainReq\":{{\"many\":[{elements}]}}}}").into_bytes();
    let mut msgpack = vec![0x81, 0xa8];
    msgpack.extend_from_slice(b"chainReq");
    msgpack.extend_from_slice(&[0x81, 0xa4]);
    msgpack.extend_from_slice(b"many");
    msgpack.push(0xdd);
    msgpack.extend_from_slice(&u32::try_from(count).expect("fits").to_be_bytes());
    msgpack.extend(vec![0x80; count]);
    [
        (WireCodec::Protobuf, protobuf),
        (WireCodec::Json, json),
        (WireCodec::MessagePack, msgpack),
    ]
}

#[tokio::test]
async fn two_bytes_that_become_fifty_are_counted_in_every_codec_and_compressed() {
    let url = Echo::start("tcp://127.0.0.1:0?max_decoded=1MiB").await;
    for ((codec, large), (_, small)) in chains(20_000).into_iter().zip(chains(10)) {
        let hello = Hello {
            codecs: vec![codec.into()],
            compressions: vec![Compression::Gzip.into()],
            ..raw::hello_of::<Sampler>()
        };
        let mut caller = RawCaller::new(&url, &hello).await;
        let compressed = msip_tests::attack::body::gzip(&large);
        for (flags, body) in [(Flags::NONE, &large), (Flags::COMPRESSED, &compressed)] {
            let answer = caller.call(3, flags, body).await;
            let text = raw::text(&answer.payload);
            let expected = "RESOURCE_EXHAUSTED: chain_req (3) would take more than 1048576 bytes decoded (max_decoded)";
            assert!(text.starts_with(expected), "{codec:?}: {text}");
        }
        let answer = caller.call(3, Flags::NONE, &small).await;
        let text = raw::text(&answer.payload);
        assert!(!text.starts_with("RESOURCE"), "{codec:?}: {text}");
    }
}
