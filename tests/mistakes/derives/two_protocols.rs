//! Two protocols in one module, and two halves of one direction.

mod two {
    use msip_runtime::{ClientToServer, Message, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "a")]
    pub enum Up {
        #[msip(tag = 1)]
        BodyReq(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        BodyRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u32,
    }

    #[derive(ClientToServer)]
    #[msip(protocol = "b")]
    pub enum Up2 {
        #[msip(tag = 1)]
        BodyReq(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down2 {
        #[msip(tag = 1)]
        BodyRsp(Body),
    }
}

mod half {
    use msip_runtime::{ClientToServer, ServerToClient};

    #[derive(ClientToServer)]
    #[msip(protocol = "half")]
    pub enum HalfUp {
        #[msip(tag = 1)]
        PingReq,
    }

    #[derive(ServerToClient)]
    pub enum HalfDown {
        #[msip(tag = 1)]
        PingRsp,
    }

    #[derive(ServerToClient)]
    pub enum HalfDown2 {
        #[msip(tag = 1)]
        PingRsp,
    }
}

fn main() {}
