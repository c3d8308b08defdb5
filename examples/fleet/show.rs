//! The whole fleet in one terminal, step by step. Each step waits for the events of the one before.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use msip_runtime::{CallError, Client};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    device::{Device, Doing},
    operator::{self, Order},
    output::say,
    processes::{KeptHub, Process},
    protocol::{Fleet, SendClientToServer as _, WatchReq},
    tokens::token_of,
};

/// How long something may take that must come: long enough for any machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How long an operator waits who is impatient.
pub(crate) const BRIEFLY: Duration = Duration::from_millis(300);

pub(crate) type Failure = Box<dyn Error>;
type Outcome = Result<String, CallError>;

/// Runs the show.
pub(crate) async fn run() -> Result<(), Failure> {
    let mut tasks = JoinSet::new();

    title("A hub, three devices and an operator");
    let hub = KeptHub::start().await?;
    let one = start(&hub.url, "van-1", token_of("van-1"), &mut tasks).await?;
    let two = start(&hub.url, "van-2", token_of("van-2"), &mut tasks).await?;
    let mut three = Process::start(&["device", "--url", &hub.url, "--name", "van-3"])?;
    three.until("is registered").await?;
    let olga = operator::connect(&hub.url, token_of("olga")).await?;
    tasks.spawn(watch(olga.clone()));

    title("Commands: one that is done in time, and one that is not");
    must_work(order(&olga, locate("van-1")).await?)?;
    must_work(order(&olga, drive("van-1", "the station", 10, SOON)).await?)?;
    must_fail(order(&olga, drive("van-2", "the harbour", 10_000, BRIEFLY)).await?)?;
    until(&two, |doing| !doing.is_driving).await?;
    say("van-2", "has stopped: nobody waits for it any more");

    #[cfg(unix)]
    {
        title("A device is stopped, and holds up nobody");
        three.signal("STOP").await?;
        let notice = "snow tonight".to_owned();
        must_work(order(&olga, Order::Notice { text: notice }).await?)?;
        must_work(order(&olga, locate("van-2")).await?)?;
        must_fail(order(&olga, drive("van-3", "the harbour", 1, BRIEFLY)).await?)?;
        three.signal("CONT").await?;
        must_work(order(&olga, locate("van-3")).await?)?;
    }

    title("The hub is killed, with two commands open");
    let driving = give(&olga, drive("van-1", "the airport", 10_000, SOON));
    let locating = give(&olga, locate("van-2"));
    until(&one, |doing| doing.is_driving).await?;
    until(&two, |doing| doing.is_locating).await?;
    hub.kill().await;
    must_fail(soon(driving).await??)?;
    must_work(soon(locating).await??)?;
    must_work(order(&olga, locate("van-1")).await?)?;

    title("The hub is told to end, with streams open");
    tasks.spawn(watch(olga.clone()));
    let driving = give(&olga, drive("van-1", "the airport", 10_000, SOON));
    until(&one, |doing| doing.is_driving).await?;
    let begun = Instant::now();
    soon(hub.end()).await??;
    let took = begun.elapsed().as_millis();
    say(
        "show",
        &format!("the hub has ended, {took} ms after it was told to"),
    );
    must_fail(soon(driving).await??)?;
    olga.close().await;
    Ok(())
}

pub(crate) fn title(text: &str) {
    println!("\n{text}");
}

/// Starts a device in this process, and waits until it is registered.
pub(crate) async fn start(
    url: &str,
    name: &'static str,
    token: &str,
    tasks: &mut JoinSet<()>,
) -> Result<watch::Receiver<Doing>, Failure> {
    let device = Device::connect(url, name, token).await?;
    let doing = device.doing();
    tasks.spawn(async move { device.tell().await });
    until(&doing, |doing| doing.is_online).await?;
    Ok(doing)
}

/// Waits until a device does this.
pub(crate) async fn until(
    doing: &watch::Receiver<Doing>,
    what: impl FnMut(&Doing) -> bool,
) -> Result<(), Failure> {
    soon(doing.clone().wait_for(what)).await??;
    Ok(())
}

pub(crate) fn locate(device: &str) -> Order {
    Order::Locate {
        device: device.to_owned(),
    }
}

pub(crate) fn drive(device: &str, place: &str, steps: u32, timeout: Duration) -> Order {
    Order::Drive {
        device: device.to_owned(),
        place: place.to_owned(),
        steps,
        timeout: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
    }
}

/// Gives an order, whose outcome is awaited later.
pub(crate) fn give(olga: &Client<Fleet>, order: Order) -> JoinHandle<Outcome> {
    let olga = olga.clone();
    tokio::spawn(async move { operator::give(&olga, order).await })
}

/// Gives an order, and waits for its outcome.
pub(crate) async fn order(olga: &Client<Fleet>, order: Order) -> Result<Outcome, Failure> {
    Ok(soon(operator::give(olga, order)).await?)
}

pub(crate) fn must_work(outcome: Outcome) -> Result<(), Failure> {
    say("olga", &outcome?);
    Ok(())
}

pub(crate) fn must_fail(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Ok(done) => Err(format!("it was not to be done: {done}").into()),
        Err(error) => {
            say("olga", &format!("is told: {}", operator::failure(&error)));
            Ok(())
        }
    }
}

/// Prints what happens, but not how each device is from moment to moment, until the hub goes away.
pub(crate) async fn watch(olga: Client<Fleet>) {
    let mut count = 0;
    let ended = async {
        let mut reports = olga.watch_req(WatchReq {}).await?;
        while let Some(report) = reports.next().await.transpose()? {
            count += 1;
            if report.text.starts_with("has uploaded") || report.text.starts_with("is ") {
                say("olga", &format!("reads: {} {}", report.device, report.text));
            }
        }
        Ok::<_, CallError>(())
    };
    let reason = ended
        .await
        .map_or_else(|error| error.to_string(), |()| "it is over".to_owned());
    say("olga", &format!("has read {count} reports: {reason}"));
}

pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let done = timeout(SOON, future).await;
    done.map_err(|_| format!("nothing has come of it within {SOON:?}"))
}
