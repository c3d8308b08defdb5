//! The page that lists the methods, in Chromium, which a script of Node drives.

use std::process::Command;

use msip_gateway::jesus::JesusOptions;
use msip_tests::programs;

use crate::{client::ask, rest};

#[tokio::test]
async fn the_page_is_served_with_a_policy_that_allows_nothing_else() {
    let running = rest::start(JesusOptions::private(rest::methods(None))).await;
    let page = ask(&running.url, "GET /", &[], b"").await;
    assert_eq!(
        (page.status, page.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    let policy = page.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; script-src 'sha256-"),
        "{policy}"
    );
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_tries_methods_streams_and_events_in_a_browser() {
    let Some(node) = programs::first_of(&["node"], "it drives the browser") else {
        return;
    };
    let Some(browser) = programs::first_of(&programs::CHROMIUM, "it shows the page") else {
        return;
    };
    let running = rest::start(JesusOptions::private(rest::methods(None))).await;
    let profile = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/page_browser.js");
    let mut command = Command::new(node);
    command
        .arg(script)
        .arg(browser)
        .arg(profile.path())
        .arg(format!("{}/", running.url));
    let said = tokio::task::spawn_blocking(move || programs::run(&mut command)).await;
    let out = said.unwrap().unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(
        out.lines().collect::<Vec<_>>(),
        [
            "title: rest",
            "methods: 13",
            "every control has a name",
            "found: POST /v1/rest/sum_req",
            "sum: 200 OK, \"sum\": \"8\"",
            "not JSON: The request is not JSON",
            "fail: 500 Internal Server Error, \"code\": \"UNKNOWN\"",
            "count: 4 events, the last is end",
            "feed: 200 OK",
            "events: stopped",
            "nothing was refused by the policy, and no error was logged",
        ]
    );
}
