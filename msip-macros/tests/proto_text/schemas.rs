//! Protocols whose names are hard to write as a `.proto` file.

pub(crate) mod entry {
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

pub(crate) mod word {
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
pub(crate) mod negative {
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

/// Enums whose values have the names of other values, and of types.
pub(crate) mod prefix {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "prefix")]
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
        pub(crate) a: First,
        #[msip(tag = 2)]
        pub(crate) b: Second,
        #[msip(tag = 3)]
        pub(crate) c: Third,
        #[msip(tag = 4)]
        pub(crate) d: Known,
        #[msip(tag = 5)]
        pub(crate) e: Unknown,
    }

    #[derive(Message)]
    #[msip(prefix = "")]
    pub(crate) enum First {
        #[msip(other)]
        Unknown = 0,
        #[msip(name = "Known")]
        Known = 1,
    }

    #[derive(Message)]
    #[msip(prefix = "")]
    pub(crate) enum Second {
        #[msip(other)]
        Unknown = 0,
    }

    /// It has a value of its own name.
    #[derive(Message)]
    #[msip(prefix = "")]
    pub(crate) enum Third {
        #[msip(other, name = "Third")]
        Unknown = 0,
        #[msip(name = "Body")]
        Body = 1,
    }

    #[derive(Message)]
    pub(crate) struct Known {
        #[msip(tag = 1)]
        pub(crate) a: Option<Second>,
    }

    #[derive(Message)]
    #[msip(name = "UNKNOWN")]
    pub(crate) struct Unknown {}
}

/// Types whose names become one in some language.
pub(crate) mod case {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "case")]
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
        pub(crate) a: Color,
        #[msip(tag = 2)]
        pub(crate) b: Loud,
        #[msip(tag = 3)]
        pub(crate) c: other::Color,
        #[msip(tag = 4)]
        pub(crate) d: other::Send,
        #[msip(tag = 5)]
        pub(crate) e: other::Case,
    }

    #[derive(Message)]
    pub(crate) struct Color {
        #[msip(tag = 1)]
        pub(crate) a: u32,
    }

    #[derive(Message)]
    #[msip(name = "COLOR")]
    pub(crate) struct Loud {
        #[msip(tag = 1)]
        pub(crate) b: u32,
    }

    pub(crate) mod other {
        use msip_runtime::Message;

        #[derive(Message)]
        pub(crate) struct Color {
            #[msip(tag = 1)]
            pub(crate) c: u32,
        }

        /// Named like an item of the generated code.
        #[derive(Message)]
        #[msip(name = "SendClientToServer")]
        pub(crate) struct Send {
            #[msip(tag = 1)]
            pub(crate) d: u32,
        }

        /// Named like the protocol.
        #[derive(Message)]
        pub(crate) struct Case {
            #[msip(tag = 1)]
            pub(crate) e: u32,
        }
    }
}

/// What is reserved twice, comments that no file can have, and oneofs named like fields.
pub(crate) mod odd {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "odd")]
    pub(crate) enum Up {
        #[msip(tag = 1)]
        BodyReq(Body),
    }

    #[derive(ServerToClient)]
    pub(crate) enum Down {
        #[msip(tag = 1)]
        BodyRsp(Body),
    }

    /// A comment */ with /* what ends others, a tab \t and a \u{0} of no use.
    #[doc = " NUL: \0, and a bell: \u{7}\r inside."]
    #[derive(Message)]
    #[msip(reserved(9, 3..=5, 4, 100..=, 90..=120, "old", "old", "message"))]
    pub(crate) struct Body {
        #[msip(tag = 1)]
        pub(crate) r#enum: u32,
        #[msip(tag = 2)]
        pub(crate) option: Vec<u32>,
        /// The oneof has the name of a field beside it.
        #[msip(oneof, name = "said")]
        pub(crate) how: Option<How>,
        #[msip(oneof)]
        pub(crate) text: Option<Text>,
    }

    #[derive(Message)]
    #[msip(reserved(9, 10))]
    pub(crate) enum How {
        #[msip(tag = 11)]
        Said(u32),
        #[msip(tag = 12)]
        Said2(String),
    }

    #[derive(Message)]
    pub(crate) enum Text {
        #[msip(tag = 13)]
        Text(String),
        #[msip(tag = 14)]
        Package(u64),
    }
}

/// A package with the name of a keyword, and of a type in it.
pub(crate) mod message {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "message")]
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
        pub(crate) a: Package,
        #[msip(tag = 2)]
        pub(crate) b: Map,
    }

    #[derive(Message)]
    #[msip(name = "message")]
    pub(crate) struct Package {
        #[msip(tag = 1)]
        pub(crate) a: u32,
    }

    #[derive(Message)]
    #[msip(name = "map")]
    pub(crate) struct Map {
        #[msip(tag = 1)]
        pub(crate) a: std::collections::BTreeMap<u32, super::word::Said>,
    }
}
