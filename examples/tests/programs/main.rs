//! Runs the examples as the processes that they are, and reads what they say.

mod chat;
mod program;
mod quickstart;
