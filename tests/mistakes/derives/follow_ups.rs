//! What is generated is there in spite of a mistake, so that code which mentions it reports nothing.

mod tag {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "tag")]
    pub enum Up {
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u32,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Tag>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Tag>, _: Body) {}
    }

    pub async fn ask(client: Client<Tag>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod number {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "number")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 1)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u32,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Number>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Number>, _: Body) {}
    }

    pub async fn ask(client: Client<Number>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod option {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "option")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2, urgnet)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u32,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Option>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Option>, _: Body) {}
    }

    pub async fn ask(client: Client<Option>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod timeout {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "timeout")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2, timeout = "5s")]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u32,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Timeout>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Timeout>, _: Body) {}
    }

    pub async fn ask(client: Client<Timeout>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod response {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "response")]
    pub enum Up {
        #[msip(tag = 1, response = "nobody")]
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u32,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Response>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Response>, _: Body) {}
    }

    pub async fn ask(client: Client<Response>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod answer {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "answer")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1, urgent)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u32,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Answer>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Answer>, _: Body) {}
    }

    pub async fn ask(client: Client<Answer>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod tuple {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "tuple")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body(u32, u32);

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Tuple>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Tuple>, _: Body) {}
    }

    pub async fn ask(client: Client<Tuple>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod small {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "small")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: u8,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Small>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Small>, _: Body) {}
    }

    pub async fn ask(client: Client<Small>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod union {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "union")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub union Body {
        pub a: u32,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Union>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Union>, _: Body) {}
    }

    pub async fn ask(client: Client<Union>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod newtype {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "newtype")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    #[derive(Message)]
    pub struct Body {
        #[msip(tag = 1)]
        pub a: std::collections::BTreeMap<Key, u32>,
        #[msip(oneof)]
        pub b: Option<Choice>,
    }

    #[derive(Message, PartialEq, Eq, PartialOrd, Ord)]
    pub struct Key(#[msip(as = "map<sint32, sint32>")] pub i32);

    #[derive(Message)]
    pub enum Choice {
        #[msip(tag = 7)]
        Text(u16),
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Newtype>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Newtype>, _: Body) {}
    }

    pub async fn ask(client: Client<Newtype>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

mod generic {
    use msip_runtime::{Client, ClientToServer, Message, Peer, ServerToClient, Status};

    #[derive(ClientToServer)]
    #[msip(protocol = "generic")]
    pub enum Up {
        #[msip(tag = 1)]
        AskReq(Body),
        #[msip(tag = 2)]
        SayInd(Body),
    }

    #[derive(ServerToClient)]
    pub enum Down {
        #[msip(tag = 1)]
        AskRsp(Body),
    }

    pub type Body = Wrapped<u32>;

    #[derive(Message)]
    pub struct Wrapped<T> {
        #[msip(tag = 1)]
        pub a: T,
    }

    pub struct Handler;

    impl HandleClientToServer for Handler {
        async fn on_ask_req(&self, _: &Peer<Generic>, body: Body) -> Result<Body, Status> {
            Ok(body)
        }

        async fn on_say_ind(&self, _: &Peer<Generic>, _: Body) {}
    }

    pub async fn ask(client: Client<Generic>, body: Body) {
        let _ = client.ask_req(body).await;
    }
}

fn main() {}
