//! Bodies in MessagePack: the tree of the JSON mapping with names, integers as integers and bytes as bytes.

mod read;
mod write;

pub(super) use read::MsgpackReader;
pub(super) use write::MsgpackWriter;
