//! The streams of an exchange, whichever side has begun it.

use msip_runtime::prost::Message;

use crate::{
    failure::fail,
    message::decode,
    process::Process,
    protocol::conformance::control::{
        End, Read, Send, command::Command as Told, report::Report as Event,
    },
};

/// The next item that this exchange has read.
pub(crate) async fn next_item<T: Message + Default>(process: &Process, exchange: u64) -> T {
    let item = process.event("an item", |event| match event {
        Event::Item(item) if item.exchange == exchange => Some(Ok(item.message.clone())),
        Event::ExchangeFailed(failed) if failed.exchange == exchange => {
            Some(Err(failed.status.clone().unwrap_or_default()))
        }
        _ => None,
    });
    match item.await {
        Ok(item) => decode(&item),
        Err(status) => fail(format_args!("no item, but {status:?}")),
    }
}

/// Sends an item, this often.
pub(crate) async fn send_item(
    process: &Process,
    exchange: u64,
    message: &impl Message,
    count: u32,
) {
    let message = message.encode_to_vec();
    let send = Send {
        exchange,
        message,
        count,
    };
    process.tell(Told::Send(send)).await;
}

/// Lets it read this many items.
pub(crate) async fn read_items(process: &Process, exchange: u64, count: u64) {
    process.tell(Told::Read(Read { exchange, count })).await;
}

/// Ends the stream that it sends.
pub(crate) async fn end_items(process: &Process, exchange: u64) {
    process.tell(Told::End(End { exchange })).await;
}

/// An item that was read by now.
pub(crate) fn seen_item<T: Message + Default>(process: &Process, exchange: u64) -> Option<T> {
    let item = process.seen(|event| match event {
        Event::Item(item) if item.exchange == exchange => Some(item.message.clone()),
        _ => None,
    });
    item.map(|item| decode(&item))
}
