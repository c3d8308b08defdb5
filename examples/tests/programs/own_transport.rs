//! A client talks through a proxy, to a server that is handed its connection.

use crate::program::Program;

#[test]
fn a_client_reaches_a_server_through_a_connector_of_its_own() {
    let program = Program::start("own-transport", env!("CARGO_BIN_EXE_own-transport"), &[]);
    let ended = program.ended();
    assert_eq!(
        ended.rest,
        [
            "proxy: somebody asks for chat.internal",
            "client: in the room: ada",
            "server: stopped, 0 calls cut off",
        ]
    );
    assert_eq!(ended.code, Some(0));
}
