//! Configuring, checking, reloading and stopping a broker.

use std::{error::Error, fs, time::Duration};

use msip_runtime::{
    CallOptions, MsgKind, Variant,
    untyped::{
        Event, Inbound, Service, SubscribeOptions, UntypedClient, UntypedMessage, UntypedPeer,
    },
};
use tokio::sync::mpsc;

use super::{Broker, BrokerError};
use crate::config::Config;

fn with_causes(error: &dyn Error) -> String {
    let cause = error.source().map(with_causes);
    cause.map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

#[tokio::test]
async fn it_listens_at_every_url_and_says_where() {
    let broker = Broker::builder()
        .listen("tcp://127.0.0.1:0")
        .listen("mem://two-urls")
        .listen("tcp://127.0.0.1:0?insecure=true")
        .bind()
        .await
        .unwrap();
    let urls: Vec<_> = broker.local_urls().map(ToString::to_string).collect();
    assert_eq!(urls[1], "mem://two-urls");
    for url in [&urls[0], &urls[2]] {
        let port = url.rsplit(':').next().unwrap();
        assert_ne!(port, "0", "{url}");
    }
    assert!(broker.admin_address().is_none());
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let taken = Broker::builder()
        .listen("tcp://127.0.0.1:0")
        .bind()
        .await
        .unwrap();
    let url = taken.local_urls().next().unwrap().to_string();
    let error = Broker::builder().listen(&url).bind().await.unwrap_err();
    assert!(matches!(error, BrokerError::Bind(_)), "{error}");
    let text = with_causes(&error);
    assert!(
        text.starts_with(&format!("cannot listen at {url}: ")),
        "{text}"
    );

    let admin = url.trim_start_matches("tcp://").parse().unwrap();
    let error = Broker::builder()
        .listen("mem://no-admin")
        .admin(admin)
        .bind()
        .await
        .unwrap_err();
    assert!(
        with_causes(&error).starts_with(&format!("cannot listen at http://{admin}: ")),
        "{error}"
    );

    for (config, expected) in [
        (
            "[keys]\nfile = '/nowhere/keys'",
            "cannot use the file of keys: the file of API keys \"/nowhere/keys\" cannot be read: ",
        ),
        (
            "[[listener]]\nurl = 'tls://127.0.0.1:0?cert=/nowhere/a.pem&key=/nowhere/a.key'",
            "setting `cert`",
        ),
        (
            "[[listener]]\nurl = 'tcp://127.0.0.1:0?ping_intervall=1s'",
            "listener tcp://127.0.0.1:0?ping_intervall=1s: unknown setting `ping_intervall`",
        ),
        (
            "[[listener]]\nurl = 'tcp://0.0.0.0:0'",
            "listener tcp://0.0.0.0:0: others could read what is sent",
        ),
    ] {
        let config = Config::from_toml(config).unwrap();
        let checked = Broker::check(&config).await.unwrap_err();
        let bound = Broker::builder().config(config).bind().await.unwrap_err();
        for text in [with_causes(&checked), with_causes(&bound)] {
            assert!(text.contains(expected), "{text}");
        }
    }
    Broker::check(&Config::default()).await.unwrap();
}

#[tokio::test]
async fn a_reload_takes_what_it_can_and_says_what_it_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::write(&keys, "").unwrap();
    let file = |rest: &str| {
        let text = format!(
            "[[listener]]\nurl = 'mem://reload'\n[keys]\nfile = {:?}\n{rest}",
            keys.display().to_string()
        );
        Config::from_toml(&text).unwrap()
    };
    let config = file("");
    let broker = Broker::builder()
        .config(config.clone())
        .bind()
        .await
        .unwrap();
    let reloader = broker.reloader();
    assert_eq!(reloader.reload(&config), Vec::<String>::new());
    assert_eq!(
        reloader.reload(&file("[roles.a]\npublish = ['a']")),
        Vec::<String>::new()
    );

    fs::write(&keys, "not a key").unwrap();
    let mut other = file("");
    other.max_body = 2048;
    other.session_expiry = Duration::from_secs(1);
    let told = reloader.reload(&other);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("the keys stay what they are: "),
        "{told:?}"
    );
    assert_eq!(told[1], "needs a restart: max_body, session_expiry");
}

/// Tells what it hears, and of each connection that is lost.
struct Tell(mpsc::Sender<String>);

impl Service for Tell {
    async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
        while let Some(event) = inbound.next().await {
            let said: Vec<String> = match event {
                Event::Messages(messages) => messages
                    .iter()
                    .map(|message| String::from_utf8_lossy(message.body()).into_owned())
                    .collect(),
                Event::Disconnected(reason) => vec![format!("lost: {reason}")],
                _ => Vec::new(),
            };
            for said in said {
                let _ = self.0.send(said).await;
            }
        }
    }
}

/// As after a machine was suspended: all timers are due at once.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_ends_nothing() {
    const NOTE: Variant = Variant::new(1, "note", MsgKind::Event);
    let url = "mem://clock-jump";
    let broker = Broker::builder().listen(url).bind().await.unwrap();
    let serving = tokio::spawn(broker.serve_until(std::future::pending()));
    let (tell, mut heard) = mpsc::channel(16);
    let subscriber = UntypedClient::builder(url, "raw", 0).service(Tell(tell.clone()));
    let subscriber = subscriber.connect().await.unwrap();
    let subscribed = subscriber.subscribe("news", &SubscribeOptions::new()).await;
    subscribed.unwrap();
    let publisher = UntypedClient::builder(url, "raw", 0).service(Tell(tell));
    let publisher = publisher.connect().await.unwrap();
    for body in ["before", "after an hour", "after a day"] {
        let note = UntypedMessage::new(&NOTE, body).to_topic("news").unwrap();
        publisher.send(&note, &CallOptions::new()).await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), body);
        let jump = match body {
            "before" => 3600,
            _ => 24 * 3600,
        };
        tokio::time::advance(Duration::from_secs(jump)).await;
    }
    serving.abort();
}
