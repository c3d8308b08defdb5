//! MSIP peers of a broker: what is published, subscribed to, asked and served by topic.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

mod attached;
mod by_peer;
mod calls;
mod cancels;
mod ended_sessions;
mod fixture;
mod identities;
mod keys;
mod order;
mod publications;
mod raw_client;
mod relayed_calls;
mod same_moment;
mod schemas;
mod sessions;
mod shared_connection;
mod shared_services;
mod silent;
mod thousand;
mod tries;
mod typed;
