//! Types of which only the compiler knows that no message carries them: one error each.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use msip_runtime::Message;

pub struct Plain;

#[derive(Message)]
pub struct Fields {
    #[msip(tag = 1)]
    pub plain: Plain,
    #[msip(tag = 2)]
    pub set: HashSet<String>,
    #[msip(tag = 3)]
    pub shared: Arc<String>,
    #[msip(tag = 4)]
    pub maybe: Option<Plain>,
    #[msip(tag = 5)]
    pub maybe_list: Option<Vec<String>>,
    #[msip(tag = 6)]
    pub map: HashMap<String, Plain>,
    #[msip(tag = 7, as = "sint32")]
    pub unsigned: u32,
    #[msip(tag = 8)]
    pub keyed: HashMap<Kind, String>,
}

#[derive(Message, PartialEq, Eq, Hash)]
pub enum Kind {
    #[msip(other)]
    Unknown = 0,
}

#[derive(Message)]
pub struct Tags(pub Vec<String>);

#[derive(Message)]
pub enum Shape {
    #[msip(tag = 1)]
    Plain(Plain),
}

fn main() {}
