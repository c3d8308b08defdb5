//! Login: until `on_connected` has returned, nobody sends but the handle that it was given.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use msip_runtime::{
    CallError, CallOptions, Client, CloseReason, Code, ConnectError, ConnectionState,
    DisconnectReason, Outbound as _, Reconnect, SendError, Status, transport::ServiceUrl,
};
use msip_tests::{
    Recorder, SeenByServer, at, connected,
    lab::{
        AskReq, AskRsp, ClientToServer, CountReq, HandleServerToClient, Lab, NoteInd,
        PushClientToServer as _, SaveInd, SendClientToServer as _, SendServerToClient as _,
    },
    messages::{act, note},
    next,
    proxy::Proxy,
    recorder, soon, start,
};
use tokio::sync::{Semaphore, mpsc};

/// What happened to the client.
#[derive(Debug)]
enum Seen {
    /// `on_connected` was called.
    Began,
    /// A note came, and its handler was called.
    Note,
    Disconnected,
    Failed(ConnectError, u32),
}

/// A handler that logs in when it is let to.
struct Visitor {
    seen: Recorder<Seen>,
    /// A login, and the handler of a note, each take a permit.
    logins: Arc<Semaphore>,
    notes: Arc<Semaphore>,
    /// What the next logins return, if not success.
    refusals: Arc<Mutex<Vec<Status>>>,
}

struct Visit {
    events: mpsc::Receiver<Seen>,
    logins: Arc<Semaphore>,
    notes: Arc<Semaphore>,
    refusals: Arc<Mutex<Vec<Status>>>,
}

impl Visit {
    fn refuse(&self, status: Status) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        refusals.push(status);
    }

    async fn began(&mut self) {
        loop {
            match next(&mut self.events).await {
                Seen::Began => return,
                Seen::Disconnected | Seen::Failed(..) => {}
                event @ Seen::Note => panic!("{event:?}"),
            }
        }
    }

    async fn failed(&mut self) -> (ConnectError, u32) {
        loop {
            match next(&mut self.events).await {
                Seen::Failed(error, attempt) => return (error, attempt),
                Seen::Began | Seen::Disconnected => {}
                event @ Seen::Note => panic!("{event:?}"),
            }
        }
    }
}

fn visitor(logins: usize) -> (Visitor, Visit) {
    let (seen, events) = recorder();
    let (logins, notes) = (
        Arc::new(Semaphore::new(logins)),
        Arc::new(Semaphore::new(0)),
    );
    let refusals = Arc::default();
    let visitor = Visitor {
        seen,
        logins: Arc::clone(&logins),
        notes: Arc::clone(&notes),
        refusals: Arc::clone(&refusals),
    };
    let visit = Visit {
        events,
        logins,
        notes,
        refusals,
    };
    (visitor, visit)
}

async fn take(permits: &Semaphore) {
    permits.acquire().await.expect("is open").forget();
}

impl HandleServerToClient for Visitor {
    async fn on_connected(&self, client: &Client<Lab>) -> Result<(), Status> {
        self.seen.record(Seen::Began);
        take(&self.logins).await;
        let refusal = {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            refusals.pop()
        };
        if let Some(status) = refusal {
            return Err(status);
        }
        // Of every shape, by a clone too, and with options.
        client.note_ind(note(0)).await?;
        client.clone().save_ind(SaveInd::default()).await?;
        let options = CallOptions::new().header("token", "x");
        match client.with(options).act_req(act("login")).await {
            Err(CallError::Status(status)) if status.code() == Code::InvalidArgument => {}
            other => panic!("{other:?}"),
        }
        let mut numbers = client
            .count_req(CountReq {
                to: 2,
                ..CountReq::default()
            })
            .await?;
        while numbers.next().await.transpose()?.is_some() {}
        let mut sender = client.sender();
        sender.note_ind(note(1)).await?;
        sender.flush().await?;
        Ok(())
    }

