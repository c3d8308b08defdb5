//! A mistake in a type is one error, however often the type is used.

use msip_runtime::{ClientToServer, Message, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "one")]
pub enum Up {
    #[msip(tag = 1)]
    BodyReq(Body),
    #[msip(tag = 2, kind = STATE, key = "a")]
    BodyState(Body),
}

#[derive(ServerToClient)]
pub enum Down {
    #[msip(tag = 1)]
    BodyRsp(Body),
    #[msip(tag = 2)]
    MoodInd(Moods),
}

#[derive(Message)]
pub struct Body {
    pub a: u32,
}

#[derive(Message)]
pub struct Moods {
    #[msip(tag = 1)]
    pub mood: Mood,
    #[msip(tag = 2)]
    pub choice: Choice,
}

const K: isize = 4;

#[derive(Message)]
pub enum Mood {
    #[msip(other)]
    A = 0,
    B = K,
}

#[derive(Message)]
pub enum Choice {
    First(u32),
}

fn main() {}
