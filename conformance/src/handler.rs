//! An exchange in a handler of a driver.

use msip_runtime::prost::Message;

use crate::{
    message::{decode, status},
    process::Process,
    protocol::conformance::{
        Item,
        control::{
            Answer, Fail, Handling, Status, command::Command as Told, report::Report as Event,
        },
    },
    stream,
};

/// An exchange in a handler of a driver.
pub(crate) struct Handler {
    pub(crate) process: Process,
    pub(crate) told: Handling,
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
        self.fail_with(status(code, message)).await;
    }

    /// Fails with a status that has headers or details.
    pub(crate) async fn fail_with(self, status: Status) {
        let fail = Fail {
            exchange: self.told.exchange,
            status: Some(status),
        };
        self.process.tell(Told::Fail(fail)).await;
    }

    /// Sends an item of its answer, this often.
    pub(crate) async fn send(&self, message: &impl Message, count: u32) {
        stream::send_item(&self.process, self.told.exchange, message, count).await;
    }

    /// Ends its answer.
    pub(crate) async fn end_items(self) {
        stream::end_items(&self.process, self.told.exchange).await;
    }

    /// Reads this many items of its request.
    pub(crate) async fn read(&self, count: u64) {
        stream::read_items(&self.process, self.told.exchange, count).await;
    }

    /// The next item of its request.
    pub(crate) async fn item(&self) -> Item {
        stream::next_item(&self.process, self.told.exchange).await
    }

    /// An item that was read by now.
    pub(crate) fn seen_item(&self) -> Option<Item> {
        stream::seen_item(&self.process, self.told.exchange)
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
