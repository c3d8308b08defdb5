//! Names of the user's own, and a module in a module, without the prelude and without warnings.

#![no_implicit_prelude]
#![deny(warnings, missing_docs)]
#![allow(dead_code)]

/// Names that the prelude has too.
pub mod names {
    /// Not the standard one.
    pub struct Result;
    /// Not the standard one.
    pub struct Option;
    /// Not the standard one.
    pub trait Send {}
    /// Not the standard one.
    pub struct Vec;
    /// Not the standard one.
    pub struct String;
    /// Not the standard one.
    pub struct Some;
    /// Not the standard one.
    pub struct Ok;
    /// Not the standard one.
    pub trait Future {}
}

/// A protocol.
pub mod outer {
    /// Inside.
    pub mod inner {
        #[allow(unused_imports)]
        use crate::names::*;
        use ::msip_runtime::{ClientToServer, Message, ServerToClient};

        /// What a client may say.
        #[derive(ClientToServer)]
        #[msip(protocol = "outer.inner")]
        pub enum ClientToServer {
            /// A call.
            #[msip(tag = 1)]
            AskReq(super::Text),
            /// A message.
            #[msip(tag = 2)]
            SayInd(Say),
            /// Nothing.
            #[msip(tag = 3, reply = ACK)]
            Leave,
        }

        /// What a server may say.
        #[derive(ServerToClient)]
        pub enum ServerToClient {
            /// An answer.
            #[msip(tag = 1)]
            AskRsp(super::Text),
        }

        /// A message of every form.
        #[derive(Message)]
        pub struct Say {
            /// A text.
            #[msip(tag = 1)]
            pub text: ::std::string::String,
            /// Texts.
            #[msip(tag = 2)]
            pub texts: ::std::vec::Vec<::std::string::String>,
            /// Perhaps a number.
            #[msip(tag = 3)]
            pub number: ::core::option::Option<i32>,
            /// A mood.
            #[msip(tag = 4)]
            pub mood: Mood,
            /// A shape.
            #[msip(tag = 5)]
            pub shape: Shape,
            /// An id.
            #[msip(tag = 6)]
            pub id: Id,
            /// Names of the generated code's own.
            #[msip(tag = 7)]
            pub reader: i32,
            /// The same.
            #[msip(tag = 8)]
            pub key: i32,
            /// The same.
            #[msip(tag = 9)]
            pub buffer: i32,
            /// The same.
            #[msip(tag = 10)]
            pub types: i32,
            /// A keyword.
            #[msip(tag = 11)]
            pub r#type: i32,
        }

        /// A mood.
        #[derive(Message)]
        pub enum Mood {
            /// None.
            #[msip(other)]
            Unknown = 0,
        }

        /// A shape.
        #[derive(Message)]
        pub enum Shape {
            /// Unknown.
            #[msip(other)]
            Unknown,
            /// A text.
            #[msip(tag = 1)]
            Text(::std::string::String),
            /// Nothing.
            #[msip(tag = 2)]
            Nothing,
        }

        /// An id.
        #[derive(Message)]
        pub struct Id(pub u64);
    }

    /// A text.
    #[derive(::msip_runtime::Message)]
    pub struct Text {
        /// The text.
        #[msip(tag = 1)]
        pub text: ::std::string::String,
    }
}

fn main() {
    let _ = <outer::inner::Inner as ::msip_runtime::Protocol>::fingerprint();
}
