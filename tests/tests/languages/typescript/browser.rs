//! A client in a page of Chromium talks with servers in Rust.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use msip_tests::{SeenByServer, advance, connected, next, programs, proxy::Proxy, start};

use super::{
    generated::generate_lab,
    node::Node,
    tools::{ROOT, Tools, tools},
};

/// What a test of a page needs: the tools, the browser, and the bundle of the page.
struct Page {
    tools: &'static Tools,
    browser: &'static str,
    bundle: PathBuf,
}

impl Page {
    /// `None` where there is no browser, which has been said then. Each test has a folder of its own.
    fn new(name: &str) -> Option<Self> {
        let tools = tools()?;
        let browser = programs::first_of(&programs::CHROMIUM, "it shows the page")?;
        let folder = tools.project(name);
        generate_lab(&folder.join("generated"));
        let source = folder.join("browser-page.ts");
        let programs = Path::new(ROOT).join("tests/tests/languages/typescript/programs");
        fs::copy(programs.join("browser-page.ts"), &source).expect("copied");
        tools
            .bundle(&folder.join("out"), "browser", "plain", "page", &[source])
            .unwrap_or_else(|why| panic!("{why}"));
        Some(Self {
            tools,
            browser,
            bundle: folder.join("out/browser-page.js"),
        })
    }

    /// Begins a part of browser.mjs.
    fn start(&self, url: &str, part: &str) -> Node {
        let script = Path::new(ROOT).join("tests/tests/languages/typescript/programs/browser.mjs");
        let bundle = self.bundle.to_str().expect("text");
        Node::start(self.tools, &script, &[self.browser, bundle, url, part])
    }
}

/// The origin of a page that has none.
const URL: &str = "ws://127.0.0.1:0/lab?origin=null";

#[tokio::test]
async fn everything_is_said_from_a_page() {
    let Some(page) = Page::new("browser_everything") else {
        return;
    };
    let (url, mut events, _serving) = start(URL).await;
    let mut node = page.start(&url.address().to_string(), "everything");
    node.until("done").await;
    node.ended().await;
    // The server has heard of the stream that was left, and of the call that was aborted.
    let mut dropped = Vec::new();
    while dropped.len() < 2 {
        if let SeenByServer::Dropped(what) = next(&mut events).await {
            dropped.push(what);
        }
    }
    dropped.sort();
    assert_eq!(dropped, ["count", "hang"]);
}

#[tokio::test]
async fn a_page_comes_back_to_its_session() {
    let Some(page) = Page::new("browser_reconnect") else {
        return;
    };
    let (url, mut events, _serving) = start(URL).await;
    let target = url.address().authority().parse().expect("an address");
    let proxy = Proxy::start(target).await;
    let mut node = page.start(&format!("ws://{}/lab", proxy.address()), "reconnect");
    node.until("connected false").await;
    for _ in 0..5 {
        node.tell("go").await;
        node.until("sending").await;
        proxy.cut();
        node.until("sent").await;
    }
    node.end_input();
    node.until("done").await;
    assert!(node.has_said("connected true"), "it has come back");
    node.ended().await;
    let mut handled = Vec::new();
    while let Ok(seen) = events.try_recv() {
        if let SeenByServer::Save(number) = seen {
            handled.push(number);
        }
    }
    assert_eq!(
        handled,
        (100..200).collect::<Vec<_>>(),
        "each once, in order"
    );
}

#[tokio::test]
async fn a_hidden_page_stays_connected() {
    let Some(page) = Page::new("browser_hidden") else {
        return;
    };
    let interval = Duration::from_secs(10);
    let (url, mut events, _serving) = start(&format!("{URL}&ping_interval=10s")).await;
    let mut node = page.start(&url.address().to_string(), "hidden");
    let peer = connected(&mut events).await;
    // For longer than a silence that ends a connection nothing comes from it but answers, in less time than its timers are late.
    for _ in 0..4 {
        advance(interval).await;
        let round_trip = peer.ping(0, Duration::from_secs(30)).await;
        round_trip.expect("is answered");
    }
    node.tell("go").await;
    node.until("done").await;
    node.ended().await;
    let mut ends = 0;
    while let Ok(seen) = events.try_recv() {
        ends += usize::from(matches!(seen, SeenByServer::Disconnected(_)));
    }
    assert!(ends <= 1, "it was disconnected in between");
}
