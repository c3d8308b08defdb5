//! Ten thousand connections that misbehave cost a server no more than it says: 64 KiB each before they are
//! authenticated, and what its limits allow after that. The server is a process of its own, whose memory is measured.

#![cfg(target_os = "linux")]
#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "what was measured is worth a look")]

use std::{net::SocketAddr, time::Instant};

use msip_runtime::{
    Client,
    wire::{FrameType, HEADER_LEN, Header, Hello, Limits, MsgId, Side},
};
use msip_tests::{
    ServerProcess,
    lab::{EchoReq, Lab, SendClientToServer as _},
    memory::Memory,
    raw::{self, RawPeer},
    soon,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    process::{Child, Command},
    task::{JoinHandle, JoinSet},
};

/// How many connections there are at once.
const CROWD: usize = 10_000;

/// What both processes need in addition to them.
const SPARE_FILES: usize = 200;

/// One crowd at a time: this process has files for no more.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Little memory for each client, and enough time for all of them to be there at once.
const SERVER: &str = "tcp://127.0.0.1:0?max_connections=11000&max_handshakes=11000&handshake_timeout=10min&ping_interval=1h&\
                      max_body=1MiB&outgoing_queue=64KiB&max_call_bytes=64KiB&session_buffer=64KiB";

/// What a connection may cost before it is authenticated.
const STRANGER: Allowed = Allowed {
    in_use: 64 * 1024,
    spare: 0,
};

/// What a connection may cost that sends next to nothing later: pooled buffers go to those that send more.
const QUIET: Allowed = Allowed {
    in_use: 20 * 1024,
    spare: 0,
};

/// `outgoing_queue` above.
const OUTGOING_QUEUE: u64 = 64 * 1024;

/// Held besides that queue while bytes flow: a chunk that is being written, the frame that has filled the queue,
/// and twice what a read is offered.
const FLOWING: u64 = 4 * 64 * 1024;

/// How many connections this process may have at once, after it has asked for more.
fn crowd() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it cannot be raised, what there is tells.
    let _ = setrlimit(Resource::Nofile, raised);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let files = usize::try_from(files).unwrap_or(usize::MAX);
    let crowd = CROWD.min(files.saturating_sub(SPARE_FILES));
    if crowd < CROWD {
        println!("only {crowd} connections: this process may open {files} files, and no more");
    }
    crowd
}

/// What each connection may cost, in bytes.
#[derive(Debug, Clone, Copy)]
struct Allowed {
    in_use: u64,
    /// Reserved and not written to, so that it costs no memory yet.
    spare: u64,
}

/// How it was before some people came.
#[derive(Debug, Clone, Copy)]
struct Before {
    memory: Memory,
    begun: Instant,
}

/// A server process that well-behaved and other clients talk to.
struct Hall {
    process: u32,
    address: SocketAddr,
    bystander: Client<Lab>,
    people: usize,
    _server: Child,
    _listening: JoinHandle<()>,
}

impl Hall {
    async fn open() -> Self {
        Self::open_to(None).await
    }

    /// A server that has no answer to any other credential than this.
    async fn open_to(credential: Option<&str>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab-server"));
        command.arg(SERVER).args(credential);
        let server = ServerProcess::start(command).await;
        let address = server.address().to_owned();
        let (server, listening) = server.unread();
        let bystander = Client::<Lab>::builder(format!("tcp://{address}?ping_interval=1h"))
            .credential(credential.unwrap_or_default())
            .connect()
            .await
            .expect("connects");
        let mut hall = Self {
            process: server.id().expect("it runs"),
            address: address.parse().expect("an address"),
            bystander,
            people: 0,
            _server: server,
            _listening: listening,
        };
        // What the first ones cost is not what each costs.
        let first = hall.enter(20, b"").await;
        drop(first);
        hall.people = 0;
        hall
    }

