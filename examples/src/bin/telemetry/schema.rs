//! The schema of the telemetry example: the messages between a device and its station.

use msip_runtime::{ClientToServer, Message, ServerToClient};

/// What a device may say.
#[derive(Debug, Clone, PartialEq, ClientToServer)]
#[msip(protocol = "telemetry")]
pub enum ClientToServer {
    /// A measurement. Some may be missing: there is always a newer one.
    #[msip(tag = 1)]
    ReadingMetric(Reading),
    /// Something that the station must hear of.
    #[msip(tag = 2, reply = ACK)]
    AlarmEvent(Alarm),
    /// What came of a calibration.
    #[msip(tag = 3)]
    CalibrateRsp(Calibrated),
}

/// What the station may say.
#[derive(Debug, Clone, PartialEq, ServerToClient)]
pub enum ServerToClient {
    /// Has the device calibrate its sensor, for as long as the station waits.
    #[msip(tag = 1, timeout = "2s")]
    CalibrateReq(Calibrate),
}

/// A measurement.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Reading {
    /// Counts the readings.
    #[msip(tag = 1)]
    pub number: u64,
    /// In degrees.
    #[msip(tag = 2)]
    pub temperature: f64,
}

/// Something that must not be lost.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Alarm {
    /// Counts the alarms.
    #[msip(tag = 1)]
    pub number: u64,
}

/// How to calibrate.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Calibrate {
    /// How many rounds, each of which takes its time.
    #[msip(tag = 1)]
    pub rounds: u32,
}

/// The sensor's new zero.
#[derive(Debug, Clone, PartialEq, Message)]
pub struct Calibrated {
    /// In degrees.
    #[msip(tag = 1)]
    pub offset: f64,
}
