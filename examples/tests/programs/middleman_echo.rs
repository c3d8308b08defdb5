//! The program `middleman-echo` serves and asks, through a broker that listens for MiddleMan; and a client of MSIP asks the same service.

use msip_broker::Broker;
use tokio::{runtime::Runtime, sync::oneshot};

use crate::program::Program;

const ECHO: &str = env!("CARGO_BIN_EXE_middleman-echo");
const REQ: &str = env!("CARGO_BIN_EXE_broker-req");

#[test]
fn a_service_of_middleman_answers_its_own_clients_and_those_of_msip() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, key: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, key).expect("is written");
        path.display().to_string()
    };
    let (trusted, public) = (file("trusted.key", "xyzzy"), file("public.key", "plugh"));
    let url = format!("mm://127.0.0.1:0?trusted_key={trusted}&public_key={public}");
    let runtime = Runtime::new().expect("threads");
    let broker = Broker::builder().listen(url).listen("tcp://127.0.0.1:0");
    let broker = runtime.block_on(broker.bind()).expect("listens");
    let urls: Vec<String> = broker.local_urls().map(ToString::to_string).collect();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(broker.serve_until(async {
        let _ = stopped.await;
    }));
    let address = urls[0].trim_start_matches("mm://").trim_end_matches('/');
    let echo = |name: &str, args: &[&str]| {
        Program::start(name, ECHO, &[args, &["--broker", address]].concat())
    };

    let ended = echo("early", &["ask", "is anybody there?"]).ended();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let told = "error: Not trusted REQ Echo";
    assert!(ended.rest.iter().any(|line| line == told), "{ended:?}");
    let wrong = echo("wrong", &["ask", "hello", "--key", "wrong"]).ended();
    assert!(
        wrong.rest.iter().any(|line| line.contains("wrong key")),
        "{wrong:?}"
    );

    let mut service = echo("serve", &["serve"]);
    service.until("serving Echo at ws://");
    let ended = loop {
        let ended = echo("ask", &["ask", "hello, broker"]).ended();
        // The broker has read EREQ soon after it was sent.
        if ended.code == Some(0) {
            break ended;
        }
        assert!(ended.rest.iter().any(|line| line == told), "{ended:?}");
    };
    assert!(
        ended.rest.iter().any(|line| line == "hello, broker"),
        "{ended:?}"
    );
    service.until("asked: hello, broker");
    let args = ["Echo", "hello from MSIP", "--url", &urls[1]];
    let ended = Program::start("req", REQ, &args).ended();
    assert!(
        ended
            .rest
            .iter()
            .any(|line| line.contains("hello from MSIP")),
        "{ended:?}"
    );
    service.until("asked: hello from MSIP");
    let _ = stop.send(());
    runtime.block_on(serving).expect("no panic");
    let ended = service.ended();
    let told = "error: the broker stops";
    assert!(ended.rest.iter().any(|line| line == told), "{ended:?}");
}
