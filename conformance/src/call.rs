//! An exchange that a driver has begun.

use msip_runtime::prost::Message;

use crate::{
    failure::fail,
    message::decode,
    process::Process,
    protocol::conformance::control::{
        Answered, Cancel, Status, command::Command as Told, report::Report as Event,
    },
    stream,
};

/// An exchange that a driver has begun.
pub(crate) struct Call {
    pub(crate) process: Process,
    pub(crate) number: u64,
    pub(crate) member: String,
}

impl Call {
    /// The next item of its answer.
    pub(crate) async fn item<T: Message + Default>(&self) -> T {
        stream::next_item(&self.process, self.number).await
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
        stream::seen_item(&self.process, self.number)
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
            Err(status) => fail(format_args!("{} failed: {status:?}", self.member)),
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
            fail(format_args!("{} failed: {status:?}", self.member));
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
            Err(len) => fail(format_args!(
                "{} has succeeded, with {len} bytes",
                self.member
            )),
        }
    }

    /// Sends an item of its request, this often.
    pub(crate) async fn send(&self, message: &impl Message, count: u32) {
        stream::send_item(&self.process, self.number, message, count).await;
    }

    /// Ends its request.
    pub(crate) async fn finish(&self) {
        stream::end_items(&self.process, self.number).await;
    }

    /// Reads this many items of its answer.
    pub(crate) async fn read(&self, count: u64) {
        stream::read_items(&self.process, self.number, count).await;
    }

    /// Gives it up.
    pub(crate) async fn cancel(&self) {
        let exchange = self.number;
        self.process.tell(Told::Cancel(Cancel { exchange })).await;
    }
}
