//! Clients of MiddleMan over TLS.

use msip_tests::Authority;

use super::{Client, Keys, PUBLIC, TRUSTED, open};
use crate::process::Broker;

#[tokio::test]
async fn clients_over_tls_are_served_whichever_protocol_they_offer() {
    let keys = Keys::new();
    let authority = Authority::new("MiddleMan");
    let issued = authority.issue_local();
    issued.write(keys.0.path(), "server").expect("is written");
    let ca = keys.path("ca.pem");
    std::fs::write(&ca, authority.pem()).expect("is written");
    let (cert, key) = (keys.path("server.pem"), keys.path("server.key"));
    let settings = format!("&cert={}&key={}", cert.display(), key.display());
    let broker = Broker::start(&["--listen", &keys.url_of("mm+tls", &settings)], 1).await;

    // As pages do, they offer an application protocol (ALPN), which the broker does not name.
    let url = format!("{}?ca={}", broker.urls[0], ca.display());
    let mut service = Client::at(&url, TRUSTED).await;
    service.send("ESUB news\n\n.\n").await;
    assert!(service.rest().await.is_empty());
    let mut page = Client::at(&url, PUBLIC).await;
    page.send("SUB news\n\n.\n").await;
    assert!(page.rest().await.is_empty());
    service.send("PUB news\n\nhello\n.\n").await;
    let heard = page.hear().await;
    assert!(heard.starts_with("PUB news\r\n"), "{heard}");

    let plain = broker.urls[0].replace("mm+tls", "mm");
    let refused = open(&plain, "/", None).await;
    refused.expect_err("what is no TLS gets nowhere");
    broker.stop().await;
}
