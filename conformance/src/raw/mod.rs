//! The raw peer, as both ends of a connection with a driver, and the frames of docs/protocol.md.

mod frame;
mod handshake;
mod heard;
mod meet;
mod page;
mod server;

pub(crate) use self::{
    frame::{Opening, ack, bytes_of, envelope, line, payload, with_id},
    handshake::{hello, resumed, welcome, welcome_in},
    heard::{hear, hear_to_the_end, try_hear},
    meet::{Meeting, Met, Place},
    page::{Block, blocks, vector},
    server::RawServer,
};
