//! Servers that are attached to a broker: the broker finds their clients, and shares them out among all that serve a topic.

mod begin;
mod error;
mod keeper;
mod server;
mod shared;

pub use error::AttachError;
pub use server::{AsService, AttachedServer};
pub use shared::AttachBuilder;
