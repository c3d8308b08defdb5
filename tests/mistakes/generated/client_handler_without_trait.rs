//! A client is given a handler that handles nothing.

mod chat {
    include!(env!("MSIP_CHAT"));
}

use chat::Chat;
use msip_runtime::Client;

struct Screen;

fn main() {
    let _ = Client::<Chat>::builder("mem://chat").handler(Screen);
}
