//! What needs no server: names, schemas, data, meta and answers.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use msip_runtime::Code;
use msip_schema::TypeName;
use serde_json::{Value, json};

use super::{
    answer::{self, Failure},
    data::{self, Data},
    meta::Meta,
    methods::Methods,
    shape::shape,
    upload::Uploads,
};
use crate::{GatewayError, ProtocolModel};

fn model() -> ProtocolModel {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
    let file = format!("{folder}/rest.proto");
    ProtocolModel::from_protos(&[file.as_str()], &[folder])
        .unwrap()
        .remove(0)
}

fn uploads() -> Uploads {
    Uploads {
        types: vec!["image/png".to_owned()],
        max_file: 1000,
        max_total: 1500,
        max_files: 2,
    }
}

#[test]
fn without_a_file_each_message_is_a_private_method() {
    let methods = Methods::new(&[model()], None, true).unwrap();
    let names: Vec<&str> = methods.names().collect();
    assert_eq!(
        names,
        [
            "count", "echo", "fail", "note", "nothing", "page", "picture", "save", "size", "sum",
            "upload"
        ]
    );
    assert!(methods.find("sum", false).is_some());
    assert!(
        methods.find("sum", true).is_none(),
        "nobody has said that it is public"
    );
}

#[test]
fn a_file_of_methods_lists_all_there_are() {
    let file = r#"{
        "sum": { "public": true, "responseType": "response", "description": "what jesus leaves alone" },
        "remember": { "request": "save_ind", "responseType": "noResponse", "required": ["n"] }
    }"#;
    let methods = Methods::new(&[model()], Some(file), true).unwrap();
    assert_eq!(methods.names().collect::<Vec<_>>(), ["remember", "sum"]);
    assert!(methods.find("sum", true).is_some());
    assert!(methods.find("remember", true).is_none());
    let method = methods.find("remember", false).unwrap();
    let mut data = json!({});
    let errors = method.request_schema.as_ref().unwrap().validate(&mut data);
    assert_eq!(
        serde_json::to_string(&errors).unwrap(),
        r##"[{"keyword":"required","dataPath":"","schemaPath":"#/required","params":{"missingProperty":"n"},"message":"should have required property 'n'"}]"##
    );
}

