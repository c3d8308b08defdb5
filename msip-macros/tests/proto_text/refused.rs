//! Types that no schema can have, and that only the running program can see.

use msip_runtime::{ClientToServer, Message, ServerToClient};

mod entry {
    use super::*;

    #[derive(ClientToServer)]
    #[msip(protocol = "entry")]
    pub(crate) enum Up {
        #[msip(tag = 1)]
        BodyInd(Body),
    }

    #[derive(ServerToClient)]
    pub(crate) enum Down {
        #[msip(tag = 1)]
        DoneInd,
    }

    #[derive(Message)]
    pub(crate) struct Body {
        #[msip(tag = 1)]
        pub(crate) foo: std::collections::HashMap<u32, u32>,
        #[msip(tag = 2, name = "FooEntry")]
        pub(crate) entry: u32,
    }
}

#[test]
fn a_field_named_like_an_entry_of_a_map_is_named() {
    let error =
        std::panic::catch_unwind(msip_runtime::proto_text::<entry::Entry>).expect_err("no schema");
    let error = error.downcast_ref::<String>().expect("a text");
    assert_eq!(
        error,
        "`entry` cannot be a protocol: the field `FooEntry` of `entry.Body` is named like the entries of a map beside it: \
         rename one of the two"
    );
}

/// Messages in messages, one more level for each name.
macro_rules! chain {
    ($name:ident) => {
        #[derive(Message)]
        pub(crate) struct $name {
            #[msip(tag = 1)]
            pub(crate) end: u32,
        }
    };
    ($name:ident $next:ident $($rest:ident)*) => {
        #[derive(Message)]
        pub(crate) struct $name {
            #[msip(tag = 1)]
            pub(crate) next: $next,
        }
        chain!($next $($rest)*);
    };
}

mod deep {
    use super::*;

    #[derive(ClientToServer)]
    #[msip(protocol = "deep")]
    pub(crate) enum Up {
        #[msip(tag = 1)]
        BodyInd(A0),
    }

    #[derive(ServerToClient)]
    pub(crate) enum Down {
        #[msip(tag = 1)]
        DoneInd,
    }

    chain!(
        A0 A1 A2 A3 A4 A5 A6 A7 A8 A9 B0 B1 B2 B3 B4 B5 B6 B7 B8 B9 C0 C1 C2 C3 C4 C5 C6 C7 C8 C9 D0 D1 D2 D3 D4 D5 D6
        D7 D8 D9 E0 E1 E2 E3 E4 E5 E6 E7 E8 E9 F0 F1 F2 F3 F4 F5 F6 F7 F8 F9 G0 G1 G2 G3 G4
    );
}

#[test]
fn messages_nested_too_deep_are_named() {
    let error =
        std::panic::catch_unwind(msip_runtime::proto_text::<deep::Deep>).expect_err("no schema");
    let error = error.downcast_ref::<String>().expect("a text");
    assert_eq!(
        error,
        "`deep` cannot be a protocol: `deep.A0` nests messages 65 levels deep; 64 are allowed"
    );
}
