//! Testing utilities: peers and clients for handlers, senders that record, and a client and server in one test.
//!
//! Needs the feature `testing`, which belongs in `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! msip-runtime = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! | code under test | use |
//! | --- | --- |
//! | code that sends, written against a send trait | a [`Recorder`]: no runtime, no connection |
//! | a server's handler, one method at a time | a [`peer`] |
//! | a client's handler, or code that takes a [`Client`](crate::Client) | a [`client`] |
//! | a method that takes a stream | [`streaming`] |
//! | client and server together, under a paused clock | a [`Pair`] |
//! | what a stream of your own may do to its reader and writer | a [`RoughStream`], or the schemes `rough+tcp` and `rough+mem` |
//!
//! The test provides the answers, and nothing waits: a call without an answer fails at once, with an error that says so.
//!
//! # Examples
//!
//! A test of a server's handler:
//!
//! ```
//! # mod greet {
//! #     use msip_runtime::{ClientToServer, Message, ServerToClient};
//! #     #[derive(ClientToServer)]
//! #     #[msip(protocol = "greet")]
//! #     pub enum ClientToServer {
//! #         #[msip(tag = 1)]
//! #         HelloReq(HelloReq),
//! #     }
//! #     #[derive(ServerToClient)]
//! #     pub enum ServerToClient {
//! #         #[msip(tag = 1)]
//! #         HelloRsp(HelloRsp),
//! #     }
//! #     #[derive(Message)]
//! #     pub struct HelloReq {
//! #         #[msip(tag = 1)]
//! #         pub name: String,
//! #     }
//! #     #[derive(Debug, PartialEq, Message)]
//! #     pub struct HelloRsp {
//! #         #[msip(tag = 1)]
//! #         pub greeting: String,
//! #     }
//! # }
//! use greet::{Greet, HandleClientToServer, HelloReq, HelloRsp};
//! use msip_runtime::{Peer, Status, testing};
//!
//! struct Greeter;
//!
//! impl HandleClientToServer for Greeter {
//!     async fn on_hello_req(&self, _: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
//!         Ok(HelloRsp { greeting: format!("hello {}", request.name) })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Status> {
//! let peer = testing::peer::<Greet>();
//! let answer = Greeter.on_hello_req(&peer, HelloReq { name: "ada".into() }).await?;
//! assert_eq!(answer.greeting, "hello ada");
//! # Ok(())
//! # }
//! ```

mod answer;
mod client;
mod endpoint;
mod pair;
mod peer;
mod recorder;
mod relay;
mod script;
mod script_handler;
mod scripted_connection;
mod shared_task;
mod streams;

#[doc(inline)]
pub use crate::transport::RoughStream;
pub use answer::Answer;
pub use client::{TestClient, client};
pub use pair::{Pair, PairBuilder, PairError};
pub use peer::{TestPeer, peer};
pub use recorder::{ClientRecorder, PeerRecorder, Recorder};
pub use streams::{stream_of, streaming};
