use msip_runtime::{ClientToServer, Message, ServerToClient};

/// What a client may say.
#[derive(ClientToServer)]
#[msip(protocol = "greet")]
pub enum ClientToServer {
    #[msip(tag = 1)]
    HelloReq(HelloReq),
}

/// What the server may say.
#[derive(ServerToClient)]
pub enum ServerToClient {
    #[msip(tag = 1)]
    HelloRsp(HelloRsp),
    #[msip(tag = 2)]
    ArrivedInd(ArrivedInd),
}

#[derive(Message)]
pub struct HelloReq {
    #[msip(tag = 1)]
    pub name: String,
}

#[derive(Message)]
pub struct HelloRsp {
    #[msip(tag = 1)]
    pub greeting: String,
}

/// Somebody else has come.
#[derive(Message)]
pub struct ArrivedInd {
    #[msip(tag = 1)]
    pub name: String,
}
