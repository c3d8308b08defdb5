//! The failure of a load.

use std::{error::Error, io};

use thiserror::Error;

/// A load failed. Any lost or wrong message is a failure.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Failure {
    /// An answer is not what was asked for.
    #[error("wrong answer: sent note {sent} with {sent_len} bytes, got {got} with {got_len} bytes")]
    Wrong {
        /// The number sent.
        sent: u64,
        /// The length sent.
        sent_len: usize,
        /// The number that came back.
        got: u64,
        /// The length that came back.
        got_len: usize,
    },
    /// The content of an answer is not what was sent.
    #[error("wrong answer: note {number} came back with other bytes")]
    Garbled {
        /// Its number.
        number: u64,
    },
    /// Not all that was sent was received.
    #[error(
        "lost or repeated: {sent} notes were sent, {came} came; their numbers add up to {came_sum}, not {sent_sum}"
    )]
    Lost {
        /// How many were sent.
        sent: u64,
        /// How many came.
        came: u64,
        /// What the numbers sent add up to.
        sent_sum: u64,
        /// What the numbers that came add up to.
        came_sum: u64,
    },
    /// What the peer said makes no sense.
    #[error("{0}")]
    Protocol(String),
    /// The contender cannot do this.
    #[error("there is no such thing here")]
    NotOffered,
    /// The operating system refused.
    #[error("input or output failed")]
    Io(#[from] io::Error),
    /// The contender's own library refused.
    #[error("the contender's library failed")]
    Library(#[source] Box<dyn Error + Send + Sync>),
    /// A task of the load panicked.
    #[error("a task of the load panicked")]
    Task(#[from] tokio::task::JoinError),
}

impl Failure {
    /// The contender's own library refused.
    pub fn library(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Library(error.into())
    }
}
