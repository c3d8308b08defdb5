//! The greeter of the example `mock` does over a connection what its tests say of it.

use crate::program::Program;

#[test]
fn the_greeter_enters_and_greets() {
    let ended = Program::start("mock", env!("CARGO_BIN_EXE_mock"), &[]).ended();
    assert_eq!(
        ended.rest,
        [
            "ada hears greeter-2: hello, ada",
            "the greeter is known as greeter-2, and greeted ada",
        ]
    );
    assert_eq!(ended.code, Some(0));
}
