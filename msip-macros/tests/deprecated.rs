//! `#[deprecated]` on Rust types is `deprecated` in their schema.

#[deny(deprecated)]
mod chat {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, Clone, PartialEq, ClientToServer)]
    #[msip(protocol = "chat")]
    #[expect(
        clippy::enum_variant_names,
        reason = "all that a client says is one-way"
    )]
    pub(crate) enum ClientToServer {
        #[msip(tag = 1)]
        #[deprecated]
        #[expect(deprecated, reason = "it is sent until nobody asks for it")]
        OldInd(Old),
        #[msip(tag = 2)]
        #[deprecated(note = "say nothing")]
        ByeInd,
        #[msip(tag = 3)]
        NewInd(New),
    }

    #[derive(Debug, Clone, PartialEq, ServerToClient)]
    pub(crate) enum ServerToClient {
        #[msip(tag = 1)]
        MoodInd(Moods),
    }

    #[derive(Debug, Clone, PartialEq, Message)]
    #[deprecated]
    pub(crate) struct Old {
        #[msip(tag = 1)]
        pub(crate) text: String,
    }

    #[derive(Debug, Clone, PartialEq, Message)]
    pub(crate) struct New {
        #[msip(tag = 1)]
        pub(crate) text: String,
        #[msip(tag = 2)]
        #[deprecated]
        pub(crate) length: u32,
    }

    #[derive(Debug, Clone, PartialEq, Message)]
    pub(crate) enum Moods {
        #[msip(tag = 1)]
        One(Mood),
        #[msip(tag = 2)]
        #[deprecated]
        Text(String),
        #[msip(other)]
        Unknown,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq, Message)]
    pub(crate) enum Mood {
        Fair = 0,
        #[deprecated]
        Merry = 1,
        #[msip(other)]
        Other = 2,
    }
}

#[test]
fn the_schema_says_what_is_deprecated() {
    let text = msip_runtime::proto_text::<chat::Chat>();
    insta::assert_snapshot!("deprecated.proto", text);
}
