//! Everything private, in a binary that uses a part of it, and two protocols, one inside the other's module.

#![deny(warnings)]

use msip_runtime::{ClientToServer, Message, Protocol, ServerToClient};

#[derive(ClientToServer)]
#[msip(protocol = "outer")]
enum ClientToServer {
    #[msip(tag = 1)]
    PingReq(Ping),
}

#[derive(ServerToClient)]
enum ServerToClient {
    #[msip(tag = 1)]
    PingRsp(Ping),
}

#[derive(Message)]
struct Ping {}

mod inner {
    use msip_runtime::{ClientToServer, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "outer.inner.v1", crate = "::msip_runtime")]
    pub(crate) enum FromClient {
        #[msip(tag = 1)]
        PingReq(super::Ping),
    }

    #[derive(ServerToClient)]
    pub(crate) enum FromServer {
        #[msip(tag = 1)]
        PingRsp(super::Ping),
    }
}

/// The server's half may come first, and both may stand in a function.
mod apart {
    use msip_runtime::{ClientToServer, Protocol, ServerToClient};

    pub(crate) fn in_a_function() {
        #[derive(ServerToClient)]
        enum FromServer {
            #[msip(tag = 1)]
            PingRsp(super::Ping),
        }

        #[derive(ClientToServer)]
        #[msip(protocol = "local")]
        enum FromClient {
            #[msip(tag = 1)]
            PingReq(super::Ping),
        }

        assert_eq!(Local::NAME, "local");
    }
}

fn main() {
    apart::in_a_function();
    assert_eq!(Outer::NAME, "outer");
    assert_eq!(inner::Inner::NAME, "outer.inner.v1");
    assert_ne!(Outer::fingerprint(), inner::Inner::fingerprint());
    assert_eq!(ClientToServer::PingReq(Ping {}).variant(), 1);
}
