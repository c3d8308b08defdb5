//! For tests of programs that use MSIP: handlers without a network, senders that record, and both ends in one test.
//!
//! This module is there with the feature `testing`, which belongs into `[dev-dependencies]`:
//!
//! ```toml
//! [dev-dependencies]
//! msip-runtime = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt", "test-util"] }
//! ```
//!
//! | what is tested | what it is given |
//! | --- | --- |
//! | code that sends, written against a send trait | a [`Recorder`]: no runtime, no connection |
//! | a server's handler, one method at a time | a [`peer`] |
//! | a client's handler, or code that takes a [`Client`](crate::Client) | a [`client`] |
//! | a method that takes a stream | [`streaming`] |
//! | client and server together, under a paused clock | a [`Pair`] |
//! | what a stream of your own may do to its reader and writer | a [`RoughStream`], or the schemes `rough+tcp` and `rough+mem` |
//!
//! All of them answer what is asked of them as the test says, and none waits for anything: a call for which a test has
//! no answer fails at once, and says so.

mod answer;
mod client;
mod line;
mod pair;
mod peer;
mod recorder;
mod script;
mod streams;

#[doc(inline)]
pub use crate::transport::RoughStream;
pub use answer::Answer;
pub use client::{TestClient, client};
pub use pair::{Pair, PairError, PairSettings};
pub use peer::{TestPeer, peer};
pub use recorder::{ClientRecorder, PeerRecorder, Recorder};
pub use streams::{stream_of, streaming};