    async fn on_disconnected(&self, _: &Client<Lab>, _: DisconnectReason) {
        self.seen.record(Seen::Disconnected);
    }

    async fn on_connect_failure(&self, error: &ConnectError, attempt: u32) -> Reconnect {
        self.seen.record(Seen::Failed(error.clone(), attempt));
        Reconnect::Backoff
    }

    async fn on_note_ind(&self, client: &Client<Lab>, _: NoteInd) {
        self.seen.record(Seen::Note);
        take(&self.notes).await;
        // The test sees by what the server gets that it was sent.
        let _ = client.act_req(act("other")).await;
    }

    async fn on_ask_req(&self, _: &Client<Lab>, _: AskReq) -> Result<AskRsp, Status> {
        Ok(AskRsp::default())
    }

    async fn on_save_ind(&self, _: &Client<Lab>, _: SaveInd) -> Result<(), Status> {
        Ok(())
    }
}

fn address(url: &ServiceUrl) -> SocketAddr {
    let authority = url.address().authority();
    authority.parse().expect("an address")
}

type Sending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Something of every kind, and 300 calls, each begun and waiting.
async fn begin(client: &Client<Lab>) -> Vec<Sending> {
    let patient = || CallOptions::new().timeout(Duration::from_secs(3600));
    let mut all: Vec<Sending> = Vec::new();
    for number in 0..300 {
        let client = client.clone();
        all.push(Box::pin(async move {
            // On the fast path, and on the slow one.
            let outcome = if number % 2 == 0 {
                client.act_req(act("other")).await
            } else {
                client.with(patient()).act_req(act("other")).await
            };
            assert_eq!(
                outcome.map_err(|error| error.code()),
                Err(Code::InvalidArgument)
            );
        }));
    }
    let [noting, saving, counting, pushing, alarming] = std::array::from_fn(|_| client.clone());
    all.push(Box::pin(async move {
        noting.note_ind(note(100)).await.expect("sent");
    }));
    all.push(Box::pin(async move {
        let save = SaveInd { number: 100 };
        saving
            .with(patient())
            .save_ind(save)
            .await
            .expect("handled");
    }));
    all.push(Box::pin(async move {
        let count = counting.with(patient());
        drop(count.count_req(CountReq::default()).await.expect("begins"));
    }));
    all.push(Box::pin(async move {
        let mut sender = pushing.sender();
        sender.note_ind(note(100)).await.expect("taken");
        sender.flush().await.expect("sent");
    }));
    all.push(Box::pin(async move {
        alarming.alarm_ind(note(100)).await.expect("sent");
    }));
    for sending in &mut all {
        let is_held = poll_fn(|task| Poll::Ready(sending.as_mut().poll(task).is_pending())).await;
        assert!(is_held);
    }
    let note = ClientToServer::NoteInd(note(100));
    assert_eq!(client.try_send(note), Err(SendError::LoginPending));
    all
}

/// Sees that the login comes first, and then that many others.
async fn assert_order(events: &mut mpsc::Receiver<SeenByServer>, mut others: usize) {
    let mut login = ["note", "save", "act", "note"].iter();
    loop {
        let (what, is_login) = match next(events).await {
            SeenByServer::Note(number) => ("note", number < 2),
            SeenByServer::Save(number) => ("save", number == 0),
            SeenByServer::Act(what) => ("act", what == "login"),
            SeenByServer::Alarm(_) => ("alarm", false),
            _ => continue,
        };
        if is_login {
            assert_eq!(Some(&what), login.next());
        } else {
            assert_eq!(login.len(), 0, "{what} before the end of the login");
            others -= 1;
        }
        if login.len() == 0 && others == 0 {
            return;
        }
    }
}

