//! A server is given a handler that handles nothing.

use msip_runtime::Server;
use msip_tests::tree::chat::Chat;

struct Room;

async fn serve(server: Server<Chat>) {
    server.serve(Room).await;
}

fn main() {
    let _ = serve;
}
