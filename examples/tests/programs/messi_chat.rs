//! Messi's chat: its clients by either wire talk to each other, and one that comes back says who it is.

use crate::program::Program;

const PATH: &str = env!("CARGO_BIN_EXE_messi-chat");

#[test]
fn clients_of_messi_and_of_msip_are_in_one_chat() {
    let args = [
        "server",
        "--url",
        "tcp://127.0.0.1:0",
        "--messi",
        "messi://127.0.0.1:0",
    ];
    let mut server = Program::start("server", PATH, &args);
    let listening = |server: &mut Program, scheme: &str| {
        let line = server.until(&format!("listening at {scheme}://"));
        line.split(' ').nth(2).expect("an address").to_owned()
    };
    let native = listening(&mut server, "tcp");
    let messi = listening(&mut server, "messi");
    let enter = |user: &str, url: &str| Program::start(user, PATH, &["client", user, "--url", url]);
    let mut erik = enter("Erik", &messi);
    erik.until("Connected to the server.");
    server.until("Client <Erik> connected by Messi.");
    let mut asa = enter("Åsa", &native);
    asa.until("Connected to the server.");
    server.until("Client <Åsa> connected by MSIP.");
    erik.type_line("Hello");
    asa.type_line("Hej ⚽");
    for client in [&mut erik, &mut asa] {
        let mut said = [client.until("<"), client.until("<")];
        said.sort();
        assert_eq!(said, ["<Erik> Hello", "<Åsa> Hej ⚽"]);
    }
    erik.end_input();
    assert_eq!(erik.ended().code, Some(0));
    server.until("Client <Erik> disconnected.");
    asa.end_input();
    assert_eq!(asa.ended().code, Some(0));
    #[cfg(unix)]
    {
        server.interrupt();
        assert_eq!(server.ended().code, Some(0));
    }
}
