//! A protocol with every type of field.

#![expect(unreachable_pub, reason = "the derives generate public items")]

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use bytes::Bytes;

use crate::{ClientToServer, Message, ServerToClient};

/// The messages of a client.
#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "kitchen")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    ScalarsInd(Scalars),
    #[msip(tag = 2)]
    ManyInd(Many),
    #[msip(tag = 3)]
    TreeInd(Tree),
    #[msip(tag = 4)]
    TickInd,
    #[msip(tag = 5)]
    TreeReq(Tree),
}

/// The messages of a server.
#[derive(Debug, Clone, PartialEq, ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    TickInd,
    #[msip(tag = 2)]
    TreeRsp(Tree),
}

#[derive(Debug, Clone, Default, PartialEq, Message)]
pub struct Scalars {
    #[msip(tag = 1)]
    pub int32: i32,
    #[msip(tag = 2)]
    pub int64: i64,
    #[msip(tag = 3)]
    pub uint32: u32,
    #[msip(tag = 4)]
    pub uint64: u64,
    #[msip(tag = 5)]
    pub float: f32,
    #[msip(tag = 6)]
    pub double: f64,
    #[msip(tag = 7)]
    pub flag: bool,
    #[msip(tag = 8)]
    pub text: String,
    #[msip(tag = 9)]
    pub bytes: Bytes,
    #[msip(tag = 10, as = "sint32")]
    pub zigzag: i32,
    #[msip(tag = 11, as = "fixed64")]
    pub fixed: u64,
    #[msip(tag = 12)]
    pub maybe: Option<String>,
    #[msip(tag = 13)]
    pub at: Option<SystemTime>,
    #[msip(tag = 14)]
    pub lasts: Option<Duration>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Many {
    #[msip(tag = 1)]
    pub numbers: Vec<i64>,
    #[msip(tag = 2)]
    pub texts: Vec<String>,
    #[msip(tag = 3)]
    pub chunks: Vec<Bytes>,
    #[msip(tag = 4)]
    pub trees: Vec<Tree>,
    #[msip(tag = 5)]
    pub by_text: BTreeMap<String, u32>,
    #[msip(tag = 6)]
    pub by_number: BTreeMap<i32, Tree>,
    #[msip(tag = 7)]
    pub by_flag: BTreeMap<bool, f64>,
}

#[derive(Debug, Clone, Default, PartialEq, Message)]
pub struct Tree {
    #[msip(tag = 1)]
    pub name: String,
    #[msip(tag = 2)]
    pub branches: Vec<Tree>,
}