#[tokio::test]
async fn nothing_of_others_arrives_before_the_login() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let proxy = Proxy::start(address(&url)).await;
    let (handler, mut visit) = visitor(0);
    let url = format!("{}?reconnect_max=5ms&write_timeout=1h", at!(proxy.url()));
    let connecting = Client::<Lab>::builder(url).handler(handler).connect();
    let mut connecting = tokio::spawn(connecting);
    visit.began().await;
    let is_waiting = poll_fn(|task| Poll::Ready(Pin::new(&mut connecting).poll(task).is_pending()));
    assert!(is_waiting.await, "connect returns after the login");
    visit.logins.add_permits(1);
    let client = soon("connected", connecting)
        .await
        .expect("no panic")
        .expect("connects");
    assert_order(&mut events, 0).await;
    // Resumed.
    proxy.cut();
    visit.began().await;
    let all = begin(&client).await;
    assert!(matches!(
        client.connection().state(),
        ConnectionState::Reconnecting { .. }
    ));
    visit.logins.add_permits(1);
    for sending in all {
        soon("sent", sending).await;
    }
    assert_order(&mut events, 304).await;
    assert_eq!(client.connection().state(), ConnectionState::Connected);
    // The server was restarted.
    for _ in 0..3 {
        let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
        proxy.aim(address(&url));
        proxy.cut();
        visit.began().await;
        let all = begin(&client).await;
        visit.logins.add_permits(1);
        for sending in all {
            soon("sent", sending).await;
        }
        assert_order(&mut events, 304).await;
    }
    client.close().await;
}

#[tokio::test]
async fn a_login_that_fails_fails_the_attempt_to_connect() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let proxy = Proxy::start(address(&url)).await;
    let refused = Status::new(Code::Unauthenticated, "the token has expired");
    let (handler, visit) = visitor(1);
    visit.refuse(refused.clone());
    let url = format!("{}?reconnect_max=5ms", at!(proxy.url()));
    let outcome = Client::<Lab>::builder(&url).handler(handler).connect();
    match soon("the error", outcome).await {
        Err(ConnectError::Login { status }) => assert_eq!(status, refused),
        other => panic!("{other:?}"),
    }
    connected(&mut events).await;
    let event = next(&mut events).await;
    assert!(
        matches!(
            &event,
            SeenByServer::Disconnected(DisconnectReason::ClosedByPeer(_))
        ),
        "the client says so: {event:?}"
    );
    let (handler, mut visit) = visitor(1);
    let client = Client::<Lab>::builder(&url).handler(handler).connect();
    let client = soon("connected", client).await.expect("connects");
    visit.began().await;
    visit.refuse(refused.clone());
    visit.refuse(refused.clone());
    visit.logins.add_permits(3);
    proxy.cut();
    for attempt in 1..=2 {
        match visit.failed().await {
            (ConnectError::Login { status }, number) => {
                assert_eq!((status, number), (refused.clone(), attempt));
            }
            other => panic!("{other:?}"),
        }
    }
    visit.began().await;
    soon("works again", client.ping(0, Duration::from_secs(60)))
        .await
        .expect("pong");
    client.close().await;
}

#[tokio::test]
async fn a_login_that_never_ends_is_told_by_its_time_limit() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let (handler, _visit) = visitor(0);
    let connecting = Client::<Lab>::builder(format!("{url}?login_timeout=20ms"))
        .handler(handler)
        .connect();
    let error = soon("the error", connecting)
        .await
        .expect_err("never logged in");
    assert_eq!(
        error.to_string(),
        "`on_connected` did not return within 20ms (setting `login_timeout`)"
    );
}

