//! The hub: it knows who is there, passes commands on to devices, and tells operators what happens.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use msip_runtime::{
    AttachError, BindError, DisconnectReason, Peer, Server, Status, Stream, Streaming,
    middleware::Metrics,
};
use tokio::sync::mpsc::{self, error::TrySendError};

use crate::{
    figures::Figures,
    items::Items,
    output::say,
    protocol::{
        Arrival, BroadcastServerToClient as _, Charge, Drive, Fleet, HandleClientToServer, Heard,
        Line, Locate, Piece, Position, RegisterReq, RegisterRsp, Report, SendServerToClient as _,
        Stored, WatchReq,
    },
    tokens::{DEVICE, OPERATOR, Tokens},
};

/// The reports that wait for one operator. One who reads more slowly misses some.
const REPORTS: usize = 256;

/// Listens at `url`, and serves until `stop` is ready and what is open then has ended.
pub(crate) async fn serve(
    url: &str,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), BindError> {
    let figures = Figures::install();
    let server = Server::<Fleet>::builder(url)
        .name("fleet-hub")
        .authenticate(Tokens::known())
        .incoming(Metrics::new())
        // A device that says nothing for two seconds is offline.
        .ping_interval(Duration::from_secs(1))
        // At the end, open calls have this long.
        .drain_timeout(Duration::from_millis(300))
        .bind()
        .await?;
    say("hub", &format!("listens at {}", server.local_url()));
    let report = server.serve_until(Hub::default(), stop).await;
    for line in figures.lines("msip_exchanges_total") {
        say("hub", &line);
    }
    let cut_off = report.cut_off;
    say("hub", &format!("has closed: {cut_off} calls cut off"));
    Ok(())
}

/// Serves as one of the hubs at a broker, until `stop` is ready and what it was given has been done. Who is who says the broker.
pub(crate) async fn attach(
    url: &str,
    name: &str,
    token: &str,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), AttachError> {
    let service = Server::<Fleet>::attach_builder(url)
        .name("fleet-hub")
        .credential(token)
        .ping_interval(Duration::from_secs(1))
        .drain_timeout(Duration::from_secs(5))
        .attach(Hub::named(name))
        .await?;
    say(name, &format!("serves {}", service.topic()));
    service.serve_until(stop).await;
    say(name, "has closed");
    Ok(())
}

/// The hub's handler.
pub(crate) struct Hub {
    /// What people call it.
    name: String,
    /// To each operator who watches, a queue of reports.
    watching: Mutex<Vec<mpsc::Sender<Result<Report, Status>>>>,
}

impl Default for Hub {
    fn default() -> Self {
        Self::named("hub")
    }
}

impl Hub {
    fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            watching: Mutex::default(),
        }
    }

    /// Tells everyone who watches.
    fn report(&self, device: &str, text: impl Into<String>) {
        let (device, text) = (device.to_owned(), text.into());
        let report = Report { device, text };
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        watching.retain(|operator| {
            // It never waits: a handler that did would hold up the messages behind it.
            let sent = operator.try_send(Ok(report.clone()));
            !matches!(sent, Err(TrySendError::Closed(_)))
        });
    }
}

/// The name of a peer, if it has this role.
fn name(peer: &Peer<Fleet>, role: &str) -> Result<String, Status> {
    match peer.identity() {
        Some(identity) if identity.has_role(role) => Ok(identity.user.clone()),
        _ => Err(Status::permission_denied(format!("only for a {role}"))),
    }
}

/// The room of one device.
fn room_of(device: &str) -> String {
    format!("{DEVICE} {device}")
}

/// The device of this name, for an operator.
fn device(operator: &Peer<Fleet>, device: &str) -> Result<Peer<Fleet>, Status> {
    name(operator, OPERATOR)?;
    // A device that was started again may be there twice: of these one is connected.
    let peers = operator.everyone().room(room_of(device)).peers();
    let device = peers.into_iter().next();
    device.ok_or_else(|| Status::unavailable("the device is not connected"))
}

impl HandleClientToServer for Hub {
    /// From now on the device gets commands: it is in a room with all others, and in one of its own.
    async fn on_register_req(
        &self,
        peer: &Peer<Fleet>,
        register: RegisterReq,
    ) -> Result<RegisterRsp, Status> {
        let name = name(peer, DEVICE)?;
        peer.everyone().room(DEVICE).join(peer)?;
        peer.everyone().room(room_of(&name)).join(peer)?;
        self.report(&name, format!("is online, a {}", register.model));
        Ok(RegisterRsp {})
    }

    async fn on_client_disconnected(&self, peer: &Peer<Fleet>, reason: DisconnectReason) {
        if let Ok(name) = name(peer, DEVICE) {
            self.report(&name, format!("is offline: {reason}"));
        }
    }

    async fn on_charge_metric(&self, peer: &Peer<Fleet>, charge: Charge) {
        if let Ok(name) = name(peer, DEVICE) {
            // Behind a broker every hub hears this, and only one of them a registration: so all of them find the device.
            for room in [DEVICE.to_owned(), room_of(&name)] {
                let _ = peer.everyone().room(room).join(peer);
            }
            self.report(&name, format!("has {} % left", charge.percent));
        }
    }

    async fn on_trace_log(&self, peer: &Peer<Fleet>, line: Line) {
        if let Ok(name) = name(peer, DEVICE) {
            self.report(&name, line.text);
        }
    }

    async fn on_upload_req(
        &self,
        peer: &Peer<Fleet>,
        mut pieces: Streaming<Piece>,
    ) -> Result<Stored, Status> {
        let name = name(peer, DEVICE)?;
        let mut len = 0;
        while let Some(piece) = pieces.next().await.transpose()? {
            len += piece.data.len() as u64;
        }
        self.report(&name, format!("has uploaded {len} bytes"));
        Ok(Stored { len })
    }

    /// The device has what is left of the operator's time, where its own limit is not shorter. Where the operator gives up,
    /// this future is dropped, and the device's call is cancelled.
    async fn on_locate_req(
        &self,
        operator: &Peer<Fleet>,
        locate: Locate,
    ) -> Result<Position, Status> {
        let device = device(operator, &locate.device)?;
        Ok(device.with(operator.call()).locate_req(locate).await?)
    }

    async fn on_drive_req(&self, operator: &Peer<Fleet>, drive: Drive) -> Result<Arrival, Status> {
        let device = device(operator, &drive.device)?;
        say(
            &self.name,
            &format!("sends {} to {}", drive.device, drive.place),
        );
        Ok(device.with(operator.call()).drive_req(drive).await?)
    }

    async fn on_notice_req(&self, operator: &Peer<Fleet>, notice: Line) -> Result<Heard, Status> {
        name(operator, OPERATOR)?;
        // A broadcast waits for nobody: a device whose queue is full is left out.
        let devices = operator.everyone().room(DEVICE).notice_ind(notice);
        let devices = u32::try_from(devices).unwrap_or(u32::MAX);
        Ok(Heard { devices })
    }

    async fn on_watch_req(
        &self,
        operator: &Peer<Fleet>,
        _: WatchReq,
    ) -> Result<impl Stream<Item = Result<Report, Status>> + Send + 'static, Status> {
        name(operator, OPERATOR)?;
        let (sender, reports) = mpsc::channel(REPORTS);
        let mut watching = self.watching.lock().unwrap_or_else(PoisonError::into_inner);
        watching.push(sender);
        Ok(Items(reports))
    }
}
