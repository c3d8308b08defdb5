//! A client that does no harm, and calls all the time.

use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use msip_runtime::{
    CallOptions, Client, MsgKind, Variant,
    untyped::{
        Event, Inbound, Reply, Service, SubscribeOptions, UntypedClient, UntypedMessage,
        UntypedPeer,
    },
};
use tokio::sync::Notify;

use super::{
    Served,
    samples::{INTERVAL, Samples},
};
use crate::{
    lab::{EchoReq, Lab, SendClientToServer as _},
    sampler::{Sampler, SendClientToServer as _},
};

/// One that calls from a thread of its own until it is dropped.
#[derive(Debug)]
pub(super) struct Bystander {
    samples: Arc<Samples>,
    end: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Bystander {
    /// Connects one.
    pub(super) fn start(url: String, served: Served, credential: Option<String>) -> Self {
        let samples = Arc::<Samples>::default();
        let end = Arc::<Notify>::default();
        let thread = std::thread::spawn({
            let (samples, end) = (Arc::clone(&samples), Arc::clone(&end));
            move || {
                let record = |call| samples.record(call);
                block_on(async {
                    // A call may wait for its deadline, for its server may have ended.
                    tokio::select! {
                        () = end.notified() => {}
                        () = report_latency(&url, served, credential, record) => {}
                    }
                });
            }
        });
        Self {
            samples,
            end,
            thread: Some(thread),
        }
    }

    pub(super) fn samples(&self) -> &Samples {
        &self.samples
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.end.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs a future on a runtime of this thread.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("{error}"),
    }
}

/// Connects a client, calls again and again, and reports how long each call took, until one has failed.
pub async fn report_latency(
    url: &str,
    served: Served,
    credential: Option<String>,
    report: impl FnMut(Result<Duration, String>),
) {
    // The attack may take its time: what is late is measured, and is no failure.
    let patient = if url.contains('?') {
        format!("{url}&ping_interval=1min")
    } else {
        format!("{url}?ping_interval=1min")
    };
    let credential = credential.unwrap_or_default();
    match served {
        Served::Lab | Served::Untyped => {
            let client = Client::<Lab>::builder(patient).credential(credential);
            match client.connect().await {
                Ok(client) => {
                    let call = async || client.echo_req(EchoReq::default()).await.map(drop);
                    call_on(call, report).await;
                }
                Err(error) => failed(&error, report),
            }
        }
        Served::Broker => match at_broker(&patient).await {
            Ok((client, _service)) => {
                let ping = UntypedMessage::new(&PING, &b"ping"[..]).to_topic(BYSTANDERS);
                match ping {
                    Ok(ping) => {
                        let options = CallOptions::new();
                        call_on(
                            async || client.call(&ping, &options).await.map(drop),
                            report,
                        )
                        .await;
                    }
                    Err(error) => failed(&error, report),
                }
            }
            Err(error) => failed(&*error, report),
        },
        Served::Sampler => {
            let client = Client::<Sampler>::builder(patient).credential(credential);
            match client.connect().await {
                Ok(client) => call_on(async || client.nothing_req().await, report).await,
                Err(error) => failed(&error, report),
            }
        }
    }
}

/// The topic at which bystanders of a broker call each other.
const BYSTANDERS: &str = "bystanders";

const PING: Variant = Variant::new(1, "ping", MsgKind::Command).call(1);

/// A client of a broker, and a service that answers it through the broker.
async fn at_broker(
    url: &str,
) -> Result<(UntypedClient, UntypedClient), Box<dyn std::error::Error + Send + Sync>> {
    let service = UntypedClient::builder(url, "raw", 0).service(Answer);
    let service = service.connect().await?;
    let served = format!("{BYSTANDERS}/$in");
    service.subscribe(&served, &SubscribeOptions::new()).await?;
    let client = UntypedClient::builder(url, "raw", 0).connect().await?;
    Ok((client, service))
}

/// Answers each call with what was sent.
struct Answer;

impl Service for Answer {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            if let Event::Exchange(exchange) = event
                && let Reply::Call(responder) = exchange.reply
            {
                responder.answer(&exchange.message);
            }
        }
    }
}

fn failed(error: &dyn std::error::Error, mut report: impl FnMut(Result<Duration, String>)) {
    report(Err(error.to_string()));
}

async fn call_on<E: std::error::Error>(
    call: impl AsyncFn() -> Result<(), E>,
    mut report: impl FnMut(Result<Duration, String>),
) {
    loop {
        let begun = Instant::now();
        let result = call().await;
        let call = match &result {
            Ok(()) => Ok(begun.elapsed()),
            Err(error) => Err(error.to_string()),
        };
        report(call);
        if result.is_err() {
            return;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
