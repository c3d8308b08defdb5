//! A device: it logs in, tells how it is, and does what operators command.

use std::time::Duration;

use msip_runtime::{Client, ConnectError, DisconnectReason, Status, bytes::Bytes};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use crate::{
    items::Items,
    output::say,
    schema::{
        Arrival, Charge, Drive, Fleet, HandleServerToClient, Line, Locate, Piece, Position,
        RegisterReq, SendClientToServer as _,
    },
};

/// How long a step of a drive takes, and how long it takes to find out where one is.
const STEP: Duration = Duration::from_millis(50);
const FIX: Duration = Duration::from_millis(300);

/// How often a device tells how much charge it has.
const TELEMETRY: Duration = Duration::from_millis(500);

/// What a device is doing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doing {
    pub(crate) is_online: bool,
    pub(crate) is_driving: bool,
    pub(crate) is_locating: bool,
    place: String,
    used: u32,
}

/// A device that is connected, or connects again by itself.
pub(crate) struct Device {
    client: Client<Fleet>,
    doing: watch::Sender<Doing>,
}

impl Device {
    /// Connects and logs in.
    pub(crate) async fn connect(url: &str, name: &str, token: &str) -> Result<Self, ConnectError> {
        let doing = watch::Sender::new(Doing {
            place: "depot".to_owned(),
            ..Doing::default()
        });
        let client = Client::<Fleet>::builder(url)
            .handler(Commands {
                name: name.to_owned(),
                doing: doing.clone(),
            })
            .name(name)
            // It is sent with the first frame of each connection.
            .credential(token)
            .ping_interval(Duration::from_secs(1))
            // The hub of a fleet that has just started again is not overrun.
            .reconnect_max(Duration::from_secs(1))
            .connect()
            .await?;
        Ok(Self { client, doing })
    }

    /// What it is doing, now and later.
    pub(crate) fn doing(&self) -> watch::Receiver<Doing> {
        self.doing.subscribe()
    }

    /// Tells how much charge is left, until this future is dropped.
    pub(crate) async fn tell(&self) {
        let mut ticks = interval(TELEMETRY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            ticks.tick().await;
            let percent = 100_u32.saturating_sub(self.doing.borrow().used);
            // Without a connection it is not sent: the next one says more.
            let _ = self.client.charge_metric(Charge { percent }).await;
        }
    }

    pub(crate) async fn close(&self) {
        self.client.close().await;
    }
}

/// The device's handler.
struct Commands {
    name: String,
    doing: watch::Sender<Doing>,
}

impl Commands {
    fn say(&self, what: &str) {
        say(&self.name, what);
    }
}

impl HandleServerToClient for Commands {
    /// Called at each connection: a hub that was started anew knows nobody. An error fails the attempt to connect.
    async fn on_connected(&self, client: &Client<Fleet>) -> Result<(), Status> {
        let model = "cargo bike".to_owned();
        client.register_req(RegisterReq { model }).await?;
        self.say("is registered");
        self.doing.send_modify(|doing| doing.is_online = true);
        Ok(())
    }

    async fn on_disconnected(&self, _: &Client<Fleet>, reason: DisconnectReason) {
        self.doing.send_modify(|doing| doing.is_online = false);
        if !matches!(reason, DisconnectReason::ClosedByUs) {
            self.say(&format!("has lost the hub: {reason}"));
        }
    }

    async fn on_locate_req(&self, _: &Client<Fleet>, _: Locate) -> Result<Position, Status> {
        let _locating = While::begin(&self.doing, |doing, it_is| doing.is_locating = it_is);
        sleep(FIX).await;
        let place = self.doing.borrow().place.clone();
        Ok(Position { place })
    }

    /// Drives step by step, and uploads a recording meanwhile. Where the operator no longer waits, the future is dropped
    /// and the device stops.
    async fn on_drive_req(&self, client: &Client<Fleet>, drive: Drive) -> Result<Arrival, Status> {
        let _driving = While::begin(&self.doing, |doing, it_is| doing.is_driving = it_is);
        let (pieces, recording) = mpsc::channel(4);
        let steps = async {
            // Dropped behind the last step, which ends the stream.
            let pieces = pieces;
            for step in 1..=drive.steps {
                sleep(STEP).await;
                self.doing.send_modify(|doing| {
                    doing.place = format!("step {step} to {}", drive.place);
                    doing.used += 1;
                });
                let text = format!("step {step} of {}", drive.steps);
                // Neither is worth stopping for.
                let _ = client.trace_log(Line { text }).await;
                let data = Bytes::from(vec![0; 1024]);
                let _ = pieces.send(Piece { data }).await;
            }
        };
        let ((), stored) = tokio::join!(steps, client.upload_req(Items(recording)));
        match stored {
            Ok(stored) => self.say(&format!("has uploaded {} bytes", stored.len)),
            Err(error) => self.say(&format!("has lost its recording: {error}")),
        }
        self.doing
            .send_modify(|doing| doing.place.clone_from(&drive.place));
        Ok(Arrival { place: drive.place })
    }

    async fn on_notice_ind(&self, _: &Client<Fleet>, notice: Line) {
        self.say(&format!("hears: {}", notice.text));
    }
}

/// What is true until it is dropped, even half way.
struct While<'a> {
    doing: &'a watch::Sender<Doing>,
    set: fn(&mut Doing, bool),
}

impl<'a> While<'a> {
    fn begin(doing: &'a watch::Sender<Doing>, set: fn(&mut Doing, bool)) -> Self {
        doing.send_modify(|doing| set(doing, true));
        Self { doing, set }
    }
}

impl Drop for While<'_> {
    fn drop(&mut self) {
        self.doing.send_modify(|doing| (self.set)(doing, false));
    }
}
