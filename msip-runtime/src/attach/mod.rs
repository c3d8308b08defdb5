//! Servers that are attached to a broker: the broker finds their clients, and shares them out among all that serve a topic.

mod error;
mod server;

pub use error::AttachError;
pub use server::{AsService, AttachedServer};
