//! `proto/kitchen.proto`, in Rust types.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use msip_runtime::bytes::Bytes;
use msip_runtime::{ClientToServer, Message, ServerToClient};

/// What a client may say.
#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "acme.kitchen.v1", reserved(6, 100..=200, "gone"))]
pub enum ClientToServer {
    #[msip(tag = 1)]
    ScalarsInd(Scalars),
    #[msip(tag = 2, reply = ACK, timeout = "250ms", idempotent, code = "many")]
    ManyInd(Many),
    #[msip(tag = 3, response = "found", timeout = "2m")]
    FindReq(Maps),
    #[msip(tag = 4, urgent)]
    PingReq,
    #[msip(tag = 5)]
    #[msip(reply = NONE)]
    GrowReq(Tree),
    #[msip(tag = 300, name = "note", kind = LOG, uncompressed)]
    Remark(Optionals),
    #[msip(tag = 7, reply = STREAM)]
    WatchReq(Times),
    #[msip(tag = 8, request = STREAM)]
    DrawReq(Circle),
    #[msip(tag = 9, request = STREAM, reply = STREAM)]
    TalkReq(VehicleState),
    #[msip(tag = 10)]
    Measured(Optionals),
    #[msip(tag = 11, key = "author")]
    LetterInd(Letter),
    #[msip(tag = 65534)]
    ShapeState(Shape),
}

/// What a server may say.
#[derive(Debug, Clone, PartialEq, ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    Found(Times),
    #[msip(tag = 2)]
    PingRsp,
    #[msip(tag = 3)]
    GrowRsp(Tree),
    #[msip(tag = 4, key = "vehicle_id")]
    VehicleState(VehicleState),
    #[msip(tag = 6)]
    WatchRsp(Tree),
    #[msip(tag = 7)]
    DrawRsp(Times),
    #[msip(tag = 8)]
    TalkRsp(Encodings),
    /// Something to be measured.
    #[msip(tag = 9, request = STREAM, response = "measured")]
    MeasureReq(Circle),
    #[msip(tag = 5, kind = "STATE", key = "small")]
    SpeedMetric(Encodings),
}

/// Every scalar, and the types beside it.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Scalars {
    #[msip(tag = 1)]
    pub a_int32: i32,
    #[msip(tag = 2)]
    pub a_int64: i64,
    #[msip(tag = 3)]
    pub a_uint32: u32,
    #[msip(tag = 4)]
    pub a_uint64: u64,
    #[msip(tag = 5)]
    pub a_float: f32,
    #[msip(tag = 6)]
    pub a_double: f64,
    #[msip(tag = 7)]
    pub a_bool: bool,
    #[msip(tag = 8)]
    pub a_string: String,
    #[msip(tag = 9)]
    pub a_bytes: Bytes,
    #[msip(tag = 10)]
    pub a_vec: Vec<u8>,
    #[msip(tag = 11)]
    pub mood: Mood,
    #[msip(tag = 12)]
    pub tree: Tree,
    #[msip(tag = 13)]
    pub id: Id,
    #[msip(tag = 14)]
    pub r#type: String,
    #[msip(tag = 2000)]
    pub shape: Shape,
}

