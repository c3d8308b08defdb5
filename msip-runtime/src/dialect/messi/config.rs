//! The times of Messi's keepalive, and what else both sides are told.

use std::{ops::RangeInclusive, time::Duration};

use crate::{
    SettingError,
    body::Encoding,
    settings::{Settings, duration},
    transport::TransportOptions,
};

/// How long a server waits for a ping.
const SILENCE: Duration = Duration::from_secs(3);

/// How often a client pings, and how long it waits for the pong.
const INTERVAL: Duration = Duration::from_secs(2);
const PONG_TIMEOUT: Duration = Duration::from_secs(2);

const RANGE: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(3600);

/// What a server is told.
#[derive(Debug, Clone)]
pub(crate) struct ServerConfig {
    /// A client that has not pinged for so long is cut off.
    pub(super) silence: Duration,
    pub(super) encoding: Encoding,
}

/// What a client is told.
#[derive(Debug, Clone)]
pub(crate) struct ClientConfig {
    /// How often it pings.
    pub(super) interval: Duration,
    /// How long it waits for a pong.
    pub(super) pong_timeout: Duration,
    pub(super) encoding: Encoding,
}

impl ServerConfig {
    /// # Errors
    ///
    /// A setting is no time, or out of its range.
    pub(crate) fn of(
        options: &TransportOptions,
        settings: &Settings,
    ) -> Result<Self, SettingError> {
        Ok(Self {
            silence: time(options, "keepalive_timeout", SILENCE)?,
            encoding: encoding(settings),
        })
    }
}

impl ClientConfig {
    /// # Errors
    ///
    /// A setting is no time, or out of its range.
    pub(crate) fn of(
        options: &TransportOptions,
        settings: &Settings,
    ) -> Result<Self, SettingError> {
        Ok(Self {
            interval: time(options, "keepalive_interval", INTERVAL)?,
            pong_timeout: time(options, "keepalive_timeout", PONG_TIMEOUT)?,
            encoding: encoding(settings),
        })
    }
}

fn time(
    options: &TransportOptions,
    name: &'static str,
    default: Duration,
) -> Result<Duration, SettingError> {
    let given = options.get(name);
    given.map_or(Ok(default), |value| duration(name, value, &RANGE))
}

/// How bodies are read, to find out whether they can be.
fn encoding(settings: &Settings) -> Encoding {
    Encoding::plain(settings.max_decoded().try_into().unwrap_or(u64::MAX))
}
