//! The service, and the gateways in front of it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use msip_gateway::{
    Gateway, GatewayLimits, Hosts, ProtocolModel,
    jesus::{JesusOptions, Methods},
};
use msip_runtime::{Code, Peer, Server, Status, Stream, prost_types::Value, transport::ServiceUrl};
use msip_tests::rest::{
    CountReq, CountRsp, HandleClientToServer, Rest, SumReq, SumRsp, UploadReq, UploadRsp,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// How much a service has seen that no test has looked at: a test that does not look loses what is more.
const MOST_SEEN: usize = 64;

/// What a service has seen.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Note(i32),
    Save(i32),
    /// A stream's reader has left, or it has ended.
    StreamDropped,
}

#[derive(Clone)]
pub(crate) struct Service {
    seen: mpsc::Sender<Seen>,
    calls: Arc<AtomicUsize>,
}

/// Tells of its end.
struct OnDrop(mpsc::Sender<Seen>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.try_send(Seen::StreamDropped);
    }
}

impl HandleClientToServer for Service {
    async fn on_sum_req(&self, peer: &Peer<Rest>, request: SumReq) -> Result<SumRsp, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let call = peer.call();
        let metadata = call.metadata();
        let mut meta: std::collections::HashMap<String, String> = metadata
            .headers()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if let Some(id) = metadata.correlation_id() {
            meta.insert("corrid".to_owned(), id.to_owned());
        }
        Ok(SumRsp {
            sum: i64::from(request.n)
                + request
                    .more
                    .iter()
                    .map(|more| i64::from(*more))
                    .sum::<i64>(),
            room: request.room,
            meta,
            ..SumRsp::default()
        })
    }

    async fn on_echo_req(&self, _: &Peer<Rest>, request: Value) -> Result<Value, Status> {
        // `{"echo": x}` is answered with x.
        match request.kind.clone() {
            Some(msip_runtime::prost_types::value::Kind::StructValue(fields)) => {
                Ok(fields.fields.get("echo").cloned().unwrap_or(request))
            }
            _ => Ok(request),
        }
    }

    async fn on_page_req(&self, _: &Peer<Rest>, name: String) -> Result<String, Status> {
        Ok(format!("<h1>{name}</h1>"))
    }

    async fn on_picture_req(&self, _: &Peer<Rest>, _: Vec<u8>) -> Result<Vec<u8>, Status> {
        Ok(b"\x89PNG\r\n\x1a\nand so on".to_vec())
    }

    async fn on_nothing_req(&self, _: &Peer<Rest>) -> Result<(), Status> {
        Ok(())
    }

    async fn on_count_req(
        &self,
        _: &Peer<Rest>,
        request: CountReq,
    ) -> Result<impl Stream<Item = Result<CountRsp, Status>> + Send + 'static, Status> {
        let on_drop = OnDrop(self.seen.clone());
        let state = (0_u32, on_drop);
        Ok(futures_util::stream::unfold(
            state,
            move |(number, on_drop)| async move {
                if request.fail_after > 0 && number == request.fail_after {
                    let error = Status::new(Code::Aborted, "enough");
                    return Some((Err(error), (number + 1, on_drop)));
                }
                if number > request.to && request.to > 0 {
                    return None;
                }
                if request.to == 0 && number > 0 {
                    std::future::pending::<()>().await;
                }
                let text = if number == 1 {
                    "long ".repeat(20_000)
                } else {
                    String::new()
                };
                Some((Ok(CountRsp { number, text }), (number + 1, on_drop)))
            },
        ))
    }

    async fn on_note_ind(&self, _: &Peer<Rest>, note: SumReq) {
        let _ = self.seen.try_send(Seen::Note(note.n));
    }

    async fn on_save_ind(&self, _: &Peer<Rest>, save: SumReq) -> Result<(), Status> {
        let _ = self.seen.try_send(Seen::Save(save.n));
        if save.n == 13 {
            // It is never done, and whoever waited for it would wait for ever.
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn on_upload_req(&self, _: &Peer<Rest>, upload: UploadReq) -> Result<UploadRsp, Status> {
        let avatar = upload.avatar.unwrap_or_default();
        Ok(UploadRsp {
            text: format!(
                "{}: {} {} {} {} {}",
                upload.title,
                avatar.fieldname,
                avatar.originalname,
                avatar.mimetype,
                avatar.size,
                avatar.content.len() + upload.raw.len()
            ),
        })
    }

    async fn on_fail_req(&self, _: &Peer<Rest>, _: SumReq) -> Result<SumRsp, Status> {
        Err(Status::new(Code::Unknown, "boom"))
    }

    async fn on_feed_req(
        &self,
        _: &Peer<Rest>,
        _: msip_runtime::Streaming<SumReq>,
    ) -> Result<SumRsp, Status> {
        Ok(SumRsp::default())
    }

    async fn on_size_req(&self, _: &Peer<Rest>, size: i64) -> Result<i64, Status> {
        Ok(size)
    }
}

/// A service, and a gateway in front of it. Dropped, both are gone.
pub(crate) struct Running {
    pub(crate) url: String,
    pub(crate) seen: mpsc::Receiver<Seen>,
    /// How many sums were asked for.
    pub(crate) calls: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Stops the gateway as a signal does, and waits for its end.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        // The gateway's.
        self.tasks.join_next().await;
    }
}

