//! Limits of what clients may send, and for how long.

use std::time::Duration;

/// Limits of what HTTP clients may send, and for how long (docs/http.md, "Limits").
///
/// ```
/// let limits = msip_gateway::GatewayLimits::default();
/// assert_eq!(limits.max_body, 4 << 20);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GatewayLimits {
    /// The largest body of a request, in bytes, inflated; of a stream of requests, the longest line. Default 4 MiB.
    pub max_body: usize,
    /// The memory that bodies of all requests may have together, in bytes. Beyond it requests are refused with 503. Default
    /// 256 MiB.
    pub max_body_memory: usize,
    /// The largest head of a request, in bytes; larger ones get 431. Default 32 KiB, at least 8 KiB.
    pub max_head: usize,
    /// The most headers of a request. Default 100.
    pub max_headers: usize,
    /// How many connections are served at once; further ones wait to be accepted. Default 4,096.
    pub max_connections: usize,
    /// How many requests are answered at once, without streams; further ones get 503. Default 1,024.
    pub max_requests: usize,
    /// How many streams of answers and events are open at once; further ones get 503. Default 1,024.
    pub max_streams: usize,
    /// How long the head of a request may take, and how long a connection may be idle. Default 10 s.
    pub head_timeout: Duration,
    /// How long the body of a request may take; of a stream of requests, how long nothing may come. Default 30 s.
    pub body_timeout: Duration,
    /// How long a client may take nothing of its answer; then its connection is broken. Default 30 s.
    pub write_timeout: Duration,
    /// How often a stream without events has a comment, by which both ends see that the other is there. Default 15 s.
    pub keepalive: Duration,
    /// How long open requests may take to end when the gateway is told to stop. Default 10 s.
    pub drain_timeout: Duration,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            max_body: 4 << 20,
            max_body_memory: 256 << 20,
            max_head: 32 << 10,
            max_headers: 100,
            max_connections: 4096,
            max_requests: 1024,
            max_streams: 1024,
            head_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            keepalive: Duration::from_secs(15),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