/// How numbers can stand on the wire.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Encodings {
    #[msip(tag = 1, as = "sint32")]
    pub small: i32,
    #[msip(tag = 2, as = "sint64")]
    pub large: i64,
    #[msip(tag = 3, as = "fixed32")]
    pub fixed: u32,
    #[msip(tag = 4, as = "fixed64")]
    pub long_fixed: u64,
    #[msip(tag = 5, as = "sfixed32")]
    pub signed_fixed: i32,
    #[msip(tag = 6, as = "sfixed64")]
    pub signed_long_fixed: i64,
    #[msip(tag = 7, as = "sint32")]
    pub maybe: Option<i32>,
    #[msip(tag = 8, as = "sint32")]
    pub list: Vec<i32>,
    #[msip(tag = 9, as = "map<sint32, sfixed64>")]
    pub map: HashMap<i32, i64>,
    #[msip(tag = 10, as = "map<string, fixed32>")]
    pub tree_map: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Optionals {
    #[msip(tag = 1)]
    pub number: Option<i32>,
    #[msip(tag = 2)]
    pub text: Option<String>,
    #[msip(tag = 3)]
    pub bytes: Option<Vec<u8>>,
    #[msip(tag = 4)]
    pub flag: Option<bool>,
    #[msip(tag = 5)]
    pub mood: Option<Mood>,
    #[msip(tag = 6)]
    pub tree: Option<Tree>,
    #[msip(tag = 7)]
    pub at: Option<SystemTime>,
    #[msip(tag = 8)]
    pub lasts: Option<Duration>,
    #[msip(tag = 9)]
    pub id: Option<Id>,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[msip(reserved(3, 20..=29, "old"))]
pub struct Many {
    #[msip(tag = 1)]
    pub numbers: Vec<i32>,
    #[msip(tag = 2)]
    pub texts: Vec<String>,
    #[msip(tag = 4)]
    pub blobs: Vec<Bytes>,
    #[msip(tag = 5)]
    pub flags: Vec<bool>,
    #[msip(tag = 6)]
    pub doubles: Vec<f64>,
    #[msip(tag = 7)]
    pub moods: Vec<Mood>,
    #[msip(tag = 8)]
    pub trees: Vec<Tree>,
    #[msip(tag = 9)]
    pub shapes: Vec<Shape>,
    #[msip(tag = 10)]
    pub waits: Vec<Duration>,
    #[msip(tag = 11)]
    pub ids: Vec<Id>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Maps {
    #[msip(tag = 1)]
    pub texts: BTreeMap<String, String>,
    #[msip(tag = 2)]
    pub trees: HashMap<i32, Tree>,
    #[msip(tag = 3)]
    pub moods: BTreeMap<Id, Mood>,
    #[msip(tag = 4)]
    pub blobs: HashMap<bool, Bytes>,
    #[msip(tag = 5)]
    pub doubles: HashMap<String, f64>,
}

/// It contains itself, in three ways.
#[derive(Debug, Clone, PartialEq, Default, Message)]
pub struct Tree {
    #[msip(tag = 1)]
    pub name: String,
    #[msip(tag = 2)]
    pub left: Option<Box<Tree>>,
    #[msip(tag = 3)]
    pub others: Vec<Tree>,
    #[msip(tag = 4)]
    pub named: BTreeMap<String, Tree>,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Times {
    #[msip(tag = 1)]
    pub at: SystemTime,
    #[msip(tag = 2)]
    pub lasts: Duration,
}

/// One of several.
#[derive(Debug, Clone, PartialEq, Message)]
#[msip(reserved(9))]
pub enum Shape {
    #[msip(tag = 1)]
    Circle(Circle),
    #[msip(tag = 2)]
    Text(String),
    #[msip(tag = 3, as = "sint32")]
    Number(i32),
    #[msip(tag = 4)]
    Nothing,
    #[msip(tag = 5)]
    Mood(Mood),
    #[msip(tag = 6)]
    Raw(Vec<u8>),
    #[msip(tag = 7)]
    Tree(Box<Tree>),
    #[msip(other)]
    Unknown,
}

/// Fields, and two of several beside them.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Letter {
    #[msip(tag = 20)]
    pub copies: Vec<String>,
    #[msip(tag = 1)]
    pub author: String,
    /// What it says.
    #[msip(oneof)]
    pub content: Option<Content>,
    #[msip(tag = 3)]
    pub stars: u32,
    /// How it is closed.
    #[msip(oneof, name = "closed")]
    pub closing: Closing,
}

#[derive(Debug, Clone, PartialEq, Message)]
#[msip(reserved(8))]
pub enum Content {
    #[msip(tag = 4)]
    Text(String),
    #[msip(tag = 2)]
    Circle(Circle),
    #[msip(tag = 7)]
    Nothing,
    #[msip(tag = 9, as = "sint32")]
    Count(i32),
    #[msip(tag = 300)]
    Answer(Box<Letter>),
}

#[derive(Debug, Clone, PartialEq, Message)]
pub enum Closing {
    #[msip(tag = 5)]
    Mood(Mood),
    #[msip(tag = 6)]
    Seal(Bytes),
    #[msip(other)]
    Open,
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct Circle {
    #[msip(tag = 1)]
    pub radius: f64,
}

/// How somebody feels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
pub enum Mood {
    #[msip(tag = 0)]
    Unknown,
    #[msip(tag = 1)]
    Merry,
    #[msip(tag = -3)]
    Grumpy,
    #[msip(other)]
    Other(i32),
}

#[derive(Debug, Clone, PartialEq, Message)]
pub struct VehicleState {
    #[msip(tag = 1)]
    pub vehicle_id: String,
    #[msip(tag = 2)]
    pub light: Light,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
#[msip(prefix = "")]
pub enum Light {
    #[msip(other)]
    Red = 0,
    AmberFlashing = 5,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Message)]
pub struct Id(pub u64);