#[test]
fn a_wrong_file_of_methods_says_what_to_do() {
    for (file, expected) in [
        (
            "[]",
            "methods: invalid type: sequence, expected a map at line 1 column 0",
        ),
        (
            r#"{"gone": {}}"#,
            "method `gone`: no message fits: name one by `request`",
        ),
        (
            r#"{"x": {"request": "gone_req"}}"#,
            "method `x`: no client may send `gone_req`",
        ),
        (
            r#"{"feed": {}}"#,
            "method `feed`: its request is a stream, which jesus does not have",
        ),
        (
            r#"{"sum": {"responseType": "stream"}}"#,
            "method `sum`: its response type is `stream`, and `sum_req` is not answered by one",
        ),
        (
            r#"{"count": {"responseType": "response"}}"#,
            "method `count`: its response type is not `stream`, but `count_req` is answered by one",
        ),
        (
            r#"{"note": {"responseType": "response"}}"#,
            "method `note`: it is to answer with a result, and nothing answers `note_ind`",
        ),
        (
            r#"{"sum": {"requestSchema": {"pattern": "x"}}}"#,
            "method `sum`: requestSchema: JSON Schema at #: the keyword `pattern` is not supported: remove it, and check it in the handler",
        ),
    ] {
        let error = Methods::new(&[model()], Some(file), true).unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

async fn read(request: Request, path: &str) -> Result<Data, (StatusCode, Value)> {
    match data::read(request, path, &uploads()).await {
        Ok(data) => Ok(data),
        Err(refusal) => Err(body_of(refusal.into_response("sum")).await),
    }
}

async fn body_of(response: Response) -> (StatusCode, Value) {
    let status = response.status();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn request(verb: &str, uri: &str, content_type: &str, body: impl Into<Body>) -> Request {
    let mut request = Request::builder().method(verb).uri(uri);
    if !content_type.is_empty() {
        request = request.header("content-type", content_type);
    }
    request.body(body.into()).unwrap()
}

#[tokio::test]
async fn data_from_the_query_the_path_and_the_body() {
    let json = "application/json; charset=utf-8";
    let form = "application/x-www-form-urlencoded";
    let cases = [
        (
            request("GET", "/sum?n=5&more[]=1&more[]=2", "", ""),
            "",
            json!({ "n": "5", "more": ["1", "2"] }),
        ),
        (
            request("POST", "/sum", json, r#"{"n":5}"#),
            "",
            json!({ "n": 5 }),
        ),
        (
            request("PUT", "/sum", form, "n=5&room=a+b"),
            "",
            json!({ "n": "5", "room": "a b" }),
        ),
        (
            request("POST", "/sum/room/12", json, "{}"),
            "/room/12",
            json!({ "room": "12" }),
        ),
        (
            request("GET", "/sum/room/a%2Fb+c", "", ""),
            "/room/a%2Fb+c",
            json!({ "room": "a/b+c" }),
        ),
        (request("GET", "/sum/room", "", ""), "/room", json!({})),
        (request("POST", "/sum", "", ""), "", json!({})),
        (request("POST", "/sum", json, ""), "", json!({})),
        (
            request("DELETE", "/sum?n=1", "", ""),
            "",
            json!({ "n": "1" }),
        ),
        (request("POST", "/sum", json, "[1]"), "", json!([1])),
        (request("POST", "/sum", json, "7"), "", json!(7)),
    ];
    for (request, path, expected) in cases {
        let uri = request.uri().clone();
        assert_eq!(read(request, path).await.unwrap().value, expected, "{uri}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_what_is_wrong() {
    let json = "application/json";
    let many = "a=1&".repeat(1001);
    for (request, status, text) in [
        (
            request("POST", "/sum", json, "{"),
            400,
            "the body is not JSON: EOF while parsing an object at line 1 column 1",
        ),
        (
            request("POST", "/sum", json, " ".repeat(100 * 1024 + 1)),
            413,
            "the body is longer than 102400 bytes",
        ),
        (
            request("POST", "/sum", "application/x-www-form-urlencoded", many),
            400,
            "more than 1000 fields",
        ),
        (
            request("POST", "/sum", "text/plain", "x"),
            415,
            "the content type is JSON, a form or multipart/form-data, and not `text/plain`",
        ),
    ] {
        let (got, body) = read(request, "").await.unwrap_err();
        assert_eq!(got.as_u16(), status, "{body}");
        assert_eq!(
            body,
            json!({ "__RESULT_TYPE__": "error", "method": "sum", "error": text })
        );
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand so on";

fn parts(parts: &[(&str, Option<&str>, &[u8])]) -> Request {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file
            .map(|file| format!("; filename=\"{file}\""))
            .unwrap_or_default();
        body.extend(
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n").bytes(),
        );
        body.extend_from_slice(content);
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    request("POST", "/upload", "multipart/form-data; boundary=b", body)
}

#[tokio::test]
async fn files_reach_the_fields_of_a_message() {
    let read = read(
        parts(&[
            ("title", None, b"me"),
            ("avatar", Some("me.png"), PNG),
            ("raw", Some("x"), PNG),
        ]),
        "",
    );
    let data = read.await.unwrap();
    assert_eq!(data.value, json!({ "title": "me" }));
    let methods = Methods::new(&[model()], None, true).unwrap();
    let upload = methods.find("upload", false).unwrap();
    let fields: Vec<_> = data
        .files
        .into_iter()
        .map(|(name, file)| (name.clone(), file.into_field(upload, &name)))
        .collect();
    let content = crate::base64::encode(PNG);
    assert_eq!(fields[0].0, "avatar");
    assert_eq!(
        fields[0].1,
        Some(json!({
            "fieldname": "avatar", "originalname": "me.png", "mimetype": "image/png", "size": PNG.len(), "content": content,
        }))
    );
    assert_eq!(fields[1].1, Some(json!(content)));
}

#[tokio::test]
async fn files_have_types_lengths_and_a_number() {
    let long = [PNG, &[0; 1000]].concat();
    let three = [("a", Some("a"), PNG); 3];
    let two_large = [PNG, &[0; 900]].concat();
    for (request, status, text) in [
        (
            parts(&[("a", Some("a"), b"GIF89a")]),
            415,
            "a file is image/gif, and not one of image/png",
        ),
        (
            parts(&[("a", Some("a"), &long)]),
            413,
            "the body is longer than 1000 bytes",
        ),
        (parts(&three), 413, "more than 2 files"),
        (
            parts(&[("a", Some("a"), &two_large), ("b", Some("b"), &two_large)]),
            413,
            "the body is longer than 583 bytes",
        ),
        (
            parts(&[("a", None, b"\xff")]),
            400,
            "the field `a` is not UTF-8",
        ),
    ] {
        let (got, body) = read(request, "").await.unwrap_err();
        assert_eq!((got.as_u16(), &body["error"]), (status, &json!(text)));
    }
    let cut = request(
        "POST",
        "/upload",
        "multipart/form-data; boundary=b",
        "--b\r\nContent-Disp",
    );
    assert_eq!(read(cut, "").await.unwrap_err().0.as_u16(), 400);
}

#[test]
fn meta_is_what_headers_say_and_never_who_somebody_is() {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("app-meta-corrid", "c1"),
        ("app-meta-userid", "root"),
        ("app-meta-from", "net1"),
        ("app-meta-timestamp", "1795170958272"),
        ("app-meta-to", "net2"),
        ("x-app-meta-tenant", "acme"),
        ("app-meta-claimed-userid", "forged"),
        ("app-meta-", "no name"),
        ("host", "example"),
    ] {
        headers.append(name, value.parse().unwrap());
    }
    let meta = Meta::of_headers(&headers);
    assert_eq!(meta.correlation_id(), Some("c1"));
    let headers = meta.headers("http", false, 7);
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        headers,
        [
            ("app-meta-to", "net2"),
            ("app-meta-tenant", "acme"),
            ("app-meta-claimed-userid", "root"),
            ("app-meta-claimed-from", "net1"),
            ("app-meta-reqintime", "1795170958272"),
            ("app-meta-timestamp", "7"),
            ("app-meta-reqtype", "out"),
            ("app-meta-channel", "http"),
            ("app-meta-stream", "false"),
        ]
    );
    let nobody = Meta::default().headers("http", true, 7);
    assert!(nobody.contains(&("app-meta-claimed-userid".to_owned(), "UNKNOW".to_owned())));
}

#[test]
fn meta_is_bounded() {
    let mut headers = HeaderMap::new();
    for number in 0..100 {
        headers.append(
            format!("app-meta-{number}")
                .parse::<axum::http::HeaderName>()
                .unwrap(),
            "x".parse().unwrap(),
        );
    }
    headers.append("app-meta-0long", "x".repeat(2000).parse().unwrap());
    let count = Meta::of_headers(&headers).headers("http", false, 7).len();
    assert!(count <= 32 + 7, "{count}");
}

#[test]
fn answers_have_what_canonical_json_leaves_out() {
    let model = model();
    let types = model.schema().types();
    let shaped = shape(
        types,
        &TypeName::new("rest.SumRsp"),
        json!({ "room": "a", "sum": "12" }),
    );
    assert_eq!(
        shaped.to_string(),
        r#"{"sum":12,"room":"a","isLarge":false,"notes":[],"meta":{}}"#
    );
    let large = shape(
        types,
        &TypeName::new("rest.SumRsp"),
        json!({ "sum": "9007199254740993" }),
    );
    assert_eq!(
        large["sum"], "9007199254740993",
        "a double does not have it"
    );
}

#[tokio::test]
async fn each_kind_of_result_is_answered() {
    let model = model();
    let types = model.schema().types();
    let wrapper = |name: &str| TypeName::new(format!("google.protobuf.{name}"));
    for (name, value, status, content_type, body) in [
        (
            wrapper("StringValue"),
            json!("<b>x</b>"),
            200,
            "text/html; charset=utf-8",
            "<b>x</b>",
        ),
        (
            wrapper("BytesValue"),
            json!("iVBORw0KGgo="),
            200,
            "image/png",
            "\u{fffd}PNG\r\n\u{1a}\n",
        ),
        (wrapper("Value"), Value::Null, 404, "", ""),
        (wrapper("Empty"), json!({}), 404, "", ""),
        (
            wrapper("Value"),
            json!(5),
            200,
            "application/json; charset=utf-8",
            "5",
        ),
        (
            wrapper("Value"),
            json!(true),
            200,
            "application/json; charset=utf-8",
            "true",
        ),
        (
            wrapper("Int64Value"),
            json!("5"),
            200,
            "application/json; charset=utf-8",
            "5",
        ),
        (
            wrapper("Value"),
            json!([1, "a"]),
            200,
            "application/json; charset=utf-8",
            "[1,\"a\"]",
        ),
    ] {
        let response = answer::result(types, &name, value);
        assert_eq!(response.status().as_u16(), status, "{name}");
        let found = response
            .headers()
            .get("content-type")
            .map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(found.unwrap_or_default(), content_type, "{name}");
        let bytes = to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&bytes), body, "{name}");
    }
}

#[test]
fn errors_are_byte_for_byte_what_clients_parse() {
    let model = model();
    let methods = Methods::new(&[model], Some(r#"{"sum": {"required": ["n"]}}"#), true).unwrap();
    let errors = methods
        .find("sum", false)
        .unwrap()
        .request_schema
        .as_ref()
        .unwrap()
        .validate(&mut json!({}));
    assert_eq!(
        Failure::validation("testSchema", "requestSchema", &errors).to_json(),
        r##"{"__RESULT_TYPE__":"error","method":"testSchema","error":"validation errors","data":{"type":"schemaValidation","schemaField":"requestSchema","errors":[{"keyword":"required","dataPath":"","schemaPath":"#/required","params":{"missingProperty":"n"},"message":"should have required property 'n'"}]}}"##
    );
    assert_eq!(
        Failure::call("testThrow", &GatewayError::new(Code::Unknown, "boom")).to_json(),
        r#"{"__RESULT_TYPE__":"error","method":"testThrow","error":"boom"}"#
    );
    assert_eq!(
        Failure::not_valid().to_json(),
        r#"{"__RESULT_TYPE__":"error","error":"MESSAGE IS NOT VALID"}"#
    );
}
