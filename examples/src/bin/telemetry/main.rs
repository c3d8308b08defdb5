//! A device behind a slow network that breaks: measurements, a command with a deadline, and alarms that must arrive.
//!
//! ```text
//! cargo run -p msip-examples --bin telemetry
//! ```
//!
//! Device and station are one process, with a proxy of 128 KiB a second between them.
//!
//! 1. The device measures more often than the network can carry. Readings are of the kind METRIC: where they do not fit
//!    the oldest are dropped and counted, and the device never waits for the network.
//! 2. The station calls the device to calibrate its sensor, with a short deadline. The first time that is too short:
//!    the station goes on, and the device's handler is dropped in the middle of it.
//! 3. The device raises alarms while the network breaks again and again. Each is sent for acknowledgment, so that it is
//!    sent again after a reconnect, and handled once.
//! 4. Another device sends its readings beside the slow connection, by datagrams over UDP: they do not wait for it. Some may be lost
//!    on the way.
//!
//! It takes a few seconds, and ends with exit code 0.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it tells people what happens"
)]

#[expect(unreachable_pub, reason = "the schema is written as for a library")]
mod schema;

use std::{error::Error, process::ExitCode, time::Duration};

use msip_examples::{SlowLine, with_causes};
use msip_runtime::{CallOptions, Client, ConnectionState, DisconnectReason, Peer, Server, Status};
use schema::{
    Alarm, Calibrate, Calibrated, HandleClientToServer, HandleServerToClient, Reading,
    SendClientToServer as _, SendServerToClient as _, Telemetry,
};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

/// The rate of the network, in bytes a second.
const RATE: u32 = 128 * 1024;

const READINGS: u64 = 20_000;
const ALARMS: u64 = 60;

/// The numbers of alarms at which the network breaks.
const BREAKS: [u64; 3] = [10, 25, 40];

/// The duration of one round of a calibration.
const ROUND: Duration = Duration::from_millis(20);

/// What the station has received.
#[derive(Debug, Default)]
struct Heard {
    readings: u64,
    newest: u64,
    alarms: Vec<u64>,
}

/// The station's handler.
struct Station {
    heard: watch::Sender<Heard>,
    devices: mpsc::Sender<Peer<Telemetry>>,
}

impl HandleClientToServer for Station {
    async fn on_reading_metric(&self, _: &Peer<Telemetry>, reading: Reading) {
        self.heard.send_modify(|heard| {
            heard.readings += 1;
            heard.newest = heard.newest.max(reading.number);
        });
    }

    async fn on_alarm_event(&self, _: &Peer<Telemetry>, alarm: Alarm) -> Result<(), Status> {
        self.heard
            .send_modify(|heard| heard.alarms.push(alarm.number));
        // The acknowledgment leaves when this returns.
        Ok(())
    }

    async fn on_client_connected(&self, peer: &Peer<Telemetry>) {
        if !peer.resumed() {
            // At the end nothing receives them any more.
            let _ = self.devices.send(peer.clone()).await;
        }
    }
}

/// The device's handler.
struct Sensor(mpsc::Sender<&'static str>);

/// Reports how a calibration ended, even if its handler is dropped.
struct Calibration<'a> {
    told: &'a mpsc::Sender<&'static str>,
    outcome: &'static str,
}

impl Drop for Calibration<'_> {
    fn drop(&mut self) {
        // The channel has capacity for the example's two calibrations.
        let _ = self.told.try_send(self.outcome);
    }
}

impl HandleServerToClient for Sensor {
    async fn on_calibrate_req(
        &self,
        _: &Client<Telemetry>,
        request: Calibrate,
    ) -> Result<Calibrated, Status> {
        let mut calibration = Calibration {
            told: &self.0,
            outcome: "broke the calibration off",
        };
        for _ in 0..request.rounds {
            sleep(ROUND).await;
        }
        calibration.outcome = "calibrated its sensor";
        Ok(Calibrated { offset: -0.25 })
    }

