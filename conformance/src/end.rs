//! What a case plays with: a client or a peer of a server, their calls, and their handlers.

use msip_runtime::prost::Message;

use crate::{
    process::Process,
    protocol::conformance::{
        Count, Item,
        control::{
            self, Answer, Answered, Broadcast, Cancel, Close, Disconnect, Done, End as EndOfItems,
            Fail, Handling, Ping, Read, Send, Start, Status, command::Command as Told,
            report::Report as Event,
        },
    },
};

/// A client, a server, or a peer of a server, in a driver.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) process: Process,
    pub(crate) number: u64,
}

/// An exchange that a driver has begun.
pub(crate) struct Call {
    process: Process,
    number: u64,
    member: String,
}

/// An exchange in a handler of a driver.
pub(crate) struct Handler {
    process: Process,
    pub(crate) told: Handling,
}

/// An item with this number.
pub(crate) fn item(number: u64) -> Item {
    Item {
        number,
        ..Item::default()
    }
}

/// A count of this many.
pub(crate) fn counted(number: u64) -> Count {
    Count {
        number: u32::try_from(number).unwrap_or(u32::MAX),
    }
}

impl End {
    /// Begins an exchange, reading all of its answers.
    pub(crate) async fn start(&self, member: &str, message: &impl Message) -> Call {
        let start = Start {
            message: message.encode_to_vec(),
            ..Start::default()
        };
        self.start_with(member, start).await
    }

    /// Begins an exchange with these options, reading all of its answers unless the options say how many.
    pub(crate) async fn start_with(&self, member: &str, start: Start) -> Call {
        let read = if start.read == 0 {
            u64::MAX
        } else {
            start.read
        };
        self.start_reading(member, start, read).await
    }

    /// Begins an exchange of which this many answers are read.
    pub(crate) async fn start_reading(&self, member: &str, start: Start, read: u64) -> Call {
        let number = self.process.number();
        let start = Start {
            endpoint: self.number,
            exchange: number,
            member: member.to_owned(),
            read,
            ..start
        };
        self.process.tell(Told::Start(start)).await;
        Call {
            process: self.process.clone(),
            number,
            member: member.to_owned(),
        }
    }

    /// Sends a message, and waits until it is accepted or acknowledged.
    pub(crate) async fn send(&self, member: &str, message: &impl Message) {
        self.start(member, message).await.sent().await;
    }

    /// The next handler of this member that is called.
    pub(crate) async fn handling(&self, member: &str) -> Handler {
        let what = format!("a call of the handler of {member}");
        let told = self.process.event(&what, |event| match event {
            Event::Handling(told) if told.member == member && told.endpoint == self.number => {
                Some(told.clone())
            }
            _ => None,
        });
        Handler {
            told: told.await,
            process: self.process.clone(),
        }
    }

    /// The next handler that is called, of whatever member.
    pub(crate) async fn next_handling(&self) -> Handler {
        let told = self
            .process
            .event("a call of a handler", |event| match event {
                Event::Handling(told) if told.endpoint == self.number => Some(told.clone()),
                _ => None,
            });
        Handler {
            told: told.await,
            process: self.process.clone(),
        }
    }

    /// Whether a handler of this member was called by now.
    pub(crate) fn has_handled(&self, member: &str) -> bool {
        let handled = self.process.seen(|event| match event {
            Event::Handling(told) => {
                (told.member == member && told.endpoint == self.number).then_some(())
            }
            _ => None,
        });
        handled.is_some()
    }

    /// Closes it gracefully, and waits until it is closed.
    pub(crate) async fn close(&self) {
        let endpoint = self.number;
        self.done(Told::Close(Close { endpoint })).await;
    }

    /// Closes it gracefully, and does not wait.
    pub(crate) async fn begin_close(&self) {
        let endpoint = self.number;
        self.process.tell(Told::Close(Close { endpoint })).await;
    }

    /// Ends the session of this peer.
    pub(crate) async fn disconnect(&self, code: &str, message: &str) {
        let disconnect = Disconnect {
            endpoint: self.number,
            status: Some(status(code, message)),
        };
        self.done(Told::Disconnect(disconnect)).await;
    }

    /// Sends a message to all clients of this server, and returns how many have accepted it.
    pub(crate) async fn broadcast(&self, member: &str, message: &impl Message) -> u32 {
        let broadcast = Broadcast {
            endpoint: self.number,
            member: member.to_owned(),
            message: message.encode_to_vec(),
        };
        self.done(Told::Broadcast(broadcast)).await.count
    }

    /// Sends a ping, and waits for its pong.
    pub(crate) async fn ping(&self, len: u32) {
        let endpoint = self.number;
        self.done(Told::Ping(Ping { endpoint, len })).await;
    }

