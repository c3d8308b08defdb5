//! The tests of conversations, of streams, of resumption and of hostile peers once more, over WebSockets instead of TCP.

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
#[path = "runtime/resume.rs"]
mod resume;
#[path = "runtime/streams.rs"]
mod streams;
