//! Both spellings are one protocol.

use msip_runtime::{Envelope, Protocol as _, Variant};

use crate::{derived, spelled, support};

#[test]
fn both_spellings_have_one_fingerprint() {
    assert_eq!(derived::Kitchen::NAME, spelled::Kitchen::NAME);
    assert_eq!(
        derived::Kitchen::fingerprint(),
        spelled::Kitchen::fingerprint()
    );
}

#[test]
fn both_spellings_have_one_table() {
    fn table<E: Envelope>() -> &'static [Variant] {
        E::VARIANTS
    }
    assert_eq!(
        table::<derived::ClientToServer>(),
        table::<spelled::ClientToServer>()
    );
    assert_eq!(
        table::<derived::ServerToClient>(),
        table::<spelled::ServerToClient>()
    );
}

#[test]
fn the_text_that_is_written_back_is_the_same_protocol() {
    let text = msip_runtime::proto_text::<derived::Kitchen>();
    assert_eq!(
        support::fingerprint_of(&text),
        derived::Kitchen::fingerprint(),
        "{text}"
    );
}

#[test]
fn the_text_that_is_written_back_reads_like_a_schema() {
    let text = msip_runtime::proto_text::<derived::Kitchen>();
    insta::assert_snapshot!("kitchen.proto", text);
}
