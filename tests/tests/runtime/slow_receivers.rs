//! Receivers that are slow and work: their senders wait, and do not fail. One that does nothing fails its senders.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use msip_runtime::{
    CallOptions, Client, ConnectionState, Peer, SendError, Status, Stream, Streaming,
};
use msip_tests::{at, direct_only, serve, soon};
use tokio::time::{Instant, sleep};

use slow::{
    HandleClientToServer, HandleServerToClient, Number, PushClientToServer as _,
    SendClientToServer as _, SendServerToClient as _, Slow,
};

#[expect(unreachable_pub, reason = "as in a module of its own")]
mod slow {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, Clone, PartialEq, ClientToServer)]
    #[msip(protocol = "slow")]
    pub enum ClientToServer {
        #[msip(tag = 1)]
        NoteInd(Number),
        #[msip(tag = 2, request = STREAM)]
        PutReq(Number),
        #[msip(tag = 3, reply = STREAM)]
        GetReq(Number),
        #[msip(tag = 4)]
        BeginInd,
    }

    #[derive(Debug, Clone, PartialEq, ServerToClient)]
    pub enum ServerToClient {
        #[msip(tag = 1)]
        NoteInd(Number),
        #[msip(tag = 2)]
        PutRsp(Number),
        #[msip(tag = 3)]
        GetRsp(Number),
    }

    #[derive(Debug, Clone, PartialEq, Message)]
    pub struct Number {
        #[msip(tag = 1)]
        pub number: u64,
    }
}

/// How long a handler or a reader takes for a message, once it has become slow.
const PAUSE: Duration = Duration::from_millis(50);

/// The setting `write_timeout`, as it is by default.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// More messages than the window of a connection has at first.
const MANY: u64 = 3000;

/// After so many items a reader becomes slow: the window of its stream has grown by then.
const FAST_ITEMS: u64 = 5000;

/// Takes its time for a message, or for ever.
#[derive(Clone, Default)]
struct Slowly {
    is_stuck: bool,
    handled: Arc<AtomicU64>,
}

impl Slowly {
    async fn handle(&self) {
        if self.is_stuck {
            std::future::pending().await
        }
        sleep(PAUSE).await;
        self.handled.fetch_add(1, Ordering::Relaxed);
    }
}

impl HandleClientToServer for Slowly {
    async fn on_note_ind(&self, _: &Peer<Slow>, _: Number) {
        self.handle().await;
    }

    async fn on_begin_ind(&self, peer: &Peer<Slow>) {
        let peer = peer.clone();
        tokio::spawn(async move {
            for number in 0..MANY {
                peer.note_ind(Number { number }).await.expect("sent");
            }
        });
    }

    async fn on_put_req(
        &self,
        _: &Peer<Slow>,
        mut requests: Streaming<Number>,
    ) -> Result<Number, Status> {
        let mut number = 0;
        while let Some(request) = requests.next().await {
            request?;
            number += 1;
            if number > FAST_ITEMS {
                sleep(PAUSE).await;
            }
        }
        Ok(Number { number })
    }

    async fn on_get_req(
        &self,
        _: &Peer<Slow>,
        to: Number,
    ) -> Result<impl Stream<Item = Result<Number, Status>> + Send + 'static, Status> {
        let (numbers, asked) = Numbers::to(to.number);
        let gap = Arc::clone(&self.handled);
        let numbers = Answers {
            numbers,
            asked,
            gap,
        };
        Ok(numbers)
    }
}

impl HandleServerToClient for Slowly {
    async fn on_note_ind(&self, _: &Client<Slow>, _: Number) {
        self.handle().await;
    }
}

/// Numbers, and how long the sender has waited between two of them at most.
struct Numbers {
    next: u64,
    to: u64,
    asked: Arc<Mutex<Gap>>,
}

struct Gap {
    last: Instant,
    longest: Duration,
}

impl Numbers {
    fn to(to: u64) -> (Self, Arc<Mutex<Gap>>) {
        let asked = Arc::new(Mutex::new(Gap {
            last: Instant::now(),
            longest: Duration::ZERO,
        }));
        let numbers = Self {
            next: 0,
            to,
            asked: Arc::clone(&asked),
        };
        (numbers, asked)
    }
}

impl Stream for Numbers {
    type Item = Number;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Number>> {
        if self.next == self.to {
            return Poll::Ready(None);
        }
        {
            let mut gap = self.asked.lock().expect("no panic");
            gap.longest = gap.longest.max(gap.last.elapsed());
            gap.last = Instant::now();
        }
        self.next += 1;
        Poll::Ready(Some(Number { number: self.next }))
    }
}

