//! Runs the examples as the processes that they are, and reads what they say.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot go on says so by its panic"
)]

mod auth;
mod broker;
mod chat;
mod chat_python;
mod chat_tls;
mod chat_web;
mod fleet;
mod flyrpc_calc;
mod http_gateway;
mod inspect_json;
mod jesus_rest;
mod messi_chat;
mod middleman_echo;
mod mock;
mod own_transport;
mod program;
mod quickstart;
mod relay;
mod telemetry;
mod typescript;
mod untyped_echo;
mod upload;
