//! A server is given a handler that handles nothing.

mod chat {
    include!(env!("MSIP_CHAT"));
}

use chat::Chat;
use msip_runtime::Server;

struct Room;

async fn serve(server: Server<Chat>) {
    server.serve(Room).await;
}

fn main() {
    let _ = serve;
}
