//! The text of a derived protocol is read with the same fingerprint, whatever its types are called.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

mod entry {
    use std::collections::HashMap;

    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "entry")]
    pub(crate) enum Up {
        #[msip(tag = 1)]
        BodyReq(Body),
    }

    #[derive(ServerToClient)]
    pub(crate) enum Down {
        #[msip(tag = 1)]
        BodyRsp(Body),
    }

    #[derive(Message)]
    pub(crate) struct Body {
        #[msip(tag = 1)]
        pub(crate) foo: HashMap<u32, u32>,
        #[msip(tag = 2)]
        pub(crate) bar: Vec<FooEntry>,
    }

    /// Named like the entry of the map `foo`.
    #[derive(Message)]
    pub(crate) struct FooEntry {
        #[msip(tag = 1)]
        pub(crate) a: u32,
    }
}

mod word {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "word")]
    pub(crate) enum Up {
        #[msip(tag = 1)]
        BodyReq(Body),
    }

    #[derive(ServerToClient)]
    pub(crate) enum Down {
        #[msip(tag = 1)]
        BodyRsp(Body),
    }

    #[derive(Message)]
    pub(crate) struct Body {
        #[msip(tag = 1)]
        pub(crate) a: Said,
        #[msip(tag = 2)]
        pub(crate) b: Vec<Kept>,
    }

    #[derive(Message)]
    #[msip(name = "message")]
    pub(crate) struct Said {
        #[msip(tag = 1)]
        pub(crate) a: u32,
    }

    #[derive(Message)]
    #[msip(name = "reserved")]
    pub(crate) struct Kept {
        #[msip(tag = 1)]
        pub(crate) a: u32,
    }
}

/// Numbers that an enum has no more may be negative.
mod negative {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "negative")]
    pub(crate) enum Up {
        #[msip(tag = 1)]
        BodyReq(Body),
    }

    #[derive(ServerToClient)]
    pub(crate) enum Down {
        #[msip(tag = 1)]
        BodyRsp(Body),
    }

    #[derive(Message)]
    #[msip(reserved(7..=))]
    pub(crate) struct Body {
        #[msip(tag = 1)]
        pub(crate) mood: Mood,
    }

    #[derive(Message)]
    #[msip(reserved(-3..=-2, -9, 5..=))]
    pub(crate) enum Mood {
        #[msip(other)]
        Fair = 0,
        Foul = -1,
    }
}

#[test]
fn it_is_read_with_the_same_fingerprint() {
    fn check<P: msip_runtime::describe::DescribeProtocol + msip_runtime::Protocol>() {
        let text = msip_runtime::proto_text::<P>();
        assert_eq!(support::fingerprint_of(&text), P::fingerprint(), "{text}");
    }
    check::<entry::Entry>();
    check::<word::Word>();
    check::<negative::Negative>();
    let text = msip_runtime::proto_text::<entry::Entry>();
    assert!(text.contains("repeated .entry.FooEntry bar"), "{text}");
}
