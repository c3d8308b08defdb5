//! The messages that cases send, and those that drivers report.

use msip_runtime::prost::Message;

use crate::{
    failure::fail,
    protocol::conformance::{Count, Item, control::Status},
};

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

/// What a driver reports.
pub(crate) fn decode<T: Message + Default>(bytes: &[u8]) -> T {
    match T::decode(bytes) {
        Ok(message) => message,
        Err(error) => fail(format_args!("a driver reports what is no message: {error}")),
    }
}

/// A status, as a driver is told.
pub(crate) fn status(code: &str, message: &str) -> Status {
    Status {
        code: code.to_owned(),
        message: message.to_owned(),
        ..Status::default()
    }
}