#[tokio::test]
async fn who_waits_for_a_login_keeps_its_limits() {
    let (url, _events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let proxy = Proxy::start(address(&url)).await;
    let (handler, mut visit) = visitor(1);
    let url = format!("{}?reconnect_max=5ms&write_timeout=20ms", at!(proxy.url()));
    let client = Client::<Lab>::builder(url).handler(handler).connect();
    let client = soon("connected", client).await.expect("connects");
    visit.began().await;
    proxy.cut();
    visit.began().await;
    let timeout = Duration::from_millis(20);
    for _ in 0..3 {
        let options = CallOptions::new().timeout(timeout);
        let call = soon("the limit", client.with(options).act_req(act("other"))).await;
        assert_eq!(call, Err(CallError::DeadlineExceeded { timeout }));
        let sent = soon("the limit", client.note_ind(note(1))).await;
        assert_eq!(sent, Err(SendError::LoginPending));
    }
    visit.logins.add_permits(1);
    soon("closed", client.close()).await;
}

#[tokio::test]
async fn the_handler_of_an_earlier_message_holds_up_no_login() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let proxy = Proxy::start(address(&url)).await;
    let (handler, mut visit) = visitor(1);
    let url = format!("{}?reconnect_max=5ms", at!(proxy.url()));
    let client = Client::<Lab>::builder(url).handler(handler).connect();
    let client = soon("connected", client).await.expect("connects");
    visit.began().await;
    let peer = connected(&mut events).await;
    peer.note_ind(note(1)).await.expect("sent");
    assert!(matches!(next(&mut visit.events).await, Seen::Note));
    assert_order(&mut events, 0).await;
    proxy.cut();
    visit.began().await;
    // It goes on, and what it sends waits; what the server says now waits for the login too.
    visit.notes.add_permits(2);
    peer.note_ind(note(2)).await.expect("sent");
    let asked = peer.ask_req(AskReq::default());
    let mut asked = std::pin::pin!(asked);
    for _ in 0..10 {
        soon("pong", client.ping(0, Duration::from_secs(60)))
            .await
            .expect("pong");
        let is_held = poll_fn(|task| Poll::Ready(asked.as_mut().poll(task).is_pending())).await;
        assert!(is_held);
    }
    assert!(
        visit.events.try_recv().is_err(),
        "the second note is not handled yet"
    );
    visit.logins.add_permits(1);
    soon("an answer", asked).await.expect("answers");
    assert_order(&mut events, 2).await;
    assert!(matches!(next(&mut visit.events).await, Seen::Note));
    client.close().await;
}

#[tokio::test]
async fn a_connection_that_ends_during_the_login_is_a_failed_attempt() {
    let (url, mut events, _server) = start(at!("tcp://127.0.0.1:0")).await;
    let proxy = Proxy::start(address(&url)).await;
    let url = format!("{}?reconnect_max=5ms", at!(proxy.url()));
    let (handler, mut visit) = visitor(0);
    let connecting = tokio::spawn(Client::<Lab>::builder(&url).handler(handler).connect());
    visit.began().await;
    connected(&mut events).await;
    proxy.cut();
    let error = soon("the error", connecting)
        .await
        .expect("no panic")
        .expect_err("lost");
    assert!(
        matches!(error, ConnectError::LostInLogin { .. }),
        "{error:?}"
    );
    let (handler, mut visit) = visitor(1);
    let client = Client::<Lab>::builder(&url).handler(handler).connect();
    let client = soon("connected", client).await.expect("connects");
    visit.began().await;
    for attempt in 1..=3 {
        proxy.cut();
        if attempt > 1 {
            match visit.failed().await {
                (ConnectError::LostInLogin { .. }, number) => assert_eq!(number, attempt - 1),
                other => panic!("{other:?}"),
            }
        }
        visit.began().await;
    }
    let mut call = std::pin::pin!(client.act_req(act("other")));
    assert!(poll_fn(|task| Poll::Ready(call.as_mut().poll(task).is_pending())).await);
    soon("closed", client.close()).await;
    let outcome = soon("the end", call).await;
    assert!(matches!(outcome, Err(CallError::NotSent(_))), "{outcome:?}");
    assert!(matches!(
        client.connection().closed(),
        Some(CloseReason::ClosedByUs)
    ));
}
