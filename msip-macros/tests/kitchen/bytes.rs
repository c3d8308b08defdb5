//! Both spellings write the same bytes, and read each other's.

use msip_runtime::Envelope;
use msip_runtime::body::Body;
use msip_runtime::bytes::Bytes;
use proptest::prelude::*;

use crate::derived::{ClientToServer, ServerToClient};
use crate::{samples, spelled};

fn encoded<E: Envelope>(message: &E) -> Bytes {
    let mut body = Vec::new();
    message.encode(&mut body);
    assert_eq!(body.len(), message.encoded_len());
    body.into()
}

fn client_to_server() -> impl Strategy<Value = ClientToServer> {
    prop_oneof![
        samples::scalars().prop_map(ClientToServer::ScalarsInd),
        samples::many().prop_map(ClientToServer::ManyInd),
        samples::maps().prop_map(ClientToServer::FindReq),
        Just(ClientToServer::PingReq),
        samples::tree().prop_map(ClientToServer::GrowReq),
        samples::optionals().prop_map(ClientToServer::Remark),
        samples::shape().prop_map(ClientToServer::ShapeState),
        samples::letter().prop_map(ClientToServer::LetterInd),
    ]
}

fn server_to_client() -> impl Strategy<Value = ServerToClient> {
    prop_oneof![
        samples::times().prop_map(ServerToClient::Found),
        Just(ServerToClient::PingRsp),
        samples::tree().prop_map(ServerToClient::GrowRsp),
        samples::vehicle_state().prop_map(ServerToClient::VehicleState),
        samples::encodings().prop_map(ServerToClient::SpeedMetric),
    ]
}

/// Writes a derived message, reads it as the generated one, writes that, and reads it as the derived one.
fn through_both<D, S>(message: D) -> Result<(), TestCaseError>
where
    D: Envelope + std::fmt::Debug + PartialEq,
    S: Envelope + std::fmt::Debug,
{
    let variant = D::VARIANTS
        .get(message.index())
        .expect("a variant")
        .number();
    let body = encoded(&message);
    let spelled = S::decode(variant, Body::from(&body)).expect("the generated type reads it");
    let again = encoded(&spelled);
    prop_assert_eq!(&again, &body, "the generated type writes the same");
    let back = D::decode(variant, Body::from(&again)).expect("the derived type reads it");
    prop_assert_eq!(back, message);
    Ok(())
}

proptest! {
    #[test]
    fn clients_write_and_read_the_same(message in client_to_server()) {
        through_both::<_, spelled::ClientToServer>(message)?;
    }

    #[test]
    fn servers_write_and_read_the_same(message in server_to_client()) {
        through_both::<_, spelled::ServerToClient>(message)?;
    }

    /// Whatever the bytes are, both spellings accept or refuse them alike, and what they read is the same.
    #[test]
    fn random_bytes_never_panic(variant in 1_u16..12, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let body = Bytes::from(bytes);
        let derived = ClientToServer::decode(variant, Body::from(&body));
        let spelled = spelled::ClientToServer::decode(variant, Body::from(&body));
        prop_assert_eq!(derived.is_ok(), spelled.is_ok(), "{:?} {:?}", derived, spelled);
    }

    /// A message with a byte changed, or cut short.
    #[test]
    fn damaged_messages_never_panic(message in client_to_server(), at in any::<prop::sample::Index>(), value in any::<u8>(), is_cut in any::<bool>()) {
        let variant = ClientToServer::VARIANTS.get(message.index()).expect("a variant").number();
        let mut body = encoded(&message).to_vec();
        let at = at.index(body.len());
        if is_cut {
            body.truncate(at);
        } else {
            body[at] = value;
        }
        let _ = ClientToServer::decode(variant, Body::from(&Bytes::from(body)));
    }
}
