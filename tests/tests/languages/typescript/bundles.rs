//! What becomes of the package in a browser: the page of chat-web, and how large a client is.

use std::{fs, path::Path};

use msip_codegen::{Builder, Part, Sides, TypeScript};

use super::tools::{ROOT, tools};

/// The folder of chat-web.
const PAGE: &str = "examples/src/bin/chat-web";

/// The client of the chat, whose schema has no streams, as it is sent to a browser.
const MAX_GZIP: usize = 29_200;

/// The same with streams.
const MAX_GZIP_WITH_STREAMS: usize = 31_450;

/// The client of the chat without any part beside its core: it calls, and hears nothing but answers.
const MAX_GZIP_OF_CORE: usize = 22_400;

/// `MSIP_UPDATE=1 cargo test -p msip-tests --test languages bundle` writes it anew.
#[test]
fn the_bundle_of_chat_web_is_current() {
    let Some(tools) = tools() else { return };
    let folder = tools.project("bundle_of_chat_web");
    let page = Path::new(ROOT).join(PAGE);
    tools
        .bundle(
            &folder,
            "browser",
            "minify",
            "chatWeb",
            &[page.join("chat.mts")],
        )
        .unwrap_or_else(|why| panic!("{why}"));
    let bundled = fs::read_to_string(folder.join("chat.js")).expect("a bundle");
    let checked_in = page.join("chat.js");
    if std::env::var_os("MSIP_UPDATE").is_some() {
        fs::write(&checked_in, &bundled).expect("written");
    }
    let checked_in = fs::read_to_string(checked_in).expect("chat.js");
    assert!(
        bundled == checked_in,
        "{PAGE}/chat.js is not what chat.mts and the package say: write it anew with\n    \
         MSIP_UPDATE=1 cargo test -p msip-tests --test languages bundle"
    );
}

/// Bundles a client of the chat, and says how many bytes it has with gzip.
fn gzipped(folder: &Path, name: &str, text: &str) -> usize {
    let entry = folder.join(name).with_extension("ts");
    fs::write(&entry, text).expect("written");
    let said = tools()
        .expect("they were there")
        .bundle(&folder.join("out"), "browser", "minify", "chat", &[entry])
        .unwrap_or_else(|why| panic!("{why}"));
    let sizes: Vec<usize> = said
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    let [plain, gzip] = *sizes else {
        panic!("{said}")
    };
    println!("{name}: {plain} bytes, {gzip} with gzip");
    gzip
}

#[test]
fn a_client_in_a_browser_is_small() {
    let Some(tools) = tools() else { return };
    let folder = tools.project("bundle_of_a_client");
    let proto = Path::new(ROOT).join("examples/proto");
    let core = Part::ALL
        .into_iter()
        .fold(TypeScript::new().sides(Sides::Client), TypeScript::without);
    let whole = TypeScript::new().sides(Sides::Client);
    Builder::new()
        .include(&proto)
        .without_rust()
        .emit_rerun_if_changed(false)
        .emitter_into(folder.join("whole"), whole)
        .emitter_into(folder.join("core"), core)
        .compile(&[proto.join("chat.proto")])
        .expect("generated");
    let chat = |parts: &str| format!("export {{ ChatClient }} from \"./{parts}/chat.js\";\n");
    let streaming = chat("whole") + "export { StreamingClient } from \"msip\";\n";
    for (name, text, most) in [
        ("client", chat("whole"), MAX_GZIP),
        ("client_with_streams", streaming, MAX_GZIP_WITH_STREAMS),
        ("client_core", chat("core"), MAX_GZIP_OF_CORE),
    ] {
        let gzip = gzipped(&folder, name, &text);
        assert!(
            gzip <= most,
            "{name}: {gzip} bytes with gzip, and {most} are allowed"
        );
    }
}
