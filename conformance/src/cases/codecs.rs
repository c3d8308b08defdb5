//! Codecs and compressions.

use super::talks;
use crate::{
    case::{Case, Group},
    failure::fail,
    pair::{Pair, serve, try_connect, with_settings},
    protocol::conformance::control::Connect,
};

pub(super) fn cases() -> Vec<Case> {
    let mut group = Group::new("codecs");
    group.pair("json", &["codecs"], |pair| codec(pair, "json"));
    group.pair("msgpack", &["codecs"], |pair| codec(pair, "msgpack"));
    group.pair("codec-not-taken", &["codecs"], codec_not_taken);
    group.pair("gzip", &["gzip"], |pair| compressed(pair, "gzip"));
    group.pair("zstd", &["zstd"], |pair| compressed(pair, "zstd"));
    group.pair("lz4", &["lz4"], |pair| compressed(pair, "lz4"));
    group.pair("gzip-of-json", &["codecs", "gzip"], gzip_of_json);
    group.pair("compression-not-taken", &["gzip"], compression_not_taken);
    group.cases()
}

async fn codec(pair: Pair, codec: &str) {
    let talk = pair.talk_with("", &format!("codec={codec}")).await;
    talks(&talk, "zwölf").await;
}

async fn compressed(pair: Pair, compression: &str) {
    let settings = format!("compress={compression}&compress_threshold=64");
    let talk = pair.talk_with("compress_threshold=64", &settings).await;
    talks(&talk, "").await;
    talks(&talk, &super::large()).await;
}

async fn gzip_of_json(pair: Pair) {
    let settings = "codec=json&compress=gzip&compress_threshold=64";
    let talk = pair.talk_with("compress_threshold=64", settings).await;
    talks(&talk, &super::large()).await;
}

async fn compression_not_taken(pair: Pair) {
    let settings = "compress=gzip&compress_threshold=64";
    let talk = pair.talk_with("compressions=none", settings).await;
    talks(&talk, &super::large()).await;
}

async fn codec_not_taken(pair: Pair) {
    let server = serve(&pair.server, &pair.ways, "codecs=protobuf").await;
    let told = Connect {
        url: with_settings(&server.url, "codec=json"),
        ..Connect::default()
    };
    match try_connect(&pair.client, told).await {
        Ok(_) => fail("a server of protobuf takes a client of JSON"),
        Err(status) => assert_eq!(status.code, "UNIMPLEMENTED", "{status:?}"),
    }
}
