//! A server of the `lab` protocol in a process of its own that writes down what it has handled, and sends back what it
//! was sent for acknowledgment.
//!
//!     journal-server <address> <journal> [<offset>]
//!
//! It says where it listens. Its journal has `call <number>` for each call and `save <number> <session>` for each
//! delivery that was handled, and `sent <number> <outcome>` for each that was sent back, with the offset added, by which
//! servers of one client differ. Where the address has a topic it is attached to the broker there, and shuts down when its
//! standard input ends.

#![expect(
    clippy::print_stdout,
    reason = "whoever started it reads where it listens"
)]

use std::{
    error::Error,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use msip_runtime::{CallOptions, Peer, Server, Status, Stream, Streaming, transport::ServiceUrl};
use msip_tests::{
    LabServer,
    journal::Journal,
    lab::{
        ActReq, ActRsp, CountReq, CountRsp, EchoReq, EchoRsp, HandleClientToServer, Lab, SaveInd,
        SendServerToClient as _, ShoutReq, ShoutRsp, SumReq, SumRsp,
    },
};
use tokio::{io::AsyncReadExt as _, task::JoinSet};

/// How many deliveries back to the client may be in flight; further ones are not sent.
const MAX_SENDING: usize = 256;

/// How long one may take: longer than any outage.
const PATIENCE: Duration = Duration::from_secs(60);

struct JournalServer {
    journal: Arc<Journal>,
    /// What needs no journal.
    rest: LabServer,
    sending: Arc<Mutex<JoinSet<()>>>,
    /// What is added to a number that is sent back.
    offset: u64,
}

impl HandleClientToServer for JournalServer {
    async fn on_echo_req(&self, _: &Peer<Lab>, request: EchoReq) -> Result<EchoRsp, Status> {
        self.journal.line(&format!("call {}", request.text));
        Ok(EchoRsp {
            text: request.text,
            ballast: request.ballast,
        })
    }

    async fn on_save_ind(&self, peer: &Peer<Lab>, message: SaveInd) -> Result<(), Status> {
        let number = message.number;
        self.journal.line(&format!("save {number} {}", peer.id()));
        let mut sending = self.sending.lock().unwrap_or_else(PoisonError::into_inner);
        while sending.try_join_next().is_some() {}
        if sending.len() < MAX_SENDING {
            let (peer, journal) = (peer.clone(), Arc::clone(&self.journal));
            let number = number + self.offset;
            sending.spawn(async move {
                let back = peer.with(CallOptions::new().timeout(PATIENCE));
                let outcome = match back.save_ind(SaveInd { number }).await {
                    Ok(()) => "ok",
                    Err(error) => error.code().name(),
                };
                journal.line(&format!("sent {number} {outcome}"));
            });
        }
        Ok(())
    }

    async fn on_act_req(&self, peer: &Peer<Lab>, request: ActReq) -> Result<ActRsp, Status> {
        self.rest.on_act_req(peer, request).await
    }

    async fn on_count_req(
        &self,
        peer: &Peer<Lab>,
        request: CountReq,
    ) -> Result<impl Stream<Item = Result<CountRsp, Status>> + Send + 'static, Status> {
        self.rest.on_count_req(peer, request).await
    }

    async fn on_sum_req(
        &self,
        peer: &Peer<Lab>,
        requests: Streaming<SumReq>,
    ) -> Result<SumRsp, Status> {
        self.rest.on_sum_req(peer, requests).await
    }

    async fn on_shout_req(
        &self,
        peer: &Peer<Lab>,
        requests: Streaming<ShoutReq>,
    ) -> Result<impl Stream<Item = Result<ShoutRsp, Status>> + Send + 'static, Status> {
        self.rest.on_shout_req(peer, requests).await
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(url), Some(journal)) = (arguments.next(), arguments.next().map(PathBuf::from)) else {
        return Err("usage: journal-server <address> <journal> [<offset>]".into());
    };
    let offset = arguments
        .next()
        .map_or(Ok(0), |offset| offset.to_string_lossy().parse())?;
    let journal = Arc::new(Journal::open(&journal)?);
    // Nobody here listens to what the rest sees.
    let (rest, _) = LabServer::new();
    let sending = Arc::<Mutex<JoinSet<()>>>::default();
    let handler = JournalServer {
        journal,
        rest,
        sending: Arc::clone(&sending),
        offset,
    };
    let url: ServiceUrl = url.to_string_lossy().parse()?;
    if url.topic().is_some() {
        let server = Server::<Lab>::attach(url.to_string(), handler).await?;
        println!("{}", url.address());
        tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
        // What is on its way back needs the connection.
        let under_way =
            std::mem::take(&mut *sending.lock().unwrap_or_else(PoisonError::into_inner));
        under_way.join_all().await;
        server.shutdown().await;
    } else {
        let server = Server::<Lab>::bind(url.to_string()).await?;
        println!("{}", server.local_url().address());
        server.serve(handler).await;
    }
    Ok(())
}