/// The same as answers. Its longest gap, in milliseconds, is where it was asked to be.
struct Answers {
    numbers: Numbers,
    asked: Arc<Mutex<Gap>>,
    gap: Arc<AtomicU64>,
}

impl Stream for Answers {
    type Item = Result<Number, Status>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Number, Status>>> {
        let next = Pin::new(&mut self.numbers)
            .poll_next(task)
            .map(|it| it.map(Ok));
        let longest = self.asked.lock().expect("no panic").longest;
        let ms = longest.as_millis().try_into().unwrap_or(u64::MAX);
        self.gap.store(ms, Ordering::Relaxed);
        next
    }
}

async fn connect(name: &str, server: Slowly, client: Slowly) -> Client<Slow> {
    let (url, _serving) = serve::<Slow, _>(at!(format!("mem://{name}")), server).await;
    let client = Client::<Slow>::builder(url.to_string())
        .handler(client)
        .connect();
    client.await.expect("connects")
}

#[tokio::test(start_paused = true)]
async fn a_send_to_a_slow_handler_waits_and_does_not_fail() {
    let server = Slowly::default();
    let client = connect("slow-send", server.clone(), Slowly::default()).await;
    for number in 0..MANY {
        let sent = client.note_ind(Number { number }).await;
        sent.unwrap_or_else(|error| panic!("{number}: {error}"));
    }
    direct_only!("Windows");
    assert!(server.handled.load(Ordering::Relaxed) > MANY / 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_to_a_slow_handler_waits_and_does_not_fail() {
    let client = connect("slow-push", Slowly::default(), Slowly::default()).await;
    let mut sender = client.sender();
    for number in 0..MANY {
        sender.note_ind(Number { number }).await.expect("taken");
    }
    sender.flush().await.expect("sent");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_to_a_slow_client_waits_too() {
    let slow = Slowly::default();
    let client = connect("slow-client", Slowly::default(), slow.clone()).await;
    client.begin_ind().await.expect("sent");
    while slow.handled.load(Ordering::Relaxed) < MANY {
        sleep(Duration::from_secs(1)).await;
        assert_eq!(client.connection().state(), ConnectionState::Connected);
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_fail_only_where_nothing_goes_on() {
    let client = connect("slow-many", Slowly::default(), Slowly::default()).await;
    let sends: Vec<_> = (0..MANY)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { client.note_ind(Number { number }).await })
        })
        .collect();
    for send in sends {
        soon("its turn", send)
            .await
            .expect("no panic")
            .expect("sent");
    }
}

#[tokio::test(start_paused = true)]
async fn a_send_to_a_handler_that_is_stuck_fails_in_time() {
    let server = Slowly {
        is_stuck: true,
        ..Slowly::default()
    };
    let client = connect("stuck", server, Slowly::default()).await;
    let mut last = Instant::now();
    let error = loop {
        match client.note_ind(Number { number: 1 }).await {
            Ok(()) => last = Instant::now(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SendError::Full), "{error}");
    let waited = last.elapsed();
    let slack = Duration::from_secs(1);
    assert!(
        waited >= WRITE_TIMEOUT && waited < WRITE_TIMEOUT + slack,
        "{waited:?}"
    );
}

/// The longest that the sender of a stream waits whose reader is slow and whose window is large.
const LONGEST: Duration = Duration::from_millis(400);

#[tokio::test(start_paused = true)]
async fn requests_go_on_as_they_are_read() {
    let client = connect("slow-requests", Slowly::default(), Slowly::default()).await;
    let to = FAST_ITEMS + MANY * 2;
    let (numbers, gap) = Numbers::to(to);
    // What waits on the way, in the windows of one connection or of two, is read slowly when the last request is sent.
    let patient = client.with(CallOptions::new().timeout(Duration::from_secs(3600)));
    let answer = patient.put_req(numbers).await.expect("answered");
    assert_eq!(answer.number, to);
    let longest = gap.lock().expect("no panic").longest;
    assert!(longest <= LONGEST, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_go_on_as_they_are_read() {
    let server = Slowly::default();
    let client = connect("slow-answers", server.clone(), Slowly::default()).await;
    let to = FAST_ITEMS + MANY * 2;
    let mut answers = client.get_req(Number { number: to }).await.expect("begun");
    let mut read = 0;
    while let Some(answer) = answers.next().await {
        answer.expect("an answer");
        read += 1;
        if read > FAST_ITEMS {
            sleep(PAUSE).await;
        }
    }
    assert_eq!(read, to);
    let longest = Duration::from_millis(server.handled.load(Ordering::Relaxed));
    assert!(longest <= LONGEST, "{longest:?}");
}
