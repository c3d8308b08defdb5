//! Enums without data, and with data.

use msip_runtime::Message;

#[derive(Message)]
pub enum NoOther {
    Unknown = 0,
    Known = 1,
}

#[derive(Message)]
pub enum NoNumbers {
    #[msip(other)]
    Unknown = 0,
    First,
    Second,
}

#[derive(Message)]
pub enum NoZero {
    First = 1,
    #[msip(other)]
    Second = 2,
}

#[derive(Message)]
pub enum Twice {
    #[msip(other)]
    Unknown = 0,
    #[msip(tag = 1)]
    First,
    #[msip(tag = 1)]
    Second,
}

const FIVE: isize = 5;

#[derive(Message)]
#[msip(reserved(3, "RESERVED_GONE"))]
pub enum Reserved {
    #[msip(other)]
    Unknown = 0,
    First = 3,
    Gone = 4,
    Hidden = FIVE,
    #[msip(tag = 7)]
    Both = 6,
}

#[derive(Message)]
pub enum TwoOthers {
    #[msip(tag = 0)]
    Zero,
    #[msip(other)]
    First(i32),
    #[msip(other)]
    Second(u64),
}

#[derive(Message)]
pub enum Data {
    #[msip(tag = 1)]
    Text(String),
    Number(i32),
    #[msip(tag = 1)]
    Again(String),
    #[msip(tag = 3)]
    Named { x: i32 },
    #[msip(tag = 4, as = "sint32")]
    Unit,
    #[msip(tag = 5)]
    Small(u8),
    #[msip(other, tag = 6)]
    Other(String),
}

fn main() {}
