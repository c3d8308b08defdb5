//! Which messages have a text with a NUL.

#![expect(unreachable_pub, reason = "the derives generate public items")]

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{
    ClientToServer, Envelope as _, Message, ServerToClient,
    dialect::{DialectProtocol, Texts},
};

#[derive(Debug, ClientToServer)]
#[msip(protocol = "nested")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    ScalarsInd(Scalars),
    #[msip(tag = 2)]
    ManyInd(Many),
    #[msip(tag = 4)]
    TickInd,
    #[msip(tag = 5)]
    TreeReq(Tree),
}

#[derive(Debug, ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    TreeRsp(Tree),
}

#[derive(Debug, Default, Message)]
pub struct Scalars {
    #[msip(tag = 9)]
    pub bytes: Bytes,
    #[msip(tag = 11, as = "fixed64")]
    pub fixed: u64,
    #[msip(tag = 12)]
    pub maybe: Option<String>,
}

#[derive(Debug, Message)]
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

#[derive(Debug, Clone, Default, Message)]
pub struct Tree {
    #[msip(tag = 1)]
    pub name: String,
    #[msip(tag = 2)]
    pub branches: Vec<Tree>,
}

#[test]
fn a_nul_is_found_in_texts_and_nowhere_else() {
    let texts = Texts::of_client(&DialectProtocol::of::<Nested>()).unwrap();
    let many = || Many {
        numbers: vec![0, 256],
        texts: vec!["one".into()],
        chunks: vec![Bytes::from_static(b"\0")],
        trees: vec![Tree::default()],
        by_text: [("key".to_owned(), 0)].into(),
        by_number: [(0, Tree::default())].into(),
        by_flag: [(false, 1.0)].into(),
    };
    let text = || "with\0in it".to_owned();
    let tree = Tree {
        name: text(),
        ..Tree::default()
    };
    let rows = [
        (ClientToServer::TickInd, false),
        (ClientToServer::ManyInd(many()), false),
        (
            ClientToServer::ScalarsInd(Scalars {
                bytes: Bytes::from_static(b"\0\0"),
                fixed: 1,
                ..Scalars::default()
            }),
            false,
        ),
        (
            ClientToServer::ScalarsInd(Scalars {
                maybe: Some(text()),
                ..Scalars::default()
            }),
            true,
        ),
        (
            ClientToServer::ManyInd(Many {
                texts: vec![String::new(), text()],
                ..many()
            }),
            true,
        ),
        (
            ClientToServer::ManyInd(Many {
                by_text: [(text(), 1)].into(),
                ..many()
            }),
            true,
        ),
        (
            ClientToServer::ManyInd(Many {
                by_number: [(1, tree.clone())].into(),
                ..many()
            }),
            true,
        ),
        (
            ClientToServer::TreeReq(Tree {
                branches: vec![Tree::default(), tree],
                ..Tree::default()
            }),
            true,
        ),
    ];
    for (message, expected) in rows {
        let mut body = Vec::new();
        message.encode(&mut body);
        assert_eq!(texts.have_nul(&body), expected, "{message:?}");
    }
}
