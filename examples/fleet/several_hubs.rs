//! The fleet behind a broker: hubs share the work, and come and go without a device noticing.

use tokio::task::JoinSet;

use crate::{
    broker::FleetBroker,
    operator,
    output::say,
    processes::Process,
    show::{
        BRIEFLY, Failure, SOON, drive, give, locate, must_fail, must_work, order, soon, start,
        title, until, watch,
    },
};

/// Runs the show.
pub(crate) async fn run() -> Result<(), Failure> {
    let mut tasks = JoinSet::new();

    title("A broker, two hubs, three devices and an operator");
    let broker = FleetBroker::start().await?;
    say("broker", &format!("listens for {}", broker.url));
    let mut first = hub(&broker, "hub-1").await?;
    let mut second = hub(&broker, "hub-2").await?;
    let url = &broker.url;
    let one = start(url, "van-1", broker.key_of("van-1"), &mut tasks).await?;
    let two = start(url, "van-2", broker.key_of("van-2"), &mut tasks).await?;
    let token = broker.key_of("van-3");
    let mut three = Process::start(&["device", "--url", url, "--name", "van-3", "--token", token])?;
    three.until("is registered").await?;
    let olga = operator::connect(url, broker.key_of("olga")).await?;
    tasks.spawn(watch(olga.clone()));

    title("Commands: those for one device come to one hub");
    for van in ["van-1", "van-2", "van-3"] {
        must_work(order(&olga, locate(van)).await?)?;
    }
    must_work(order(&olga, drive("van-1", "the station", 10, SOON)).await?)?;
    must_fail(order(&olga, drive("van-2", "the harbour", 10_000, BRIEFLY)).await?)?;
    until(&two, |doing| !doing.is_driving).await?;
    say("van-2", "has stopped: nobody waits for it any more");

    title("A hub is killed, with two commands open");
    let driving = give(&olga, drive("van-1", "the airport", 10_000, SOON));
    let is_first = soon(async {
        let what = "sends van-1 to the airport";
        tokio::select! {
            sent = first.until(what) => sent.map(|_| true),
            sent = second.until(what) => sent.map(|_| false),
        }
    });
    let (mut killed, mut left) = match is_first.await?? {
        true => (first, second),
        false => (second, first),
    };
    let locating = give(&olga, locate("van-1"));
    until(&one, |doing| doing.is_driving && doing.is_locating).await?;
    killed.kill()?;
    soon(killed.ended()).await??;
    // It may have run, and only its caller can know whether that matters. What may be repeated is, at the hub that is left.
    must_fail(soon(driving).await??)?;
    must_work(soon(locating).await??)?;
    until(&one, |doing| !doing.is_driving).await?;
    must_work(order(&olga, drive("van-1", "the depot", 2, SOON)).await?)?;

    title("Another hub comes, and the one that is left is told to end, with a command open");
    let mut third = hub(&broker, "hub-3").await?;
    let driving = give(&olga, drive("van-2", "the harbour", 10, SOON));
    until(&two, |doing| doing.is_driving).await?;
    left.tell_to_end().await?;
    must_work(soon(driving).await??)?;
    soon(left.ended()).await??;
    for van in ["van-1", "van-2", "van-3"] {
        must_work(order(&olga, locate(van)).await?)?;
    }
    olga.close().await;
    third.tell_to_end().await?;
    soon(third.ended()).await??;
    // The devices go before their broker does.
    tasks.shutdown().await;
    for device in [&one, &two] {
        // An error says that it has gone, with all that was its own.
        let _ = soon(device.clone().wait_for(|doing| !doing.is_online)).await?;
    }
    drop(broker);
    Ok(())
}

/// Starts a hub, and waits until it serves.
async fn hub(broker: &FleetBroker, name: &str) -> Result<Process, Failure> {
    let (url, token) = (&broker.url, broker.key_of("hub"));
    let args = ["hub", "--broker", url, "--name", name, "--token", token];
    let mut hub = Process::start(&args)?;
    hub.until("serves").await?;
    Ok(hub)
}