    async fn connect(&self) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        // What is not read must not wait in this process's system either; and no port is kept after the end.
        socket.set_recv_buffer_size(4096).expect("can be set");
        socket.set_zero_linger().expect("can be set");
        soon("a connection", socket.connect(self.address))
            .await
            .expect("connects")
    }

    /// Connections that send these bytes, and nothing after them.
    async fn enter(&mut self, count: usize, words: &[u8]) -> Vec<TcpStream> {
        let mut crowd = Vec::new();
        for _ in 0..count {
            let mut stream = self.connect().await;
            stream.write_all(words).await.expect("is taken");
            crowd.push(stream);
        }
        self.people += count;
        self.settle().await;
        crowd
    }

    /// Clients that do the handshake with this HELLO and then send these bytes.
    async fn enter_greeted(&mut self, count: usize, hello: &Hello, words: &[u8]) -> Vec<RawPeer> {
        let mut crowd = Vec::new();
        for _ in 0..count {
            let mut raw = RawPeer::new(self.connect().await);
            raw.say(&raw::hello_frame(hello)).await;
            raw.hear_type(FrameType::Ack).await;
            raw.say(words).await;
            crowd.push(raw);
        }
        self.people += count;
        self.settle().await;
        crowd
    }

    /// Waits until the server has looked at everything: each call takes it through a turn of all who have said
    /// something.
    async fn settle(&self) {
        for _ in 0..5 {
            soon("an answer", self.bystander.echo_req(EchoReq::default()))
                .await
                .expect("untouched");
        }
    }

    fn memory(&self) -> Memory {
        Memory::of(self.process).expect("it runs")
    }

    /// Fails where the people who came since `before` cost more than this, or more than `spare` beyond it was reserved
    /// for each and not used.
    fn costs_at_most(&self, what: &str, count: usize, allowed: Allowed, before: Before) {
        let count = u64::try_from(count).expect("fits");
        let now = self.memory();
        let in_use = now.peak.saturating_sub(before.memory.resident) / count;
        let reserved = now.reserved.saturating_sub(before.memory.reserved) / count;
        println!(
            "{what}: {count} connections, each {in_use} bytes in use at most, {reserved} reserved ({:.1} s)",
            before.begun.elapsed().as_secs_f64()
        );
        assert!(
            in_use <= allowed.in_use && reserved <= allowed.in_use + allowed.spare,
            "{what}: of {count} connections each has {in_use} bytes in use and {reserved} reserved, and may have {allowed:?}"
        );
    }

    fn before(&self) -> Before {
        Memory::forget_peak(self.process).expect("it runs");
        Before {
            memory: self.memory(),
            begun: Instant::now(),
        }
    }
}

#[tokio::test]
async fn a_crowd_that_is_not_authenticated_costs_what_it_may() {
    let _alone = ALONE.lock().await;
    let crowd = crowd();
    let mut hall = Hall::open().await;
    let all = hall.before();
    let hello = raw::hello_frame(&raw::hello());
    let announced = raw::announced(FrameType::Hello, raw::HELLO_ID, 16 * 1024);
    let almost = [&announced[..], &vec![0; 16 * 1024 - 1]].concat();
    let mut another = full_hello();
    another.protocol = "another".to_owned();
    // Of those that cost most so many that what the allocator keeps for its threads does not count.
    let (each, few) = (crowd / 5, crowd / 10);
    let mut people = Vec::new();
    for (what, each, words) in [
        ("no HELLO at all", each, &b""[..]),
        ("half a header", each, &hello[..12]),
        (
            "the largest HELLO, and one byte of it",
            each,
            &[&announced[..], &[0]].concat(),
        ),
        ("the largest HELLO, but for one byte", each - few, &almost),
        (
            "a HELLO with all that fits, which is refused",
            few,
            &raw::hello_frame(&another),
        ),
    ] {
        let before = hall.before();
        people.extend(hall.enter(each, words).await);
        hall.costs_at_most(what, each, STRANGER, before);
    }
    // As many turns as a slow writer would have in so many seconds.
    let before = hall.before();
    let mut slow = hall.enter(each, b"").await;
    for byte in &hello[..20] {
        for stream in &mut slow {
            stream.write_all(&[*byte]).await.expect("is taken");
        }
        hall.settle().await;
    }
    hall.costs_at_most("a byte now and then", each, STRANGER, before);
    hall.costs_at_most("all of them", hall.people, STRANGER, all);
}

#[tokio::test]
async fn a_crowd_that_is_being_authenticated_costs_what_it_may() {
    let _alone = ALONE.lock().await;
    let crowd = crowd();
    let mut hall = Hall::open_to(Some("known")).await;
    let mut people = Vec::new();
    for (what, each, hello) in [
        (
            "a credential that nobody knows yet",
            crowd / 2,
            raw::hello(),
        ),
        ("the same with all that fits", crowd / 10, full_hello()),
    ] {
        let hello = raw::hello_frame(&Hello {
            credential: b"a guess".to_vec(),
            ..hello
        });
        let before = hall.before();
        people.extend(hall.enter(each, &hello).await);
        hall.costs_at_most(what, each, STRANGER, before);
    }
}