    /// Waits until its connection has ended.
    pub(crate) async fn disconnected(&self) {
        let ended = self
            .process
            .event("the end of a connection", |event| match event {
                Event::Disconnected(told) if told.endpoint == self.number => Some(()),
                _ => None,
            });
        ended.await;
    }

    /// Waits until this client is connected again, and says whether its session was resumed.
    pub(crate) async fn connected(&self) -> bool {
        let connected = self.process.event("a connect", |event| match event {
            Event::Connected(told) if told.endpoint == self.number => Some(told.resumed),
            _ => None,
        });
        connected.await
    }

    /// Waits until this client was closed by its server, and says why.
    pub(crate) async fn closed(&self) -> Status {
        let closed = self.process.event("being closed", |event| match event {
            Event::Closed(told) if told.endpoint == self.number => {
                Some(told.status.clone().unwrap_or_default())
            }
            _ => None,
        });
        closed.await
    }

    /// Waits until this client has lost its session.
    pub(crate) async fn session_lost(&self) {
        let lost = self
            .process
            .event("the loss of a session", |event| match event {
                Event::SessionLost(told) if told.endpoint == self.number => Some(()),
                _ => None,
            });
        lost.await;
    }

    async fn done(&self, command: Told) -> Done {
        match self.process.ask(command).await {
            Ok(Event::Done(done)) => done,
            other => panic!("{}: {other:?}", self.process.language()),
        }
    }
}

impl Call {
    /// The next item of its answer.
    pub(crate) async fn item<T: Message + Default>(&self) -> T {
        next_item(&self.process, self.number).await
    }

    /// The items of its answer, once it has ended.
    pub(crate) async fn items<T: Message + Default>(&self) -> Vec<T> {
        self.end().await;
        let mut items = Vec::new();
        while let Some(item) = self.seen_item() {
            items.push(item);
        }
        items
    }

    /// An item that was read by now.
    pub(crate) fn seen_item<T: Message + Default>(&self) -> Option<T> {
        let item = self.process.seen(|event| match event {
            Event::Item(item) if item.exchange == self.number => Some(item.message.clone()),
            _ => None,
        });
        item.map(|item| decode(&item))
    }

    /// The end of its answer.
    pub(crate) async fn end(&self) -> Answered {
        let what = format!("the answer of {}", self.member);
        let ended = self.process.event(&what, |event| match event {
            Event::Answered(answered) if answered.exchange == self.number => {
                Some(Ok(answered.clone()))
            }
            Event::ExchangeFailed(failed) if failed.exchange == self.number => {
                Some(Err(failed.status.clone().unwrap_or_default()))
            }
            _ => None,
        });
        match ended.await {
            Ok(answered) => answered,
            Err(status) => panic!("{} failed: {status:?}", self.member),
        }
    }

    /// Its answer.
    pub(crate) async fn answer<T: Message + Default>(&self) -> T {
        decode(&self.end().await.message)
    }

    /// Waits until the message is accepted or acknowledged.
    pub(crate) async fn sent(&self) {
        let what = format!("the acceptance of {}", self.member);
        let sent = self.process.event(&what, |event| match event {
            Event::Sent(sent) if sent.exchange == self.number => Some(Ok(())),
            Event::ExchangeFailed(failed) if failed.exchange == self.number => {
                Some(Err(failed.status.clone().unwrap_or_default()))
            }
            _ => None,
        });
        if let Err(status) = sent.await {
            panic!("{} failed: {status:?}", self.member);
        }
    }

    /// Whether it has an outcome by now.
    pub(crate) fn has_ended(&self) -> bool {
        let ended = self.process.seen(|event| match event {
            Event::Sent(sent) => (sent.exchange == self.number).then_some(()),
            Event::Answered(answered) => (answered.exchange == self.number).then_some(()),
            Event::ExchangeFailed(failed) => (failed.exchange == self.number).then_some(()),
            _ => None,
        });
        ended.is_some()
    }

    /// Why it has failed.
    pub(crate) async fn failure(&self) -> Status {
        let what = format!("the failure of {}", self.member);
        let failed = self.process.event(&what, |event| match event {
            Event::ExchangeFailed(failed) if failed.exchange == self.number => {
                Some(Ok(failed.status.clone().unwrap_or_default()))
            }
            Event::Answered(answered) if answered.exchange == self.number => {
                Some(Err(answered.message.len()))
            }
            Event::Sent(sent) if sent.exchange == self.number => Some(Err(0)),
            _ => None,
        });
        match failed.await {
            Ok(status) => status,
            Err(len) => panic!("{} has succeeded, with {len} bytes", self.member),
        }
    }

    /// Sends an item of its request, this often.
    pub(crate) async fn send(&self, message: &impl Message, count: u32) {
        send_item(&self.process, self.number, message, count).await;
    }

