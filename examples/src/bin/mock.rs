//! Unit tests of a program that uses MSIP: a handler without a server, and code that sends without a connection.
//!
//! ```text
//! cargo test -p msip-examples --bin mock     (the tests, which this example is about)
//! cargo run -p msip-examples --bin mock      (the program that they test, with a server of its own)
//! ```
//!
//! The program is a greeter, which enters the chat and says hello to everyone who is at the keyboard. Its logic is in
//! [`enter`] and [`greet`], which are generic over the send trait and do not ask for a client: in the tests at the end
//! of this file they talk to a `Recorder`. The room of the chat server is a handler: the tests call it with simulated
//! peers. What involves both ends, such as a deadline, is tested with a `Pair`, under a paused clock.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

use std::{error::Error, process::ExitCode};

use msip_examples::{
    Room,
    chat::{
        Chat, ConnectReq, HandleServerToClient, MessageInd, PresenceReq, PresenceRsp,
        SendClientToServer, WhoReq,
    },
    with_causes,
};
use msip_runtime::{CallError, Client, Code, Server, Status};
use tokio::sync::mpsc;

/// The most names that are tried.
const MAX_NAMES: u32 = 5;

/// Enters the room under this name or, where that is taken, with a number appended. Returns the name.
async fn enter(chat: &impl SendClientToServer, name: &str) -> Result<String, CallError> {
    let mut number = 1;
    loop {
        let user = match number {
            1 => name.to_owned(),
            number => format!("{name}-{number}"),
        };
        match chat.connect_req(ConnectReq { user: user.clone() }).await {
            Ok(_) => return Ok(user),
            Err(error) if error.code() == Code::AlreadyExists && number < MAX_NAMES => number += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Says hello to everyone but `name` who is at the keyboard. Returns whom.
async fn greet(chat: &impl SendClientToServer, name: &str) -> Result<Vec<String>, CallError> {
    let mut greeted = Vec::new();
    for person in chat.who_req(WhoReq {}).await?.people {
        if person.active && person.user != name {
            let text = format!("hello, {}", person.user);
            let user = String::new();
            chat.message_ind(MessageInd { user, text }).await?;
            greeted.push(person.user);
        }
    }
    Ok(greeted)
}

/// Somebody at the keyboard, who reads what is said.
struct Somebody(mpsc::Sender<MessageInd>);

impl HandleServerToClient for Somebody {
    async fn on_presence_req(
        &self,
        _: &Client<Chat>,
        _: PresenceReq,
    ) -> Result<PresenceRsp, Status> {
        Ok(PresenceRsp { active: true })
    }

    async fn on_message_ind(&self, _: &Client<Chat>, message: MessageInd) {
        // At the end nothing receives messages any more.
        let _ = self.0.send(message).await;
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let server = Server::<Chat>::bind("tcp://127.0.0.1:0").await?;
    let url = server.local_url().to_string();
    tokio::spawn(server.serve(Room::new("be kind", |_| {})));

    let (said, mut heard) = mpsc::channel(16);
    let somebody = Client::<Chat>::builder(&url).handler(Somebody(said));
    let ada = somebody.connect().await?;
    enter(&ada, "ada").await?;
    let other = Client::<Chat>::connect(&url).await?;
    enter(&other, "greeter").await?;

    let greeter = Client::<Chat>::connect(&url).await?;
    let name = enter(&greeter, "greeter").await?;
    let greeted = greet(&greeter, &name).await?;
    if let Some(message) = heard.recv().await {
        println!("ada hears {}: {}", message.user, message.text);
    }
    println!(
        "the greeter is known as {name}, and greeted {}",
        greeted.join(", ")
    );
    for client in [greeter, other, ada] {
        client.close().await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::Duration};

    use msip_examples::chat::{
        ClientToServer, ConnectRsp, HandleClientToServer as _, JoinedInd, Person, ServerToClient,
        WhoRsp,
    };
    use msip_runtime::testing::{self, Answer, ClientRecorder, Pair};
    use tokio::time::Instant;

    use super::*;

    fn connect(user: &str) -> ConnectReq {
        ConnectReq {
            user: user.to_owned(),
        }
    }

    fn person(user: &str, active: bool) -> Person {
        let user = user.to_owned();
        Person { user, active }
    }

    fn is_active(active: bool) -> ClientToServer {
        ClientToServer::PresenceRsp(PresenceRsp { active })
    }

    // Code that sends: a recorder takes the client's place.

    #[tokio::test]
    async fn who_is_at_the_keyboard_is_greeted() {
        let chat = ClientRecorder::<Chat>::new();
        chat.answer(ServerToClient::WhoRsp(WhoRsp {
            people: vec![
                person("ada", true),
                person("bob", false),
                person("greeter", true),
            ],
        }));
        let greeted = greet(&chat, "greeter").await.expect("greeted");
        assert_eq!(greeted, ["ada"]);
        let hello = MessageInd {
            user: String::new(),
            text: "hello, ada".to_owned(),
        };
        assert_eq!(
            chat.take_sent(),
            [
                ClientToServer::WhoReq(WhoReq {}),
                ClientToServer::MessageInd(hello)
            ]
        );
    }

    #[tokio::test]
    async fn another_name_is_tried_where_one_is_taken() {
        let chat = ClientRecorder::<Chat>::new();
        chat.answer_with(|request: &ClientToServer| match request {
            ClientToServer::ConnectReq(request) if request.user == "greeter-3" => {
                ServerToClient::ConnectRsp(ConnectRsp::default()).into()
            }
            _ => Answer::error(Status::already_exists("taken")),
        });
        assert_eq!(enter(&chat, "greeter").await.expect("in"), "greeter-3");
        let tried = ["greeter", "greeter-2", "greeter-3"];
        assert_eq!(
            chat.take_sent(),
            tried.map(|name| ClientToServer::ConnectReq(connect(name)))
        );
    }

    #[tokio::test]
    async fn any_other_error_ends_it() {
        let chat = ClientRecorder::<Chat>::new();
        chat.answer(Answer::error(CallError::ConnectionLost));
        assert_eq!(enter(&chat, "ada").await, Err(CallError::ConnectionLost));
        assert_eq!(chat.take_sent().len(), 1);
    }

    // A handler: it is called with simulated peers.

    #[tokio::test]
    async fn the_room_tells_the_others_who_has_come() {
        let room = Room::new("be kind", |_| {});
        let ada = testing::peer::<Chat>();
        let bob = ada.beside();
        room.on_connect_req(&ada, connect("ada")).await.expect("in");
        assert!(ada.take_sent().is_empty());
        let welcome = room.on_connect_req(&bob, connect("bob")).await;
        assert_eq!(welcome.expect("in").users, ["ada", "bob"]);
        let user = "bob".to_owned();
        assert_eq!(
            ada.take_sent(),
            [ServerToClient::JoinedInd(JoinedInd { user })]
        );
        assert!(bob.take_sent().is_empty());
    }

    #[tokio::test]
    async fn the_room_asks_everyone_who_is_there() {
        let room = Room::new("be kind", |_| {});
        let [ada, bob, cleo] = {
            let ada = testing::peer::<Chat>();
            let (bob, cleo) = (ada.beside(), ada.beside());
            [ada, bob, cleo]
        };
        for (peer, name) in [(&ada, "ada"), (&bob, "bob"), (&cleo, "cleo")] {
            room.on_connect_req(peer, connect(name)).await.expect("in");
        }
        ada.answer(is_active(true));
        bob.answer(is_active(false));
        // Cleo's connection breaks before she can answer.
        cleo.leave();
        let who = room.on_who_req(&ada, WhoReq {}).await.expect("told");
        assert_eq!(
            who.people,
            [
                person("ada", true),
                person("bob", false),
                person("cleo", false)
            ]
        );
    }

    // Both ends together: with the clock paused, the two seconds take no time.

    /// A client that never answers whether anyone is there.
    struct Asleep;

    impl HandleServerToClient for Asleep {
        async fn on_presence_req(
            &self,
            _: &Client<Chat>,
            _: PresenceReq,
        ) -> Result<PresenceRsp, Status> {
            pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_in_time_is_away() {
        let room = Room::new("be kind", |_| {});
        let pair = Pair::<Chat>::connect(room, Asleep).await.expect("a pair");
        enter(pair.client(), "ada").await.expect("in");
        let asked = Instant::now();
        let who = pair.who_req(WhoReq {}).await.expect("told");
        assert_eq!(who.people, [person("ada", false)]);
        assert_eq!(asked.elapsed(), Duration::from_secs(2));
    }
}
