//! The raw peer, as both ends of a connection with a driver, and the frames of docs/protocol.md.

mod frame;
mod meet;
mod page;
mod server;

pub(crate) use self::{
    frame::{Opening, ack, bytes_of, envelope, line, payload, with_id},
    meet::{
        Meeting, Met, Place, hear, hear_to_the_end, hello, resumed, try_hear, welcome, welcome_in,
    },
    page::{Block, blocks, vector},
    server::RawServer,
};
