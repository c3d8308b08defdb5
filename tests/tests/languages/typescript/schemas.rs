//! The two ends have different versions of the schema.

use msip_runtime::Client;
use msip_tests::{
    LabClient,
    lab::{Lab, SendClientToServer as _},
    messages::echo,
    soon, start,
};

use super::{
    node::{Node, Programs},
    tools::tools,
};

/// A field more.
const COMPATIBLE: (&str, &str) = (
    "message NoteInd {",
    "message NoteInd {\n  // Who tells it.\n  string who = 9;",
);
/// Another type of a field.
const BREAKING: (&str, &str) = (
    "message CountReq {\n  // From here.\n  uint64 from = 1;",
    "message CountReq {\n  // From here.\n  string from = 1;",
);

/// What a client says of a server, first where it does not tell its schema, and then where it does.
async fn said_of(url: &str, program: &Programs) -> [String; 2] {
    let tools = tools().expect("they were there");
    let mut node = Node::start(tools, &program.client, &[url, "described"]);
    let said = [node.line().await, node.line().await];
    node.until("done").await;
    node.ended().await;
    said
}

#[tokio::test]
async fn a_server_compares_the_schema_of_a_client_with_its_own() {
    let Some(tools) = tools() else { return };
    let newer = Programs::of_edited_lab(tools, "schema_newer", &[COMPATIBLE]);
    let (url, _events, _serving) = start("tcp://127.0.0.1:0?schema=compatible").await;
    let url = url.address().to_string();
    let [unknown, compared] = said_of(&url, &newer).await;
    assert!(unknown.starts_with("FAILED_PRECONDITION"), "{unknown}");
    assert_eq!(compared, "understood");

    let breaking = Programs::of_edited_lab(tools, "schema_breaking", &[BREAKING]);
    let [_, compared] = said_of(&url, &breaking).await;
    assert!(compared.starts_with("FAILED_PRECONDITION"), "{compared}");
    assert!(
        compared.contains("`count_req`, field `from` (1)"),
        "{compared}"
    );

    let (url, _events, _serving) = start("tcp://127.0.0.1:0?schema=strict").await;
    let url = url.address().to_string();
    for refused in said_of(&url, &newer).await {
        assert!(
            refused.contains("the server's schema has the fingerprint"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_client_compares_the_schema_of_a_server_with_its_own() {
    let Some(tools) = tools() else { return };
    for (name, edit, difference) in [
        ("schema_server_newer", COMPATIBLE, "field `who` (9)"),
        ("schema_server_breaking", BREAKING, "[wire-breaking]"),
    ] {
        let programs = Programs::of_edited_lab(tools, name, &[edit]);
        let mut node = Node::start(tools, &programs.server, &["tcp://127.0.0.1:0"]);
        let place = node.line().await;
        let (handler, _events) = LabClient::new();
        let connecting = Client::<Lab>::builder(&place).handler(handler).connect();
        let client = soon("a client", connecting).await.expect("connected");
        let found = soon("the comparison", client.connection().schema_compared()).await;
        let found = found.expect("they differ").to_string();
        assert!(found.contains(difference), "{found}");
        assert_eq!(
            client.echo_req(echo("hi")).await.expect("echoed").text,
            "hi"
        );
    }
}