/// A service alone, and what it sees.
pub(crate) fn service() -> (Service, mpsc::Receiver<Seen>) {
    let (seen, seen_by) = mpsc::channel(MOST_SEEN);
    let calls = Arc::new(AtomicUsize::new(0));
    (Service { seen, calls }, seen_by)
}

/// A server of it, without a gateway. It ends with what is returned.
pub(crate) async fn server() -> (String, JoinSet<()>) {
    let server = Server::<Rest>::builder("tcp://127.0.0.1:0").bind().await;
    let server = server.expect("binds");
    let url = server.local_url().to_string();
    let (service, _) = service();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        server.serve(service).await;
    });
    (url, tasks)
}

pub(crate) fn model() -> ProtocolModel {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/proto");
    let file = format!("{folder}/rest.proto");
    ProtocolModel::from_protos(&[file.as_str()], &[folder])
        .expect("it compiles")
        .remove(0)
}

pub(crate) fn methods(file: Option<&str>) -> Methods {
    Methods::new(&[model()], file, true).expect("methods")
}

pub(crate) async fn start(jesus: JesusOptions) -> Running {
    start_at(
        "http://127.0.0.1:0",
        jesus,
        Hosts::default(),
        GatewayLimits::default(),
    )
    .await
}

pub(crate) async fn start_at(
    listen: &str,
    jesus: JesusOptions,
    hosts: Hosts,
    limits: GatewayLimits,
) -> Running {
    let (seen, seen_by) = mpsc::channel(MOST_SEEN);
    let calls = Arc::new(AtomicUsize::new(0));
    let service = Service {
        seen,
        calls: Arc::clone(&calls),
    };
    let url: ServiceUrl = "tcp://127.0.0.1:0".parse().expect("a URL");
    let server = Server::<Rest>::builder(url.to_string())
        .bind()
        .await
        .expect("binds");
    let upstream = server.local_url().to_string();
    let mut tasks = JoinSet::new();
    let gateway = Gateway::builder(listen)
        .upstream(upstream, [model()])
        .hosts(hosts)
        .limits(limits)
        .jesus(jesus)
        .bind()
        .await
        .expect("binds");
    let url = gateway.local_url();
    let (stop, stopped) = oneshot::channel::<()>();
    tasks.spawn(async move {
        gateway.serve_until(async { drop(stopped.await) }).await;
    });
    tasks.spawn(async move {
        server.serve(service).await;
    });
    Running {
        url,
        seen: seen_by,
        calls,
        stop: Some(stop),
        tasks,
    }
}
