//! Who a client is by its certificate, and by a key where it has none, at a server that listens at two addresses.

use msip_runtime::{
    Client, Server,
    auth::{ApiKey, ApiKeys, ClientCertificates},
};
use msip_tests::{Authority, LabServer, SeenByServer, connected, lab::Lab, next, soon};

use super::connect;

#[tokio::test]
async fn a_certificate_says_who_it_is_and_a_key_where_there_is_none() {
    let authority = Authority::new("authority");
    let key = ApiKey::generate().expect("random numbers");
    let keys = ApiKeys::from_entries([key.entry("ada")]).expect("is right");
    let folder = tempfile::tempdir().expect("a folder");
    let socket = format!("unix://{}", folder.path().join("lab.sock").display());
    let server = Server::<Lab>::builder("tls://127.0.0.1:0?client_auth=ask")
        .tls(
            authority
                .issue_local()
                .server_tls()
                .client_ca(authority.ca()),
        )
        .also(&socket)
        .authenticate(
            ClientCertificates::new()
                .uri("spiffe://example/relay", "relay", ["relay"])
                .dns("billing.example", "billing", ["reader"])
                .email("ada@example", "ada", ["operator"]),
        )
        .authenticate(keys)
        .bind()
        .await
        .expect("listens");
    let url = server.local_url().to_string();
    let (handler, mut events) = LabServer::new();
    tokio::spawn(server.serve(handler));
    let trusting = || authority.client_tls();
    let shown = |uri| authority.issue_client(&["relay.example"], &[uri], &[]);

    // A name of each kind, and who it says it is: a service, or a user.
    let issue =
        |dns: &[&str], uris: &[&str], emails: &[&str]| authority.issue_client(dns, uris, emails);
    for (issued, subject, service, user, role) in [
        (
            issue(&[], &["spiffe://example/relay"], &[]),
            "uri:spiffe://example/relay",
            "relay",
            "",
            "relay",
        ),
        (
            issue(&["Billing.example"], &[], &[]),
            "dns:billing.example",
            "billing",
            "",
            "reader",
        ),
        (
            issue(&["laptop.example"], &[], &["ada@example"]),
            "email:ada@example",
            "",
            "ada",
            "operator",
        ),
    ] {
        let tls = trusting().identity(issued.cert(), issued.key());
        let client = connect(&url, tls).await.expect("connects");
        let peer = connected(&mut events).await;
        let identity = peer.identity().expect("is known");
        assert_eq!(identity.method, "certificate");
        assert_eq!(identity.subject(), subject);
        assert_eq!((&*identity.service, &*identity.user), (service, user));
        assert_eq!(identity.roles, [role]);
        client.close().await;
        assert!(matches!(
            next(&mut events).await,
            SeenByServer::Disconnected(_)
        ));
    }

    // Whose certificate is not listed has no other try.
    let other = shown("spiffe://example/other");
    let tls = trusting().identity(other.cert(), other.key());
    let client = Client::<Lab>::builder(&url)
        .tls(tls)
        .credential(key.as_str());
    let refused = soon("a refusal", client.connect())
        .await
        .expect_err("is refused");
    assert!(refused.to_string().contains("UNAUTHENTICATED"), "{refused}");

    let over_tls = Client::<Lab>::builder(&url).tls(trusting());
    let over_unix = Client::<Lab>::builder(&socket);
    for client in [over_tls, over_unix] {
        let client = client.credential(key.as_str()).connect();
        let client = soon("a client", client).await.expect("connects");
        let identity = connected(&mut events).await.identity().expect("is known");
        assert_eq!((&*identity.method, &*identity.user), ("api-key", "ada"));
        client.close().await;
        assert!(matches!(
            next(&mut events).await,
            SeenByServer::Disconnected(_)
        ));
    }
}