    /// Ends its request.
    pub(crate) async fn finish(&self) {
        let exchange = self.number;
        self.process.tell(Told::End(EndOfItems { exchange })).await;
    }

    /// Reads this many items of its answer.
    pub(crate) async fn read(&self, count: u64) {
        read_items(&self.process, self.number, count).await;
    }

    /// Gives it up.
    pub(crate) async fn cancel(&self) {
        let exchange = self.number;
        self.process.tell(Told::Cancel(Cancel { exchange })).await;
    }
}

impl Handler {
    /// What it was given.
    pub(crate) fn message<T: Message + Default>(&self) -> T {
        decode(&self.told.message)
    }

    /// The number of the item that it was given.
    pub(crate) fn item_number(&self) -> u64 {
        self.message::<Item>().number
    }

    /// Returns, with an answer.
    pub(crate) async fn answer(self, message: &impl Message) {
        self.answer_with(message, &[]).await;
    }

    /// Returns, with an answer that has headers.
    pub(crate) async fn answer_with(self, message: &impl Message, headers: &[(&str, &str)]) {
        let headers = headers.iter();
        let answer = Answer {
            exchange: self.told.exchange,
            message: message.encode_to_vec(),
            headers: headers
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        };
        self.process.tell(Told::Answer(answer)).await;
    }

    /// Returns without an answer, where there is none.
    pub(crate) async fn finish(self) {
        self.answer(&()).await;
    }

    /// Fails.
    pub(crate) async fn fail(self, code: &str, message: &str) {
        let fail = Fail {
            exchange: self.told.exchange,
            status: Some(status(code, message)),
        };
        self.process.tell(Told::Fail(fail)).await;
    }

    /// Sends an item of its answer, this often.
    pub(crate) async fn send(&self, message: &impl Message, count: u32) {
        send_item(&self.process, self.told.exchange, message, count).await;
    }

    /// Ends its answer.
    pub(crate) async fn end_items(self) {
        let exchange = self.told.exchange;
        self.process.tell(Told::End(EndOfItems { exchange })).await;
    }

    /// Reads this many items of its request.
    pub(crate) async fn read(&self, count: u64) {
        read_items(&self.process, self.told.exchange, count).await;
    }

    /// The next item of its request.
    pub(crate) async fn item(&self) -> Item {
        next_item(&self.process, self.told.exchange).await
    }

    /// An item that was read by now.
    pub(crate) fn seen_item(&self) -> Option<Item> {
        let item = self.process.seen(|event| match event {
            Event::Item(item) if item.exchange == self.told.exchange => Some(item.message.clone()),
            _ => None,
        });
        item.map(|item| decode(&item))
    }

    /// Waits for the end of its request, and says why it has ended where that is an error.
    pub(crate) async fn items_ended(&self) -> Option<Status> {
        let ended = self
            .process
            .event("the end of a request", |event| match event {
                Event::ItemsEnded(ended) if ended.exchange == self.told.exchange => {
                    Some(ended.status.clone())
                }
                _ => None,
            });
        ended.await
    }

    /// Waits until it is dropped before it has returned.
    pub(crate) async fn dropped(&self) {
        let dropped = self
            .process
            .event("the end of a handler", |event| match event {
                Event::HandlerDropped(dropped) if dropped.exchange == self.told.exchange => {
                    Some(())
                }
                _ => None,
            });
        dropped.await;
    }
}

async fn next_item<T: Message + Default>(process: &Process, exchange: u64) -> T {
    let item = process.event("an item", |event| match event {
        Event::Item(item) if item.exchange == exchange => Some(Ok(item.message.clone())),
        Event::ExchangeFailed(failed) if failed.exchange == exchange => {
            Some(Err(failed.status.clone().unwrap_or_default()))
        }
        _ => None,
    });
    match item.await {
        Ok(item) => decode(&item),
        Err(status) => panic!("no item, but {status:?}"),
    }
}

async fn send_item(process: &Process, exchange: u64, message: &impl Message, count: u32) {
    let message = message.encode_to_vec();
    let send = Send {
        exchange,
        message,
        count,
    };
    process.tell(Told::Send(send)).await;
}

async fn read_items(process: &Process, exchange: u64, count: u64) {
    process.tell(Told::Read(Read { exchange, count })).await;
}

fn decode<T: Message + Default>(bytes: &[u8]) -> T {
    match T::decode(bytes) {
        Ok(message) => message,
        Err(error) => panic!("a driver reports what is no message: {error}"),
    }
}

fn status(code: &str, message: &str) -> Status {
    control::Status {
        code: code.to_owned(),
        message: message.to_owned(),
        ..Status::default()
    }
}
