//! The metadata of what is sent.

use prost::Message as _;

use crate::{
    CallOptions, MetadataError, SendError,
    connection::message::Outgoing,
    metadata::{NO_METADATA, now_us},
    sync::{AtomicU64, Ordering},
};
use msip_session::wire::{self, DEADLINE_LEN, Limits};

/// Makes correlation ids: a random number for the connection, and a count.
#[derive(Debug)]
pub(super) struct CorrelationIds {
    connection: u64,
    next: AtomicU64,
}

impl CorrelationIds {
    pub(super) fn new() -> Self {
        Self {
            // Without random numbers there are still different ones on this connection.
            connection: getrandom::u64().unwrap_or(0),
            next: AtomicU64::new(1),
        }
    }

    fn next(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}-{number}", self.connection)
    }
}

/// The metadata of a message of these options, encoded but for its deadline; empty for none, which costs nothing.
pub(super) fn encode_metadata(
    options: &CallOptions,
    ids: Option<&CorrelationIds>,
) -> Result<Vec<u8>, SendError> {
    let said = options.outgoing_metadata().map_err(SendError::Metadata)?;
    if said.is_none() && ids.is_none() {
        return Ok(Vec::new());
    }
    let mut metadata = wire::Metadata::clone(&said.unwrap_or(&NO_METADATA).0);
    if let Some(ids) = ids
        && metadata.correlation_id.is_empty()
    {
        metadata.correlation_id = ids.next();
    }
    if !options.is_passed_on() {
        metadata.request_time_us = Some(now_us());
    }
    let max = usize::from(Limits::default().max_metadata);
    let len = metadata.encoded_len().saturating_add(DEADLINE_LEN);
    if len > max {
        return Err(SendError::Metadata(MetadataError::TooLarge { len, max }));
    }
    Ok(metadata.encode_to_vec())
}

/// Adds the key that the schema names to the metadata of a message to a topic, encoded, unless its sender has said another: a
/// broker cannot read the body. What goes to no topic has it in its body alone.
///
/// # Errors
///
/// [`MetadataError::TooLarge`] where it does not fit.
pub(crate) fn add_key<E: Outgoing>(
    metadata: &mut Vec<u8>,
    message: &E,
    options: &CallOptions,
) -> Result<(), SendError> {
    if message.topic().is_none() || options.has_key() {
        return Ok(());
    }
    let Some(key) = message.key_text() else {
        return Ok(());
    };
    let keyed = wire::Metadata {
        key,
        ..wire::Metadata::default()
    };
    append(metadata, &keyed)
}

/// Appends to encoded metadata, in place of setting its fields: the encodings of two messages, one behind the other, are that
/// of both.
pub(super) fn append(metadata: &mut Vec<u8>, more: &wire::Metadata) -> Result<(), SendError> {
    metadata.extend_from_slice(&more.encode_to_vec());
    let max = usize::from(Limits::default().max_metadata);
    let len = metadata.len().saturating_add(DEADLINE_LEN);
    if len > max {
        return Err(SendError::Metadata(MetadataError::TooLarge { len, max }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use msip_session::wire::Metadata;

    #[test]
    fn options_that_say_nothing_carry_nothing() {
        let quiet = CallOptions::new().urgent().ack();
        assert_eq!(encode_metadata(&quiet, None), Ok(Vec::new()));
    }

    #[test]
    fn what_is_passed_on_asks_for_no_time_that_its_sender_did_not_ask_for() {
        let said = |request_time_us| {
            crate::Metadata::received(Metadata {
                request_time_us,
                key: "k".to_owned(),
                ..Metadata::default()
            })
        };
        for time in [None, Some(7)] {
            let options = CallOptions::new().pass_on(&said(time));
            let encoded = encode_metadata(&options, None).unwrap();
            let passed_on = Metadata::decode(&*encoded).unwrap();
            assert_eq!((passed_on.request_time_us, &*passed_on.key), (time, "k"));
        }
    }

    #[test]
    fn ids_are_made_where_none_was_given() {
        let ids = CorrelationIds::new();
        let id = |options: &CallOptions| {
            let encoded = encode_metadata(options, Some(&ids)).unwrap();
            Metadata::decode(&*encoded).unwrap().correlation_id
        };
        let (first, second) = (id(&CallOptions::new()), id(&CallOptions::new()));
        assert_ne!(first, second);
        assert_eq!(id(&CallOptions::new().correlation_id("mine")), "mine");
    }

    #[test]
    fn the_limit_is_told_with_the_length() {
        let options = |len: usize| CallOptions::new().header("h", "x".repeat(len));
        let mut len = 8000;
        let error = loop {
            match encode_metadata(&options(len), None) {
                Ok(encoded) => assert!(encoded.len() <= 8192 - DEADLINE_LEN),
                Err(error) => break error,
            }
            len += 1;
        };
        assert_eq!(
            error.to_string(),
            "metadata of 8193 bytes exceeds the limit of 8192: headers, ids and trace context together"
        );
    }
}
