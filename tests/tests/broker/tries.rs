//! A call that may run more than once: to how many instances it goes, and for how long.

use std::time::Duration;

use futures_util::future::select_all;
use msip_runtime::{CallError, CallOptions, Code, untyped::UntypedMessage};
use msip_tests::soon;
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    fixture::{ASK, Broker, message},
    raw_client::RawClient,
};

/// A broker with so many instances of `ask`, of which one has the call that is under way, and the call.
struct Tried {
    _broker: Broker,
    instances: Vec<RawClient>,
    call: JoinHandle<Result<UntypedMessage, CallError>>,
}

impl Tried {
    async fn begin(url: &str, instances: usize, options: CallOptions) -> Self {
        let broker = Broker::listening(url, msip_broker::router::Limits::default(), |_| {
            msip_broker::access::Rights::all()
        })
        .await;
        let url = broker.url.parse().expect("a URL");
        let mut all = Vec::new();
        for _ in 0..instances {
            let mut instance = RawClient::enter(&url).await;
            instance.subscribe("ask/$in").await;
            all.push(instance);
        }
        let caller = broker.client("caller").await.client;
        let call = tokio::spawn(async move {
            let ask = message(&ASK, "ask", "?");
            caller.call(&ask, &options).await
        });
        Self {
            _broker: broker,
            instances: all,
            call,
        }
    }

    /// The instance that has the call loses its connection.
    async fn lose_one(&mut self) {
        let heard = self.instances.iter_mut().map(|it| Box::pin(it.next_call()));
        let (_, has_it, _) = soon("the call", select_all(heard)).await;
        self.instances.remove(has_it).lose();
    }

    async fn outcome(self) -> Code {
        let outcome = soon("an outcome", self.call).await.expect("no panic");
        outcome.expect_err("nobody answers").code()
    }
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_call_goes_to_three_instances_at_most() {
    let options = CallOptions::new().idempotent();
    let mut tried = Tried::begin("mem://three-tries", 5, options).await;
    for _ in 0..3 {
        tried.lose_one().await;
    }
    let mut others = std::mem::take(&mut tried.instances);
    assert_eq!(tried.outcome().await, Code::Unknown);
    for other in &mut others {
        assert_eq!(other.hear_all().await, Vec::<String>::new(), "a fourth");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_goes_to_no_other() {
    let mut tried = Tried::begin("mem://one-try", 2, CallOptions::new()).await;
    tried.lose_one().await;
    let mut others = std::mem::take(&mut tried.instances);
    assert_eq!(tried.outcome().await, Code::Unknown);
    assert_eq!(others[0].hear_all().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn all_instances_together_have_the_time_of_the_call() {
    let begun = Instant::now();
    let options = CallOptions::new()
        .idempotent()
        .timeout(Duration::from_secs(1));
    let mut tried = Tried::begin("mem://tries-in-time", 3, options).await;
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_millis(400)).await;
        tried.lose_one().await;
    }
    assert_eq!(tried.outcome().await, Code::DeadlineExceeded);
    let taken = begun.elapsed();
    assert!(
        taken >= Duration::from_secs(1) && taken < Duration::from_millis(1100),
        "{taken:?}"
    );
}
