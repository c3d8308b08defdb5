//! Clients and servers.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use msip_runtime::{
    AttachedServer, Client, Code, ConnectError, ConnectRequest, ConnectionState, Identity, Server,
    Status,
};
use tokio::sync::{oneshot, watch};

use super::{
    Driver, decode,
    endpoint::{Endpoint, Running, find},
    handlers::Handlers,
    lock, status,
    versions::OtherClient,
};
use crate::protocol::conformance::{
    BroadcastServerToClient as _, Conformance,
    control::{self, Connect, Ping, Serve, Serving, SessionLost, Version, report::Report as Event},
};

pub(super) async fn connect(driver: &Arc<Driver>, told: Connect) -> Result<(), Status> {
    let number = told.endpoint;
    let client = match told.version() {
        Version::Own => Endpoint::Client(own_client(driver, told).await?),
        Version::Renamed => {
            let client = OtherClient::renamed(driver, &told).await;
            Endpoint::OtherClient(client.map_err(|error| why(&error))?)
        }
        Version::Changed => {
            let client = OtherClient::changed(driver, &told).await;
            Endpoint::OtherClient(client.map_err(|error| why(&error))?)
        }
    };
    driver.endpoints().insert(number, client);
    Ok(())
}

async fn own_client(driver: &Arc<Driver>, told: Connect) -> Result<Client<Conformance>, Status> {
    let handlers = Handlers::new(driver, told.endpoint, told.held);
    let mut builder = Client::<Conformance>::builder(&told.url)
        .handler(handlers)
        .name("rust");
    if !told.credential.is_empty() {
        builder = builder.credential(told.credential);
    }
    let client = builder.connect().await.map_err(|error| why(&error))?;
    watch_client(driver, told.endpoint, &client);
    Ok(client)
}

/// Reports the loss of sessions, and that the client is closed.
fn watch_client(driver: &Arc<Driver>, endpoint: u64, client: &Client<Conformance>) {
    let mut lost = client.connection().lost_sessions();
    let mut states = client.connection().watch();
    let owner = Arc::clone(driver);
    driver.spawn(async move {
        loop {
            tokio::select! {
                changed = lost.changed() => match changed {
                    Ok(()) => owner.report(Event::SessionLost(SessionLost { endpoint })),
                    Err(_) => return,
                },
                closed = states.wait_for(|state| *state == ConnectionState::Closed) => {
                    drop(closed);
                    return;
                }
            }
        }
    });
}

/// What a user of the client is told.
fn why(error: &ConnectError) -> Status {
    match error {
        ConnectError::Refused { status, .. } | ConnectError::TopicRefused { status, .. } => {
            status.clone()
        }
        ConnectError::NoAddress { failures } => failures.first().map_or_else(unknown, why),
        ConnectError::TimedOut { .. } | ConnectError::Transport { .. } => {
            Status::new(Code::Unavailable, error.to_string())
        }
        _ => Status::new(Code::FailedPrecondition, error.to_string()),
    }
}

fn unknown() -> Status {
    Status::new(Code::Unknown, "")
}

pub(super) async fn serve(driver: &Arc<Driver>, told: Serve) -> Result<Serving, Status> {
    let handlers = Handlers::new(driver, told.endpoint, told.held);
    let refused = |error: &dyn std::fmt::Display| Status::failed_precondition(error.to_string());
    let (stop, stopped) = oneshot::channel();
    let (ending, ended) = watch::channel(false);
    let stopped = async {
        // A stop that is dropped is one too.
        let _ = stopped.await;
    };
    let (broadcast, url) = if told.attach {
        let attached = Server::<Conformance>::attach_builder(&told.url).name("rust");
        let attached: AttachedServer<_> = attached
            .attach(handlers)
            .await
            .map_err(|error| refused(&error))?;
        let broadcast = attached.broadcast();
        driver.spawn(async move {
            attached.serve_until(stopped).await;
            let _ = ending.send(true);
        });
        (broadcast, told.url)
    } else {
        let mut builder = Server::<Conformance>::builder(&told.url).name("rust");
        if !told.accounts.is_empty() {
            let accounts = told.accounts;
            builder =
                builder.authenticate(move |client: ConnectRequest| who(accounts.clone(), client));
        }
        let server = builder.bind().await.map_err(|error| refused(&error))?;
        let (broadcast, url) = (server.broadcast(), server.local_url().to_string());
        driver.spawn(async move {
            server.serve_until(handlers, stopped).await;
            let _ = ending.send(true);
        });
        (Some(broadcast), url)
    };
    let running = Running {
        broadcast,
        stop: Mutex::new(Some(stop)),
        ended,
    };
    let endpoint = Endpoint::Server(Arc::new(running));
    driver.endpoints().insert(told.endpoint, endpoint);
    Ok(Serving { url })
}

/// Who a client is.
async fn who(accounts: Vec<control::Account>, client: ConnectRequest) -> Result<Identity, Status> {
    let mut accounts = accounts.into_iter();
    let known = accounts.find(|known| known.credential.as_bytes() == client.credential());
    let known = known.ok_or_else(|| Status::unauthenticated("unknown credential"))?;
    Ok(Identity::new("conformance")
        .with_user(known.user)
        .with_roles(known.roles))
}

/// Closes gracefully, and forgets.
pub(super) async fn close(driver: &Driver, endpoint: u64) {
    let endpoint = driver.endpoints().remove(&endpoint);
    match endpoint {
        Some(Endpoint::Client(client)) => client.close().await,
        Some(Endpoint::OtherClient(client)) => client.close().await,
        Some(Endpoint::Server(server)) => {
            drop(lock(&server.stop).take());
            // A server that was dropped has ended too.
            let _ = server.ended.clone().wait_for(|ended| *ended).await;
        }
        Some(Endpoint::Peer(_)) | None => {}
    }
}

pub(super) fn disconnect(
    driver: &Driver,
    endpoint: u64,
    why: Option<control::Status>,
) -> Result<(), Status> {
    match find(driver, endpoint)? {
        Endpoint::Peer(peer) => {
            peer.disconnect(status(why));
            Ok(())
        }
        _ => Err(Status::invalid_argument("it is no peer")),
    }
}

pub(super) async fn ping(driver: &Driver, told: &Ping) -> Result<(), Status> {
    let len = usize::try_from(told.len).unwrap_or(0);
    let timeout = Duration::from_secs(10);
    match find(driver, told.endpoint)? {
        Endpoint::Client(client) => client.ping(len, timeout).await?,
        Endpoint::Peer(peer) => peer.ping(len, timeout).await?,
        Endpoint::OtherClient(_) | Endpoint::Server(_) => {
            return Err(Status::invalid_argument("it has no pings"));
        }
    };
    Ok(())
}

pub(super) fn broadcast(driver: &Driver, told: &control::Broadcast) -> Result<u32, Status> {
    let Endpoint::Server(server) = find(driver, told.endpoint)? else {
        return Err(Status::invalid_argument("it is no server"));
    };
    let all = server.broadcast.as_ref();
    let all = all.ok_or_else(|| Status::invalid_argument("its topic is a filter"))?;
    let all = match told.clears {
        true => &all.clone().clearing(),
        false => all,
    };
    let count = match &*told.member {
        "note_ind" => all.note_ind(decode(&told.message)?),
        "place_state" => all.place_state(decode(&told.message)?),
        "trace_log" => all.trace_log(decode(&told.message)?),
        "alarm_ind" => all.alarm_ind(decode(&told.message)?),
        other => return Err(Status::unimplemented(other)),
    };
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
