//! The whole of a conversation in one terminal: a server and three clients of the `chat` protocol.
//!
//! ```text
//! cargo run -p msip-examples --bin quickstart
//! ```
//!
//! It prints each step: clients enter (a call, made from `on_connected`), one of them says something (a one-way
//! message, which the server broadcasts), a call is refused, the server calls its clients, a ping is timed, the server
//! crashes and another takes its place while the clients reconnect by themselves, and finally everything is closed. It
//! takes about a second, and ends with exit code 0.
//!
//! Nothing here sleeps: each step waits for the events of the one before.

#![expect(
    clippy::print_stdout,
    reason = "the transcript is what the program is for"
)]

use std::{error::Error, future::Future, time::Duration};

use msip_examples::{
    Room,
    chat::{
        Chat, ConnectReq, ConnectRsp, HandleServerToClient, JoinedInd, LeftInd, MessageInd,
        PresenceReq, PresenceRsp, SendClientToServer as _, WhoReq,
    },
    with_causes,
};
use msip_runtime::{ConnectionState, prelude::*};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// What happens to a client, in the order in which it happens.
#[derive(Debug)]
enum Event {
    Entered(Result<ConnectRsp, CallError>),
    Joined(String),
    Left(String),
    Heard(MessageInd),
    Lost(DisconnectReason),
    Failed(ConnectError),
}

/// A client's handler: it forwards each event to `main`, which prints them in order.
struct Member {
    name: &'static str,
    events: mpsc::Sender<Event>,
}

impl Member {
    async fn pass_on(&self, event: Event) {
        // At the end nothing receives events any more.
        let _ = self.events.send(event).await;
    }
}

impl HandleServerToClient for Member {
    /// Called after each connect, the first and every later one: the place to log in. Until it has returned nobody else sends.
    async fn on_connected(&self, client: &Client<Chat>) -> Result<(), Status> {
        let user = self.name.to_owned();
        let answer = client.connect_req(ConnectReq { user }).await;
        self.pass_on(Event::Entered(answer)).await;
        Ok(())
    }

    async fn on_joined_ind(&self, _: &Client<Chat>, message: JoinedInd) {
        self.pass_on(Event::Joined(message.user)).await;
    }

    async fn on_left_ind(&self, _: &Client<Chat>, message: LeftInd) {
        self.pass_on(Event::Left(message.user)).await;
    }

    async fn on_message_ind(&self, _: &Client<Chat>, message: MessageInd) {
        self.pass_on(Event::Heard(message)).await;
    }

    async fn on_presence_req(
        &self,
        _: &Client<Chat>,
        _: PresenceReq,
    ) -> Result<PresenceRsp, Status> {
        // Cleo has gone to fetch a coffee.
        let active = self.name != "cleo";
        Ok(PresenceRsp { active })
    }

    async fn on_disconnected(&self, _: &Client<Chat>, reason: DisconnectReason) {
        self.pass_on(Event::Lost(reason)).await;
    }

    async fn on_connect_failure(&self, error: &ConnectError, _attempt: u32) -> Reconnect {
        self.pass_on(Event::Failed(error.clone())).await;
        Reconnect::Backoff
    }
}

/// A client, and its events that were not printed yet.
struct Person {
    name: &'static str,
    client: Client<Chat>,
    events: mpsc::Receiver<Event>,
}

impl Person {
    async fn connect(name: &'static str, url: &str) -> Result<Self, ConnectError> {
        let (sender, events) = mpsc::channel(64);
        let handler = Member {
            name,
            events: sender,
        };
        let client = Client::<Chat>::builder(url)
            .handler(handler)
            .name("quickstart")
            .connect()
            .await?;
        Ok(Self {
            name,
            client,
            events,
        })
    }

    fn tell(&self, what: impl std::fmt::Display) {
        tell(self.name, what);
    }

    /// Waits for the next event that `pick` accepts; earlier events are skipped.
    async fn until<T>(&mut self, pick: impl Fn(Event) -> Option<T>) -> Result<T, Status> {
        while let Some(event) = self.events.recv().await {
            if let Some(picked) = pick(event) {
                return Ok(picked);
            }
        }
        Err(Status::internal("the client is gone"))
    }

