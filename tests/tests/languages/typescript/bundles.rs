//! What becomes of the package in a browser: the page of chat-web, and how large a client is.

use std::{fs, path::Path};

use super::tools::{ROOT, tools};

/// The folder of chat-web.
const PAGE: &str = "examples/src/bin/chat-web";

/// The client of the chat, whose schema has no streams, as it is sent to a browser.
const MAX_GZIP: usize = 31_400;

/// The same with streams.
const MAX_GZIP_WITH_STREAMS: usize = 33_560;

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

#[test]
fn a_client_in_a_browser_is_small() {
    let Some(tools) = tools() else { return };
    let folder = tools.project("bundle_of_a_client");
    let chat = Path::new(ROOT).join("languages/typescript/examples/chat/chat.js");
    let chat = format!("export {{ ChatClient }} from {:?};", chat.display());
    for (name, more, most) in [
        ("client", "", MAX_GZIP),
        (
            "streaming",
            "export { StreamingClient } from \"msip\";",
            MAX_GZIP_WITH_STREAMS,
        ),
    ] {
        let entry = folder.join(name).with_extension("ts");
        fs::write(&entry, format!("{chat}\n{more}\n")).expect("written");
        let said = tools
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
        assert!(
            gzip <= most,
            "{name}: {gzip} bytes with gzip, and {most} are allowed"
        );
    }
}
