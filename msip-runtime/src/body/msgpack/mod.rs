//! Bodies in MessagePack: the JSON mapping, with integers as integers and bytes as bytes.

mod read;
mod write;

pub(super) use read::MsgpackReader;
pub(super) use write::MsgpackWriter;
