//! Messages as the naive broker has them, and as frames.

use std::time::Duration;

use bytes::Bytes;
use msip_session::{
    MsgKind,
    wire::{Flags, FrameType, HEADER_LEN, Header, MsgId},
};

use super::limits::SIZE;
use crate::router::{Publication, Target};

/// A message, or a run of them, or a call, as the model has it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Message {
    /// Numbers of messages, or of a call.
    pub(super) numbers: Vec<u64>,
    pub(super) topic: String,
    pub(super) target: Target,
    pub(super) kind: MsgKind,
    pub(super) is_call: bool,
    pub(super) acked: bool,
    pub(super) urgent: bool,
    pub(super) idempotent: bool,
    pub(super) expires: Option<Duration>,
    pub(super) key: Option<String>,
    /// What decides to which instance it goes.
    pub(super) sticky: Option<&'static str>,
    /// Who has sent it.
    pub(super) from: usize,
    /// The client that it is of, where an instance hears that apart.
    pub(super) client: Option<usize>,
    /// Those who have failed at it, or had no place for it.
    pub(super) tried: Vec<usize>,
    /// Whether it is being published now, and its publisher is told what becomes of it.
    pub(super) is_new: bool,
}

impl Message {
    pub(super) fn is_droppable(&self) -> bool {
        matches!(self.kind, MsgKind::Log | MsgKind::Metric)
    }

    pub(super) fn lane(&self) -> usize {
        match (self.is_droppable(), self.urgent) {
            (true, _) => 2,
            (_, true) => 0,
            _ => 1,
        }
    }

    /// What identifies it in a queue.
    pub(super) fn shown(&self) -> (Vec<u64>, Target, String) {
        (
            self.numbers.clone(),
            self.target.clone(),
            self.topic.clone(),
        )
    }
}

pub(super) type Shown = (Vec<u64>, Target, String);

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn frames(message: &Message) -> Bytes {
    let mut frames = Vec::new();
    for number in &message.numbers {
        let header = Header {
            flags: Flags::NONE,
            frame_type: FrameType::Event,
            kind: message.kind.into(),
            variant: 1,
            payload_len: u32::try_from(SIZE - HEADER_LEN).expect("short"),
            msg_id: MsgId::new(1),
        };
        frames.extend_from_slice(&header.encode());
        frames.extend_from_slice(&(message.topic.len() as u16).to_be_bytes());
        frames.extend_from_slice(message.topic.as_bytes());
        // Each counts for its bytes, also when it is repeated by itself.
        let padding = SIZE - HEADER_LEN - 2 - message.topic.len() - 8;
        frames.extend(std::iter::repeat_n(0, padding));
        frames.extend_from_slice(&number.to_be_bytes());
    }
    frames.into()
}

/// The numbers of the messages in frames, which are their last bytes.
pub(in crate::router) fn numbers(publication: &Publication) -> Vec<u64> {
    publication
        .iter()
        .flat_map(|frame| numbers_of(&frame, &publication.topic))
        .collect()
}

pub(super) fn numbers_of(frame: &Bytes, _topic: &[u8]) -> Vec<u64> {
    assert!(frame.len() > HEADER_LEN + 8, "a frame");
    let number = frame.last_chunk().expect("a number");
    vec![u64::from_be_bytes(*number)]
}
