//! What the gateway says of its protocols, checked by PyPI's `openapi-spec-validator` and `jsonschema`, which know nothing of it.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use msip_gateway::{Gateway, ProtocolModel, jesus::JesusOptions};
use msip_schema::TypeName;
use msip_tests::programs;
use serde_json::{Value, json};

use crate::{
    client::ask,
    fixture::{Running, protos},
    rest,
};

/// What is installed.
const PACKAGES: [&str; 2] = [
    "openapi-spec-validator==0.9.0",
    "jsonschema[format]==4.26.0",
];

/// Runs the validators over this, and returns what they say. `None` where they are not there, which CI does not accept.
fn validate(what: &Value) -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi-validators");
    let check = "import openapi_spec_validator, jsonschema";
    let python = programs::python(&folder, &PACKAGES, check)?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http/described.py");
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(what.to_string().as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    Some(out.into_owned())
}

fn pantry() -> ProtocolModel {
    let file = protos().join("pantry.proto");
    ProtocolModel::from_protos(&[file], &[protos()])
        .unwrap()
        .remove(0)
}

/// A jar with everything in it, as somebody may write it.
fn jar() -> Value {
    json!({
        "d": 1.5, "f": "NaN", "i32": -5, "i64": "-9007199254740993", "u32": 5, "u64": 18446744073709551615u64, "s64": -1,
        "f64": "5", "sf32": 1, "sf64": "2", "b": true, "s": "text", "content": "AAEC", "kind": "JAM",
        "inner": { "inner": { "s": "deep" } }, "numbers": [1, "2"], "byName": { "a": { "b": true } },
        "byNumber": { "-7": "PICKLES", "8": 99 }, "byFlag": { "true": "yes" }, "nick": "", "lid": { "turns": 3 },
        "made": "2024-02-29T12:00:00+01:00", "keeps": "1.5s", "mask": "s,inner.s", "extra": { "any": [1, null] },
        "value": { "x": 1 }, "list": [1, "a"], "nothing": null, "wDouble": 0, "wInt64": "5", "wUint32": 5, "wBool": false,
        "wString": "", "wBytes": "AA==", "empty": {}, "@named": "by hand", "times": ["2024-02-29T11:00:00.5Z"],
        "any": { "@type": "type.googleapis.com/pantry.v1.Note", "text": "inside" },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_validators_find_the_documents_right_and_answers_as_they_say() {
    let pantry = pantry();
    let message = |name: &str| TypeName::new(format!("pantry.v1.{name}"));
    // What the gateway writes is what it says that it writes.
    let translated = pantry.message(&message("Jar")).unwrap();
    let protobuf = translated
        .to_protobuf(jar().to_string().as_bytes(), 1 << 20)
        .unwrap();
    let written: Value = serde_json::from_slice(&translated.to_json(&protobuf).unwrap()).unwrap();
    let mut instances = vec![
        json!({ "schema": "pantry.v1.Jar", "value": written, "valid": true }),
        json!({ "schema": "pantry.v1.Jar", "value": {}, "valid": true }),
        json!({ "schema": "pantry.v1.Jar", "value": { "unknownToThisVersion": 1 }, "valid": true }),
    ];
    for wrong in [
        json!({ "text": "a", "lid": {} }),
        json!({ "i32": 2147483648u64 }),
        json!({ "u32": -1 }),
        json!({ "i64": 5 }),
        json!({ "kind": "HONEY" }),
        json!({ "inner": { "inner": { "s": 5 } } }),
        json!({ "byNumber": { "x": "JAM" } }),
        json!({ "byFlag": { "1": "x" } }),
        json!({ "made": "yesterday" }),
        json!({ "keeps": "5 min" }),
        json!({ "any": {} }),
        json!({ "numbers": "1" }),
        json!({ "f": "nan" }),
    ] {
        instances.push(json!({ "schema": "pantry.v1.Jar", "value": wrong, "valid": false }));
    }

    // A gateway's own answers.
    let running = rest::start(JesusOptions::private(rest::methods(None))).await;
    let url = &running.url;
    let json_type = [("content-type", "application/json")];
    let mut answers = Vec::new();
    for (member, body, schema) in [
        ("sum_req", r#"{"n":5,"more":[1]}"#, "rest.SumRsp"),
        (
            "upload_req",
            r#"{"title":"x","raw":"AAE="}"#,
            "rest.UploadRsp",
        ),
        ("fail_req", "{}", "msip.Error"),
        ("sum_req", r#"{"n":"x"}"#, "msip.Error"),
        ("gone_req", "{}", "msip.Error"),
    ] {
        let answer = ask(
            url,
            &format!("POST /v1/rest/{member}"),
            &json_type,
            body.as_bytes(),
        )
        .await;
        answers.push(json!({ "schema": schema, "value": answer.json(), "valid": true }));
    }
    let count = ask(url, "POST /v1/rest/count_req", &json_type, br#"{"to":2}"#).await;
    let events = count.chunks.iter().filter_map(|chunk| {
        let data = chunk.lines().find_map(|line| line.strip_prefix("data: "))?;
        (!chunk.contains("event: ")).then(|| serde_json::from_str::<Value>(data).unwrap())
    });
    answers.extend(
        events.map(|event| json!({ "schema": "rest.CountRsp", "value": event, "valid": true })),
    );
    assert_eq!(answers.len(), 8, "{count:?}");

    let served = ask(url, "GET /openapi.json", &[], b"").await;
    assert_eq!(
        (served.status, served.header("content-type")),
        (200, "application/json")
    );
    let schema = ask(url, "GET /schemas/rest.SumRsp", &[], b"").await;
    assert_eq!(
        (schema.status, schema.header("content-type")),
        (200, "application/schema+json")
    );
    assert_eq!(
        ask(url, "GET /schemas/rest.Gone", &[], b"").await.status,
        404
    );
    let paths = served.json()["paths"].clone();
    for operation in rest::model().operations() {
        let path = format!("/v1/rest/{}", operation.name());
        assert!(paths.get(&path).is_some(), "{path}");
    }

    let jar_schema = msip_gateway::message_schema(pantry.schema(), &message("Jar"));
    let both = json!({
        "documents": [
            { "openapi": msip_gateway::openapi(&[pantry.schema()]), "instances": instances },
            { "openapi": served.json(), "instances": answers },
        ],
        "schemas": [jar_schema, schema.json()],
    });
    let said = tokio::task::spawn_blocking(move || validate(&both))
        .await
        .unwrap();
    if let Some(said) = said {
        assert_eq!(said.trim(), "2 documents, 2 schemas and 24 instances");
    }
}

#[tokio::test]
async fn a_gateway_can_be_silent_about_what_it_offers() {
    let builder = Gateway::builder("http://127.0.0.1:0").upstream("tcp://127.0.0.1:1", [pantry()]);
    let running = Running::start(builder.described(false)).await;
    for path in ["/", "/openapi.json", "/schemas/pantry.v1.Jar"] {
        let answer = ask(&running.url, &format!("GET {path}"), &[], b"").await;
        assert_eq!(answer.status, 404, "{path}");
    }
}
