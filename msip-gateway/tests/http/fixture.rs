//! A gateway in front of a server of the protocol `lab`.

use std::{future::pending, path::PathBuf, sync::LazyLock};

use msip_broker::Broker;
use msip_gateway::{Gateway, GatewayBuilder, GatewayLimits, ProtocolModel};
use msip_tests::{SeenByServer, start};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
};

/// The schemas of the tests.
pub(crate) fn protos() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/proto")
}

/// What marks calls of `lab` as free of side effects.
const SERVICE: &str = "
service Questions {
  rpc Echo(EchoReq) returns (EchoRsp) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Count(CountReq) returns (stream CountRsp) { option idempotency_level = NO_SIDE_EFFECTS; }
}
";

/// The protocol `lab`, with calls that can be made by GET.
pub(crate) fn lab() -> ProtocolModel {
    static LAB: LazyLock<ProtocolModel> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let text = std::fs::read_to_string(protos().join("lab.proto")).unwrap();
        let path = folder.path().join("lab.proto");
        std::fs::write(&path, text + SERVICE).unwrap();
        let mut models = ProtocolModel::from_protos(&[path], &[folder.path()]).unwrap();
        models.remove(0)
    });
    LAB.clone()
}

/// A gateway that runs in a task, which is aborted when this is dropped.
pub(crate) struct Running {
    pub(crate) url: String,
    serving: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(builder: GatewayBuilder) -> Self {
        let gateway = builder.bind().await.unwrap();
        Self {
            url: gateway.local_url(),
            serving: tokio::spawn(gateway.serve()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A gateway, and what its server sees.
pub(crate) struct Lab {
    pub(crate) gateway: Running,
    pub(crate) events: mpsc::Receiver<SeenByServer>,
    pub(crate) server: JoinHandle<()>,
    pub(crate) server_url: String,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::with(GatewayLimits::default()).await
    }

    pub(crate) async fn with(limits: GatewayLimits) -> Self {
        let (url, events, server) = start("tcp://127.0.0.1:0").await;
        let server_url = url.to_string();
        let builder = Gateway::builder("http://127.0.0.1:0")
            .upstream(&server_url, [lab()])
            .limits(limits);
        Self {
            gateway: Running::start(builder).await,
            events,
            server,
            server_url,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.gateway.url
    }

    /// Waits until the server sees something.
    pub(crate) async fn seen<T>(
        &mut self,
        what: &str,
        find: impl Fn(SeenByServer) -> Option<T>,
    ) -> T {
        msip_tests::soon(what, async {
            loop {
                let event = self.events.recv().await.expect("the server is there");
                if let Some(found) = find(event) {
                    return found;
                }
            }
        })
        .await
    }
}

/// A broker, which ends with what is returned.
pub(crate) async fn broker() -> (String, JoinSet<()>) {
    let broker = Broker::builder().listen("tcp://127.0.0.1:0").bind().await;
    let broker = broker.expect("binds");
    let url = broker.local_urls().next().expect("a URL").to_string();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        broker.serve_until(pending::<()>()).await;
    });
    (url, tasks)
}
