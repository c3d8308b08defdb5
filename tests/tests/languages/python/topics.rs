//! Clients in Python without a schema, at a broker.

use std::future::pending;

use msip_broker::Broker;

use super::programs::{program, said};

#[tokio::test]
async fn they_publish_subscribe_call_and_serve() {
    let Some(mut command) = program("topics.py") else {
        return;
    };
    let broker = Broker::builder()
        .listen("tcp://127.0.0.1:0")
        .bind()
        .await
        .expect("listens");
    let url = broker.local_urls().next().expect("a URL").to_string();
    let serving = tokio::spawn(broker.serve_until(pending()));
    assert_eq!(said(command.arg(url)).await, "ok\n");
    serving.abort();
}
