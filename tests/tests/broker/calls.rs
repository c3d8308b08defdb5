//! Calls: to the service with the fewest open ones, with their streams, errors and cancellation.

use msip_runtime::{CallOptions, Code};
use msip_tests::{proxy::Proxy, soon};

use crate::fixture::{ASK, Broker, Client, message};

#[tokio::test]
async fn a_call_goes_to_the_service_with_the_fewest_open_ones() {
    let broker = Broker::start().await;
    let (mut one, mut two) = (broker.client("one").await, broker.client("two").await);
    for service in [&one, &two] {
        service.hear("ask/$in").await;
    }
    let caller = broker.client("caller").await;
    let hanging = {
        let caller = caller.client.clone();
        tokio::spawn(async move {
            let hang = message(&ASK, "ask", "hang");
            caller.call(&hang, &CallOptions::new()).await
        })
    };
    let busy = tokio::select! {
        said = one.next() => { assert_eq!(said, "ask hang"); "one" }
        said = two.next() => { assert_eq!(said, "ask hang"); "two" }
    };
    let idle = if busy == "one" { "two" } else { "one" };
    for _ in 0..4 {
        let ask = message(&ASK, "ask", "?");
        let answer = caller.client.call(&ask, &CallOptions::new()).await;
        assert_eq!(&answer.expect("answered").raw_body()[..], idle.as_bytes());
    }
    hanging.abort();
    let busy = if busy == "one" { &mut one } else { &mut two };
    assert_eq!(soon("the cancellation", busy.next()).await, "cancelled");
}

#[tokio::test]
async fn a_call_that_nobody_serves_is_unavailable() {
    let broker = Broker::start().await;
    let caller = broker.client("caller").await;
    let ask = message(&ASK, "nobody", "?");
    let error = caller
        .client
        .call(&ask, &CallOptions::new())
        .await
        .expect_err("nobody is there");
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    let nowhere = msip_runtime::untyped::UntypedMessage::new(&ASK, b"?".to_vec());
    let error = caller
        .client
        .call(&nowhere, &CallOptions::new())
        .await
        .expect_err("it has no topic");
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
}

#[tokio::test]
async fn a_call_fails_with_the_connection_of_its_service_and_others_are_answered() {
    let broker = Broker::start().await;
    let proxy = Proxy::start(broker.address()).await;
    let mut first = Client::connect(&proxy.url(), "first").await;
    first.hear("ask/$in").await;
    let caller = broker.client("caller").await;
    let calling = {
        let caller = caller.client.clone();
        tokio::spawn(async move {
            let hang = message(&ASK, "ask", "hang");
            caller.call(&hang, &CallOptions::new()).await
        })
    };
    assert_eq!(first.next().await, "ask hang");
    let second = broker.client("second").await;
    second.hear("ask/$in").await;
    proxy.let_in(false);
    proxy.cut();
    let outcome = soon("an outcome", calling).await.expect("it ends");
    outcome.expect_err("its service has gone");
    let ask = message(&ASK, "ask", "?");
    let answer = caller.client.call(&ask, &CallOptions::new()).await;
    assert_eq!(&answer.expect("answered").raw_body()[..], b"second");
}