    async fn entered(&mut self) -> Result<ConnectRsp, Status> {
        let answer = self.until(|event| match event {
            Event::Entered(answer) => Some(answer),
            _ => None,
        });
        Ok(answer.await??)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // A time limit, whatever goes wrong.
    timeout(Duration::from_secs(60), conversation()).await?
}

async fn conversation() -> Result<(), Box<dyn Error>> {
    step("A server listens, and three clients enter");
    let server = Server::<Chat>::bind("tcp://127.0.0.1:0").await?;
    let url = server.local_url().to_string();
    tell("server", format_args!("listens at {url}"));
    let serving = tokio::spawn(server.serve(room()));

    let mut people = Vec::new();
    for name in ["ada", "bob", "cleo"] {
        let mut person = Person::connect(name, &url).await?;
        let welcome = person.entered().await?;
        person.tell(format_args!("is in: \"{}\"", welcome.motd));
        people.push(person);
    }
    let [mut ada, mut bob, mut cleo] = <[Person; 3]>::try_from(people)
        .map_err(|people| format!("{} people instead of three", people.len()))?;
    for name in ["bob", "cleo"] {
        let joined = ada.until(|event| match event {
            Event::Joined(name) => Some(name),
            _ => None,
        });
        let joined = joined.await?;
        assert_eq!(joined, name, "they came in this order");
        ada.tell(format_args!("sees {joined} come"));
    }

    step("A one-way message, which the server broadcasts");
    say(&ada, "hello, everyone").await?;
    hear(&mut bob).await?;
    hear(&mut cleo).await?;

    step("A call, refused: the error names what went wrong");
    let user = "bob".to_owned();
    match ada.client.connect_req(ConnectReq { user }).await {
        Err(CallError::Status(status)) => {
            ada.tell(format_args!("wants another name, gets {status}"))
        }
        outcome => return Err(format!("expected a refusal, got {outcome:?}").into()),
    }

    step("A call that makes the server call all three clients");
    for person in ada.client.who_req(WhoReq {}).await?.people {
        let place = if person.active {
            "at the keyboard"
        } else {
            "away"
        };
        ada.tell(format_args!("learns: {} is {place}", person.user));
    }
    let round_trip = ada.client.ping(0, Duration::from_secs(5)).await?;
    ada.tell(format_args!("pings the server: {round_trip:.0?}"));

    step("The server dies; the clients notice, and try again");
    let mut state = ada.client.connection().watch();
    serving.abort();
    // Aborted means dropped: every connection breaks, without a graceful close.
    assert!(serving.await.is_err_and(|error| error.is_cancelled()));
    let reason = ada.until(|event| match event {
        Event::Lost(reason) => Some(reason),
        _ => None,
    });
    let reason = reason.await?;
    ada.tell(format_args!("has lost the server: {reason}"));
    let failure = ada.until(|event| match event {
        Event::Failed(error) => Some(error),
        _ => None,
    });
    let failure = failure.await?;
    ada.tell(format_args!("tries again: {}", with_causes(&failure)));
    assert_ne!(*state.borrow_and_update(), ConnectionState::Connected);

    step("Another server takes its place; the clients come back by themselves");
    let server = Server::<Chat>::bind(&url).await?;
    tell("server", "listens at the same address");
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(server.serve_until(room(), async {
        // A dropped sender stops the server too.
        let _ = stopped.await;
    }));
    state
        .wait_for(|state| *state == ConnectionState::Connected)
        .await?;
    for person in [&mut ada, &mut bob, &mut cleo] {
        person.entered().await?;
        person.tell("is in again");
    }
    say(&bob, "where were we?").await?;
    hear(&mut ada).await?;
    hear(&mut cleo).await?;

    step("Goodbye: a client closes, then the server drains");
    cleo.client.close().await;
    let left = ada.until(|event| match event {
        Event::Left(name) => Some(name),
        _ => None,
    });
    let left = left.await?;
    ada.tell(format_args!("sees {left} leave"));
    let _ = stop.send(());
    let report = serving.await?;
    let cut_off = report.cut_off;
    tell(
        "server",
        format_args!("has said goodbye to the others, {cut_off} calls cut off"),
    );
    for person in [&ada, &bob] {
        person.client.close().await;
    }
    Ok(())
}

/// A room that prints nothing by itself: the clients do.
fn room() -> Room {
    Room::new("be kind", |_| {})
}

fn say<'a>(
    person: &'a Person,
    text: &str,
) -> impl Future<Output = Result<(), Box<dyn Error>>> + 'a {
    person.tell(format_args!("says: {text}"));
    let message = MessageInd {
        text: text.to_owned(),
        ..MessageInd::default()
    };
    async move { Ok(person.client.message_ind(message).await?) }
}

async fn hear(person: &mut Person) -> Result<(), Status> {
    let heard = person.until(|event| match event {
        Event::Heard(message) => Some(message),
        _ => None,
    });
    let MessageInd { user, text } = heard.await?;
    person.tell(format_args!("hears {user}: {text}"));
    Ok(())
}

fn step(title: &str) {
    println!("\n{title}");
}

fn tell(who: &str, what: impl std::fmt::Display) {
    println!("  {who:<7} {what}");
}
