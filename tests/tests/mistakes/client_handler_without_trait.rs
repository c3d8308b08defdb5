//! A client is given a handler that handles nothing.

use msip_runtime::Client;
use msip_tests::tree::chat::Chat;

struct Screen;

fn main() {
    let _ = Client::<Chat>::builder("mem://chat").handler(Screen);
}
