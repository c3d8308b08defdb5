//! The first half without the second.

mod client_alone {
    use msip_runtime::{ClientToServer, Message};

    #[derive(ClientToServer)]
    #[msip(protocol = "ui")]
    pub enum ClientToServer {
        #[msip(tag = 1)]
        PingInd(Ping),
    }

    #[derive(Message)]
    pub struct Ping {}
}

fn main() {}
