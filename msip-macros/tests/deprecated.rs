//! `#[deprecated]` on Rust types is `deprecated` in their schema.

#[expect(
    deprecated,
    reason = "what the derives write mentions what is deprecated"
)]
mod chat {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(Debug, Clone, PartialEq, ClientToServer)]
    #[msip(protocol = "chat")]
    pub(crate) enum ClientToServer {
        #[msip(tag = 1)]
        #[deprecated]
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
