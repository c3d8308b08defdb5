//! A gateway that takes its schemas from a folder.

use msip_codegen::Builder;
use msip_gateway::{
    Gateway,
    registry::{Fit, Registry, check_fingerprints},
};
use msip_runtime::Server;
use msip_tests::{rest::Rest, soon};

use crate::{
    client::ask,
    fixture::{Running, protos},
    rest,
};

fn write(folder: &std::path::Path, file: &str, text: &str) {
    let source = tempfile::tempdir().unwrap();
    std::fs::write(source.path().join(file), text).unwrap();
    let aside = folder.join(".new.bin");
    Builder::new()
        .include(source.path())
        .without_rust()
        .emit_rerun_if_changed(false)
        .file_descriptor_set_path(&aside)
        .compile(&[file])
        .unwrap();
    std::fs::rename(aside, folder.join(format!("{file}.bin"))).unwrap();
}

fn schema(name: &str) -> String {
    std::fs::read_to_string(protos().join(name)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_change_are_offered_while_it_serves() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rest.proto", &schema("rest.proto"));
    let server = Server::<Rest>::builder("tcp://127.0.0.1:0")
        .bind()
        .await
        .unwrap();
    let upstream = server.local_url().to_string();
    let (service, _seen) = rest::service();
    let serving = tokio::spawn(async move { server.serve(service).await });
    let registry = Registry::open(folder.path()).unwrap();
    let gateway =
        Running::start(Gateway::builder("http://127.0.0.1:0").registry(&upstream, registry)).await;
    let sum = async || {
        ask(
            &gateway.url,
            "POST /v1/rest/sum_req",
            &[("content-type", "application/json")],
            br#"{"n":5}"#,
        )
        .await
    };
    assert_eq!(sum().await.json()["sum"], "5");
    let described = async || {
        let document = ask(&gateway.url, "GET /openapi.json", &[], b"")
            .await
            .json();
        let schemas: Vec<String> = document["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        schemas
    };
    assert!(!described().await.contains(&"lab.EchoReq".to_owned()));
    write(folder.path(), "lab.proto", &schema("lab.proto"));
    soon("the new schema", async {
        while !described().await.contains(&"lab.EchoReq".to_owned()) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(sum().await.json()["sum"], "5", "others go on");
    serving.abort();
}

#[tokio::test]
async fn at_the_start_it_is_known_which_schemas_do_not_fit() {
    let server = Server::<Rest>::builder("tcp://127.0.0.1:0")
        .bind()
        .await
        .unwrap();
    let upstream = server.local_url().to_string();
    let (service, _seen) = rest::service();
    let serving = tokio::spawn(async move { server.serve(service).await });
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "rest.proto", &schema("rest.proto"));
    let same = Registry::open(folder.path()).unwrap().current();
    let fits = check_fingerprints(&upstream, same.models()).await;
    assert!(fits.iter().all(Fit::is_same), "{fits:?}");
    let changed = schema("rest.proto").replace("string room = 2;", "string hall = 2;");
    write(folder.path(), "rest.proto", &changed);
    write(folder.path(), "lab.proto", &schema("lab.proto"));
    let other = Registry::open(folder.path()).unwrap().current();
    let fits: Vec<String> = check_fingerprints(&upstream, other.models())
        .await
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(
        fits[0].starts_with("whether lab fits is not known: "),
        "{fits:?}"
    );
    assert!(fits[1].starts_with("rest does not fit: "), "{fits:?}");
    serving.abort();
}