#[tokio::test]
async fn a_crowd_that_is_authenticated_costs_what_its_limits_allow() {
    let _alone = ALONE.lock().await;
    let crowd = crowd();
    let mut hall = Hall::open().await;
    let all = hall.before();
    let id = MsgId::exchange(Side::Connecting, 2);
    let mut one_byte = raw::announced(FrameType::Publish, id, 1024 * 1024);
    one_byte.push(0);
    let ping = |len| raw::frame(FrameType::Ping, id, &vec![0; len]);
    let (each, few) = (crowd / 4, crowd / 50);
    let mut people = Vec::new();
    let (plain, full) = (raw::hello(), full_hello());
    for (what, each, hello, words) in [
        ("a handshake, and silence", each - few, &plain, &b""[..]),
        ("a handshake with all that fits", few, &full, &b""[..]),
        (
            "1 MiB announced, and one byte of it",
            each,
            &plain,
            &one_byte,
        ),
        ("half a header after it", each, &plain, &one_byte[..12]),
        ("pings not read", each, &plain, &ping(100).repeat(40)),
    ] {
        let before = hall.before();
        people.extend(hall.enter_greeted(each, hello, words).await);
        hall.costs_at_most(what, each, QUIET, before);
    }
    hall.costs_at_most("all of them", hall.people, QUIET, all);
}

/// A Hello with as many extensions as fit into 16 KiB: what costs most when it is decoded.
fn full_hello() -> Hello {
    let keys = (b'!'..=b'~').flat_map(|first| {
        (b'!'..=b'~').map(move |second| String::from_utf8_lossy(&[first, second]).into_owned())
    });
    Hello {
        extensions: keys.take(2490).map(|key| (key, Vec::new())).collect(),
        ..raw::hello()
    }
}

/// Shakes hands, and leaves the connection as it is: what comes after must not wait for the server.
async fn greet_by_hand(mut stream: TcpStream) -> TcpStream {
    let hello = raw::hello_frame(&raw::hello());
    stream.write_all(&hello).await.expect("is taken");
    let mut header = [0; HEADER_LEN];
    let answer = stream.read_exact(&mut header);
    soon("the Welcome", answer).await.expect("comes");
    let header = Header::parse(&header).expect("is one");
    assert_eq!(header.frame_type, FrameType::Ack);
    let mut payload = vec![0; usize::try_from(header.payload_len).expect("fits")];
    let rest = stream.read_exact(&mut payload);
    soon("all of it", rest).await.expect("comes");
    stream
}

#[tokio::test]
async fn who_reads_nothing_is_kept_within_the_outgoing_queue() {
    let _alone = ALONE.lock().await;
    let hall = Hall::open().await;
    let id = MsgId::exchange(Side::Connecting, 2);
    let largest = usize::try_from(Limits::MAX_CONTROL).expect("fits");
    let pings = raw::frame(FrameType::Ping, id, &vec![0; largest]).repeat(200);
    let before = hall.before();
    let mut people = Vec::new();
    const COUNT: usize = 100;
    for _ in 0..COUNT {
        people.push((greet_by_hand(hall.connect().await).await, 0));
    }
    // Every client sends as much as is taken; in the end none can send more, since no answers are read.
    let mut is_taken = true;
    while is_taken {
        hall.settle().await;
        is_taken = false;
        for (stream, said) in &mut people {
            while let Some(rest) = pings.get(*said..).filter(|rest| !rest.is_empty()) {
                match stream.try_write(rest) {
                    Ok(len) => *said += len,
                    Err(_) => break,
                }
                is_taken = true;
            }
        }
    }
    assert!(
        people.iter().all(|(_, said)| *said < pings.len()),
        "the server took all there was, and the clients took none of the answers"
    );
    hall.costs_at_most(
        "pings of 64 KiB whose answers are not read",
        COUNT,
        Allowed {
            in_use: OUTGOING_QUEUE + FLOWING,
            spare: 0,
        },
        before,
    );
}

/// What a connection may cost that is silent after it was busy.
const SILENT: u64 = 16 * 1024;

#[tokio::test]
async fn who_falls_silent_after_a_burst_costs_little() {
    let _alone = ALONE.lock().await;
    let hall = Hall::open().await;
    let before = hall.memory();
    const COUNT: u64 = 500;
    let mut people = Vec::new();
    for _ in 0..COUNT {
        let url = format!("tcp://{}?ping_interval=1h", hall.address);
        let client = Client::<Lab>::connect(url).await.expect("connects");
        let mut calls = JoinSet::new();
        for _ in 0..64 {
            let client = client.clone();
            let request = EchoReq {
                ballast: vec![0; 1024],
                ..EchoReq::default()
            };
            calls.spawn(async move { client.echo_req(request).await });
        }
        for answered in soon("all answers", calls.join_all()).await {
            answered.expect("answers");
        }
        people.push(client);
    }
    let each = || hall.memory().resident.saturating_sub(before.resident) / COUNT;
    println!("after their bursts each has {} bytes in use", each());
    let is_little = async {
        while each() > SILENT {
            hall.settle().await;
        }
    };
    soon("as little memory as silence needs", is_little).await;
    println!("silent each has {} bytes in use", each());
}
