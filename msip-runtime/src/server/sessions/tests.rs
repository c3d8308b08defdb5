use super::*;
use crate::{
    Identity,
    transport::{CertificateName, PeerCredential},
};

const KEPT: Duration = Duration::from_secs(3600);

fn id(number: u64) -> SessionId {
    SessionId::new(number).unwrap()
}

fn claim(sessions: &Arc<Sessions>, number: u64, secret: &[u8]) -> Claim {
    sessions.claim(
        id(number),
        &key(secret, "chat", &PeerCredential::None),
        true,
    )
}

fn key<'a>(secret: &'a [u8], protocol: &'a str, credential: &'a PeerCredential) -> SessionKey<'a> {
    SessionKey {
        secret,
        protocol,
        principal: Principal::OfTransport(credential),
    }
}

fn begin(sessions: &Arc<Sessions>, number: u64) -> (Registration, ResumedReceiver) {
    match claim(sessions, number, b"secret") {
        Claim::New(registration, resumed) => (registration, resumed),
        claim => panic!("{claim:?}"),
    }
}

#[test]
fn a_session_is_found_by_its_id_and_secret() {
    let sessions = Sessions::new(10, &Arc::default());
    let (registration, _arrivals) = begin(&sessions, 1);
    assert!(matches!(claim(&sessions, 1, b"guess"), Claim::Refused));
    let other_protocol = key(b"secret", "shop", &PeerCredential::None);
    assert!(matches!(
        sessions.claim(id(1), &other_protocol, true),
        Claim::Refused
    ));
    assert!(matches!(claim(&sessions, 1, b"secret"), Claim::Known(_)));
    drop(registration);
    begin(&sessions, 1);
}

#[test]
fn where_there_is_no_place_a_session_is_found_and_none_begins() {
    let sessions = Sessions::new(10, &Arc::default());
    let (_registration, _arrivals) = begin(&sessions, 1);
    let claim = |number, secret| {
        let key = key(secret, "chat", &PeerCredential::None);
        sessions.claim(id(number), &key, false)
    };
    assert!(matches!(claim(1, b"secret"), Claim::Known(_)));
    assert!(matches!(claim(1, b"guess"), Claim::Refused));
    assert!(matches!(claim(2, b"secret"), Claim::NoPlace));
    assert_eq!(sessions.lock().sessions.len(), 1);
}

#[test]
fn a_session_is_resumed_only_with_the_credential_that_began_it() {
    let names = |names: &[&str]| {
        let names = names
            .iter()
            .map(|name| CertificateName::Dns((*name).to_owned()));
        PeerCredential::CertificateNames(names.collect())
    };
    let all = [
        PeerCredential::None,
        PeerCredential::UnixUser { uid: 1, gid: 1 },
        PeerCredential::UnixUser { uid: 2, gid: 1 },
        names(&["ab", "c"]),
        names(&["a", "bc"]),
        PeerCredential::CertificateNames(Arc::new([CertificateName::Uri("abc".to_owned())])),
        PeerCredential::CertificateNames(Arc::new([CertificateName::Email("abc".to_owned())])),
    ];
    let sessions = Sessions::new(10, &Arc::default());
    for (number, own) in (1..).zip(&all) {
        let _begun = sessions.claim(id(number), &key(b"secret", "chat", own), true);
        for other in &all {
            let resumed = sessions.claim(id(number), &key(b"secret", "chat", other), true);
            assert_eq!(
                matches!(resumed, Claim::Known(_)),
                own == other,
                "{own:?} {other:?}"
            );
        }
    }
}

#[test]
fn a_session_is_resumed_only_by_the_principal_that_began_it() {
    let all = [
        Identity::new("token").with_user("ada"),
        Identity::new("token").with_user("bob"),
        Identity::new("jwt").with_user("ada"),
        Identity::new("jwt").with_user("ada").with_issuer("north"),
        Identity::new("jwt").with_user("ad").with_issuer("anorth"),
    ];
    let none = PeerCredential::None;
    let sessions = Sessions::new(10, &Arc::default());
    let claim = |number, identity: Option<&Identity>| {
        let key = SessionKey {
            secret: b"secret",
            protocol: "chat",
            principal: Principal::of(identity, &none),
        };
        sessions.claim(id(number), &key, true)
    };
    for (number, own) in (1..).zip(&all) {
        let _begun = claim(number, Some(own));
        let changed = own.clone().with_role("operator").with_service("billing");
        let resumed = claim(number, Some(&changed));
        assert!(matches!(resumed, Claim::Known(_)), "{own:?} {resumed:?}");
        for other in all.iter().filter(|other| *other != own) {
            let claimed = claim(number, Some(other));
            assert!(matches!(claimed, Claim::Refused), "{own:?} {other:?}");
        }
        let claimed = claim(number, None);
        assert!(matches!(claimed, Claim::Refused), "{own:?} and nobody");
    }
}

#[test]
fn the_oldest_without_a_connection_makes_room() {
    let sessions = Sessions::new(2, &Arc::default());
    let mut begun: Vec<_> = (1..=4).map(|number| begin(&sessions, number)).collect();
    for (registration, _) in &begun[..3] {
        registration.detached(true, KEPT);
    }
    assert!(begun[0].1.is_over(), "ended");
    assert!(matches!(claim(&sessions, 2, b"secret"), Claim::Known(_)));
    begun[1].0.attached();
    begun[3].0.detached(true, KEPT);
    assert!(matches!(claim(&sessions, 2, b"secret"), Claim::Known(_)));
    assert!(matches!(claim(&sessions, 3, b"secret"), Claim::Known(_)));
    drop(begun.remove(0));
    assert_eq!(sessions.lock().sessions.len(), 3);
}

#[test]
fn sessions_that_nobody_may_know_of_make_room_for_others() {
    let sessions = Sessions::new(2, &Arc::default());
    let mut begun: Vec<_> = (1..=4).map(|number| begin(&sessions, number)).collect();
    let is_known = |number| matches!(claim(&sessions, number, b"secret"), Claim::Known(_));
    for (index, is_confirmed) in [(0, true), (1, false), (2, true)] {
        begun[index].0.detached(is_confirmed, KEPT);
    }
    assert!(is_known(1) && begun[1].1.is_over() && is_known(3));
    // A client that has come back, and was heard, is like any other.
    begun.remove(1);
    begun[0].0.attached();
    begun[2].0.detached(false, KEPT);
    begun[2].0.attached();
    begun[2].0.detached(true, KEPT);
    begun[0].0.detached(true, KEPT);
    assert!(begun[1].1.is_over(), "the oldest");
    assert!(is_known(1) && is_known(4));
}

#[test]
fn a_session_that_ended_does_not_take_a_later_one_with_it() {
    let sessions = Sessions::new(10, &Arc::default());
    let (old, resumed) = begin(&sessions, 1);
    drop(resumed);
    let (_new, _arrivals) = begin(&sessions, 1);
    drop(old);
    assert!(matches!(claim(&sessions, 1, b"secret"), Claim::Known(_)));
}
