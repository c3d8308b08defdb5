//! Two protocols that share a package, one side of a protocol alone, and messages that are elsewhere already.

use msip_runtime::{Client, Peer, Protocol as _, Server, Status, bytes::Bytes};
use msip_tests::{
    Recorder, fleet_client, fleet_server, recorder, soon,
    tree::{
        depot::v1::{self as depot, Depot},
        fleet::v1::{self as fleet, Fleet},
        shared::v1::{Parcel, Place},
    },
};

fn place(east: f64) -> Place {
    Place {
        east,
        ..Place::default()
    }
}

fn parcel(number: u64) -> Parcel {
    Parcel {
        number,
        content: Bytes::from_static(b"flour"),
        target: Some(place(3.0)),
    }
}

/// Keeps parcels, and has each one carried by a vehicle.
struct House(Peer<Fleet>);

impl depot::HandleClientToServer for House {
    async fn on_keep_req(
        &self,
        peer: &Peer<Depot>,
        request: Parcel,
    ) -> Result<depot::KeepRsp, Status> {
        use fleet::SendServerToClient as _;
        // The parcel goes from one protocol to the other as it is.
        let loaded = self.0.with(peer.call()).load_req(request.clone()).await?;
        if loaded.parcel.as_ref() != Some(&request) || loaded.content_len != 5 {
            return Err(Status::internal("another parcel"));
        }
        Ok(depot::KeepRsp {
            place: request.target,
        })
    }
}

/// Whoever sends vehicles.
struct Dispatcher(Recorder<Peer<Fleet>>);

impl fleet::HandleClientToServer for Dispatcher {
    async fn on_enrol_req(
        &self,
        peer: &Peer<Fleet>,
        request: fleet::EnrolReq,
    ) -> Result<fleet::EnrolRsp, Status> {
        self.0.record(peer.clone());
        Ok(fleet::EnrolRsp {
            first: request.place,
        })
    }
}

/// A vehicle whose program was compiled for clients alone.
struct Vehicle(Recorder<String>);

impl fleet_client::HandleServerToClient for Vehicle {
    async fn on_load_req(
        &self,
        _: &Client<fleet_client::Fleet>,
        request: Parcel,
    ) -> Result<fleet_client::LoadRsp, Status> {
        Ok(fleet_client::LoadRsp {
            content_len: request.content.len() as u64,
            parcel: Some(request),
        })
    }

    async fn on_notice_ind(
        &self,
        _: &Client<fleet_client::Fleet>,
        message: fleet_client::NoticeInd,
    ) {
        self.0.record(message.text);
    }
}

#[tokio::test]
async fn a_parcel_goes_through_two_protocols() {
    use depot::SendClientToServer as _;
    use fleet_client::SendClientToServer as _;

    let server = Server::<Fleet>::bind("mem://packages-fleet")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let (enrolled, mut vehicles) = recorder();
    let _fleet = tokio::spawn(server.serve(Dispatcher(enrolled)));
    let (notices, _) = recorder();
    let vehicle = Client::<fleet_client::Fleet>::builder(&url)
        .handler(Vehicle(notices))
        .connect()
        .await
        .expect("connects");
    let welcome = vehicle
        .enrol_req(fleet_client::EnrolReq {
            name: "van".into(),
            place: Some(place(1.0)),
        })
        .await
        .expect("answers");
    assert_eq!(welcome.first, Some(place(1.0)));
    let vehicle_peer = soon("the vehicle", vehicles.recv()).await.expect("lives");

    let server = Server::<Depot>::bind("mem://packages-depot")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let _depot = tokio::spawn(server.serve(House(vehicle_peer)));
    let customer = Client::<Depot>::connect(&url).await.expect("connects");
    let kept = customer.keep_req(parcel(7)).await.expect("answers");
    assert_eq!(kept.place, Some(place(3.0)));
}

/// Whoever sends vehicles, compiled for servers alone.
struct ServerAlone;

impl fleet_server::HandleClientToServer for ServerAlone {
    async fn on_enrol_req(
        &self,
        peer: &Peer<fleet_server::Fleet>,
        request: fleet_server::EnrolReq,
    ) -> Result<fleet_server::EnrolRsp, Status> {
        use fleet_server::{BroadcastServerToClient as _, SendServerToClient as _};
        let loaded = peer.load_req(parcel(8)).await?;
        let told = peer.everyone().notice_ind(fleet_server::NoticeInd {
            text: format!("{} has {:?}", request.name, loaded.parcel),
        });
        assert_eq!(told, 1);
        Ok(fleet_server::EnrolRsp { first: None })
    }
}

#[tokio::test]
async fn each_side_alone_speaks_with_the_other() {
    use fleet_client::SendClientToServer as _;

    assert_eq!(fleet_client::Fleet::NAME, fleet_server::Fleet::NAME);
    assert_eq!(
        fleet_client::Fleet::fingerprint(),
        fleet_server::Fleet::fingerprint()
    );
    assert_eq!(fleet_client::Fleet::fingerprint(), Fleet::fingerprint());
    assert_ne!(Fleet::fingerprint(), Depot::fingerprint());

    let server = Server::<fleet_server::Fleet>::bind("mem://packages-sides")
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let _server = tokio::spawn(server.serve(ServerAlone));
    let (told, mut notices) = recorder();
    let vehicle = Client::<fleet_client::Fleet>::builder(&url)
        .handler(Vehicle(told))
        .connect()
        .await
        .expect("connects");
    vehicle
        .enrol_req(fleet_client::EnrolReq {
            name: "van".into(),
            place: None,
        })
        .await
        .expect("answers");
    let notice = soon("a notice", notices.recv()).await.expect("lives");
    assert!(notice.contains("van has"), "{notice}");
    assert!(notice.contains("number: 8"), "{notice}");
}
