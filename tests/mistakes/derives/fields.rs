//! Fields: tags, names and encodings.

use msip_runtime::Message;

#[derive(Message)]
#[msip(reserved(5, "gone"))]
pub struct Fields {
    pub untagged: i32,
    #[msip(tag = 2)]
    pub first: i32,
    #[msip(tag = 2)]
    pub second: i32,
    #[msip(tag = 5)]
    pub third: i32,
    #[msip(tag = 6)]
    pub gone: i32,
    #[msip(tag = 0)]
    pub zero: i32,
    #[msip(tag = 536870912)]
    pub high: i32,
    #[msip(tag = 19000)]
    pub kept: i32,
    #[msip(tag = -1)]
    pub negative: i32,
    #[msip(tag = 7)]
    pub größe: i32,
    #[msip(tag = 8, name = "first")]
    pub again: i32,
    #[msip(tag = 9, as = "sint23")]
    pub misspelt: i32,
    #[msip(tag = 10, as = "int32")]
    pub usual: i32,
    #[msip(tag = 11, as = "zigzag")]
    pub strange: i32,
    #[msip(tag = 12, default)]
    pub default: i32,
    #[msip(tag = 13, kind = EVENT)]
    pub kind: i32,
}

#[derive(Message)]
#[msip(reserved = 3)]
pub struct NoList {}

#[derive(Message)]
#[msip(reserved(7..9, old))]
pub struct OddList {}

#[derive(Message)]
#[msip(rename_all = "kebab-case")]
pub struct Case {}

#[derive(Message)]
#[msip(name = "ServerToClient", crate = "not a path")]
pub struct Envelope {}

#[derive(Message)]
pub struct Pair(i32, i32);

#[derive(Message)]
pub struct Map(#[msip(as = "map<sint32, sint32>")] std::collections::HashMap<i32, i32>);

#[derive(Message)]
pub struct Generic<T> {
    #[msip(tag = 1)]
    pub value: T,
}

#[derive(Message)]
pub union Either {
    pub number: i32,
}

fn main() {}
