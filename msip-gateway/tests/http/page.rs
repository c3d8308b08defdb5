//! The page that lists the methods, in Chromium, which a script of Node drives.

use std::process::{Command, Stdio};

use msip_gateway::jesus::JesusManners;

use crate::{chunks::ask, rest};

/// The first of these programs that is there. Where none is, says that the test is skipped; in CI it fails.
#[expect(clippy::print_stdout, reason = "who runs the tests reads it")]
fn program(names: &[&'static str], what_for: &str) -> Option<&'static str> {
    let is_there = |name: &&&str| {
        let asked = Command::new(name)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    };
    let found = names.iter().find(is_there).copied();
    if found.is_none() {
        let text = format!("{} is not there: {what_for}", names.join(" or "));
        assert!(std::env::var_os("CI").is_none(), "{text}");
        println!("skipped: {text}");
    }
    found
}

#[tokio::test]
async fn the_page_is_served_with_a_policy_that_allows_nothing_else() {
    let running = rest::start(JesusManners::private(rest::methods(None))).await;
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
    let Some(node) = program(&["node"], "it drives the browser") else {
        return;
    };
    let browsers = [
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
    ];
    let Some(browser) = program(&browsers, "it shows the page") else {
        return;
    };
    let running = rest::start(JesusManners::private(rest::methods(None))).await;
    let profile = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/page_browser.js");
    let mut command = Command::new(node);
    command
        .arg(script)
        .arg(browser)
        .arg(profile.path())
        .arg(format!("{}/", running.url));
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
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
        ],
        "{err}"
    );
}
