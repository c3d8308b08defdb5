//! A calculator by FlyRPC's wire and by MSIP's.

use crate::program::Program;

const PATH: &str = env!("CARGO_BIN_EXE_flyrpc-calc");

#[test]
fn clients_of_flyrpc_and_of_msip_get_the_same_answers() {
    let args = [
        "server",
        "--url",
        "tcp://127.0.0.1:0",
        "--flyrpc",
        "flyrpc://127.0.0.1:0",
    ];
    let mut server = Program::start("server", PATH, &args);
    let mut urls = ["tcp", "flyrpc"].map(|scheme| {
        let line = server.until(&format!("listening at {scheme}://"));
        line.split(' ').nth(2).expect("an address").to_owned()
    });
    urls.reverse();
    for (url, dialect) in urls.iter().zip(["FlyRPC", "MSIP"]) {
        let args = ["client", "2", "0", "--url", url];
        let mut client = Program::start(dialect, PATH, &args);
        client.until("2 + 0 = 2");
        client.until("2 / 0: E_DIV");
        client.until("THAT IS ALL");
        server.until(&format!("speaks {dialect}"));
        assert_eq!(client.ended().code, Some(0));
        server.until("is gone");
    }
    #[cfg(unix)]
    {
        server.interrupt();
        assert_eq!(server.ended().code, Some(0));
    }
}
