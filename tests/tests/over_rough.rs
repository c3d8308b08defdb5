//! The tests of conversations, of resumption and of hostile peers once more, over streams that hold written bytes back until
//! they are flushed, read and write odd sizes, are not ready every few calls, cannot close one direction alone, and end
//! with an error: `rough+tcp` and `rough+mem` of `msip_runtime::testing`.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

#[path = "hostile/answers.rs"]
mod answers;
#[path = "runtime/conversation.rs"]
mod conversation;
#[path = "hostile/echo.rs"]
mod echo;
#[path = "hostile/floods.rs"]
mod floods;
#[path = "hostile/frames.rs"]
mod frames;
#[path = "hostile/handshake.rs"]
mod handshake;
#[path = "hostile/peers.rs"]
mod peers;
#[path = "runtime/resume.rs"]
mod resume;