    async fn on_disconnected(&self, _: &Client<Telemetry>, reason: DisconnectReason) {
        if !matches!(reason, DisconnectReason::ClosedByUs) {
            println!("  device   has lost the line");
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let (heard, mut hears) = watch::channel(Heard::default());
    let (devices, mut connected) = mpsc::channel(1);
    let server = Server::<Telemetry>::builder("tcp://127.0.0.1:0")
        .also("udp://127.0.0.1:0")
        .bind()
        .await?;
    let address = server.local_url().address().to_string();
    let udp = server.local_urls().last().map(ToString::to_string);
    let udp = udp.ok_or("the server takes no datagrams")?;
    let station = Station { heard, devices };
    tokio::spawn(server.serve(station));
    let line = SlowLine::lay(address.trim_start_matches("tcp://"), RATE).await?;

    let (told, mut calibrations) = mpsc::channel(2);
    // Messages sent while disconnected are buffered. An eighth of the queue is for readings that wait.
    let settings = "buffer_disconnected=1MiB&outgoing_queue=256KiB";
    let url = format!("{}?{settings}", line.url());
    let device = Client::<Telemetry>::builder(url)
        .handler(Sensor(told))
        .connect()
        .await?;
    let peer = connected.recv().await.ok_or("no device has connected")?;

    println!("The device measures, faster than the line is");
    measure(&device, &mut hears).await?;
    println!("\nThe station has the device calibrate its sensor");
    calibrate(&peer, &mut calibrations).await?;
    println!(
        "\nThe device raises {ALARMS} alarms, and the line breaks {} times",
        BREAKS.len()
    );
    raise_alarms(&device, &line, &hears).await?;
    device.close().await;
    println!("\nAnother device sends its readings beside the line");
    let url = format!("{}?channel=metric:{udp}", line.url());
    let device = Client::<Telemetry>::connect(url).await?;
    measure_beside(&device, &mut hears).await?;
    device.close().await;
    Ok(())
}

async fn measure(
    device: &Client<Telemetry>,
    hears: &mut watch::Receiver<Heard>,
) -> Result<(), Box<dyn Error>> {
    for number in 1..=READINGS {
        let temperature = 20.0 + f64::from(u32::try_from(number % 100)?) / 100.0;
        // It does not wait: where it does not fit, the oldest reading is dropped.
        device
            .reading_metric(Reading {
                number,
                temperature,
            })
            .await?;
        // The device has other things to do, too.
        tokio::task::yield_now().await;
    }
    // The newest is never the one to be dropped, and what was received before it has been handled.
    let newest = hears.wait_for(|heard| heard.newest == READINGS);
    let has = newest.await?.readings;
    let dropped = device.connection().dropped().metrics;
    println!("  device   made {READINGS} readings, {dropped} of which were dropped and counted");
    println!("  station  has {has} of them, the newest included");
    if has + dropped != READINGS {
        return Err("readings are missing that nobody has counted".into());
    }
    Ok(())
}

async fn measure_beside(
    device: &Client<Telemetry>,
    hears: &mut watch::Receiver<Heard>,
) -> Result<(), Box<dyn Error>> {
    let before = hears.borrow().readings;
    let mut made = 0;
    // Any may be lost, the last one too: so it measures until a late one has arrived.
    while hears.borrow().newest < 2 * READINGS {
        made += 1;
        let (number, temperature) = (READINGS + made, 20.0);
        let reading = Reading {
            number,
            temperature,
        };
        device.reading_metric(reading).await?;
        tokio::task::yield_now().await;
    }
    let has = hears.borrow().readings - before;
    println!("  device   made {made} readings, which did not wait for the line");
    println!("  station  has {has} of them so far");
    Ok(())
}

async fn calibrate(
    peer: &Peer<Telemetry>,
    calibrations: &mut mpsc::Receiver<&'static str>,
) -> Result<(), Box<dyn Error>> {
    let impatient = CallOptions::new().timeout(Duration::from_millis(200));
    let request = Calibrate { rounds: 1_000 };
    match peer.with(impatient).calibrate_req(request).await {
        Ok(_) => return Err("a calibration of twenty seconds was done in time".into()),
        Err(error) => println!("  station  gets {}: {error}", error.code()),
    }
    for rounds in [None, Some(2)] {
        if let Some(rounds) = rounds {
            let calibrated = peer.calibrate_req(Calibrate { rounds }).await?;
            println!("  station  gets the offset {}", calibrated.offset);
        }
        let outcome = calibrations.recv().await.ok_or("the device is gone")?;
        println!("  device   {outcome}");
    }
    Ok(())
}

async fn raise_alarms(
    device: &Client<Telemetry>,
    line: &SlowLine,
    hears: &watch::Receiver<Heard>,
) -> Result<(), Box<dyn Error>> {
    let mut state = device.connection().watch();
    for number in 1..=ALARMS {
        if BREAKS.contains(&number) {
            line.cut();
            state
                .wait_for(|state| *state != ConnectionState::Connected)
                .await?;
        }
        // It returns when the station has handled the alarm, however often it had to be sent.
        device.alarm_event(Alarm { number }).await?;
    }
    let heard = hears.borrow();
    let in_order = heard.alarms.iter().copied().eq(1..=ALARMS);
    if !in_order {
        return Err(format!("the station has heard of other alarms: {:?}", heard.alarms).into());
    }
    if device.connection().lost_sessions().borrow().is_some() {
        return Err("the session was lost".into());
    }
    println!("  station  has {ALARMS} alarms, each once and in order");
    Ok(())
}
