//! Certificates that are refused, by either end: what the client says, and what the server says of it.

use msip_runtime::{
    Client, ConnectError,
    transport::{ClientTls, Listener, ServiceUrl, TlsError},
};
use msip_tests::{Authority, Issued, lab::Lab, soon};

use super::{connect, is_served, serve};

/// What both say of a handshake that fails.
struct Told {
    client: TlsError,
    server: String,
}

/// A client that comes to a server with this certificate, which asks for certificates of `client_ca`, if given.
async fn both_told(issued: &Issued, client_ca: Option<&Authority>, tls: ClientTls) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    issued.write(folder.path(), "server").expect("written");
    let mut url = format!(
        "tls://127.0.0.1:0?cert={}&key={}",
        path("server.pem"),
        path("server.key")
    );
    if let Some(authority) = client_ca {
        std::fs::write(path("client_ca.pem"), authority.pem()).expect("written");
        url = format!("{url}&client_ca={}", path("client_ca.pem"));
    }
    let url: ServiceUrl = url.parse().expect("a URL");
    let listener = Listener::bind(&url).await.expect("listens");
    let at = listener.local_url().to_string();
    let upgrading = async { listener.accept().await.expect("accepted").upgrade().await };
    let (client, server) = tokio::join!(
        Client::<Lab>::builder(at).tls(tls).connect(),
        soon("the end of the handshake", upgrading)
    );
    let client = match client {
        Err(ConnectError::Tls { source, .. }) => source,
        other => panic!("{other:?}"),
    };
    let server = server.expect_err("fails").to_string();
    Told { client, server }
}

#[tokio::test]
async fn an_expired_certificate_of_a_server() {
    let authority = Authority::new("authority");
    let told = both_told(&authority.issue_expired(), None, authority.client_tls()).await;
    assert!(matches!(told.client, TlsError::Expired { .. }));
    let text = told.client.to_string();
    assert!(
        text.starts_with("the server's certificate expired "),
        "{text}"
    );
    assert!(text.contains(" days ago: renew it"), "{text}");
    assert_eq!(
        told.server,
        "the client refused this server's certificate: it has expired"
    );
}

#[tokio::test]
async fn a_certificate_for_another_name() {
    let authority = Authority::new("authority");
    let issued = authority.issue(&["chat.example", "192.0.2.1"]);
    let told = both_told(&issued, None, authority.client_tls()).await;
    assert_eq!(
        told.client.to_string(),
        "the server's certificate is not for \"127.0.0.1\", but for \"chat.example\", \"192.0.2.1\": connect by such a \
         name, or set `server_name`"
    );
    assert_eq!(
        told.server,
        "the client refused this server's certificate: it is not valid"
    );
    // The name that it is for is not the one that is connected to, but the one that is asked for.
    let (url, _events) = serve(issued.server_tls()).await;
    let tls = authority.client_tls().server_name("chat.example");
    is_served(&connect(&url, tls).await.expect("connects")).await;
}

#[tokio::test]
async fn a_self_signed_certificate_and_one_of_an_authority_that_is_not_trusted() {
    let told = both_told(
        &Issued::by_itself(),
        None,
        Authority::new("another").client_tls(),
    )
    .await;
    assert_eq!(told.client, TlsError::UnknownIssuer);
    assert_eq!(
        told.server,
        "the client refused this server's certificate: who has issued it is not trusted there"
    );
    let issued = Authority::new("authority").issue_local();
    // An authority of the same name, which has another key.
    let told = both_told(&issued, None, Authority::new("authority").client_tls()).await;
    assert_eq!(told.client, TlsError::UnknownIssuer);
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_where_it_is_named() {
    let issued = Issued::by_itself();
    let (url, _events) = serve(issued.server_tls()).await;
    let client = connect(&url, ClientTls::new().ca(issued.cert())).await;
    is_served(&client.expect("connects")).await;
}

#[tokio::test]
async fn a_client_without_a_certificate_where_one_is_required() {
    let authority = Authority::new("authority");
    let issued = authority.issue_local();
    let told = both_told(&issued, Some(&authority), authority.client_tls()).await;
    assert_eq!(told.client, TlsError::ClientCertificateRequired);
    assert_eq!(
        told.server,
        "the client has shown no certificate, and `client_auth` requires one"
    );
}

#[tokio::test]
async fn a_client_certificate_of_another_authority_an_expired_one_and_one_of_a_server() {
    let authority = Authority::new("authority");
    let issued = authority.issue_local();
    let trusting = |shown: &Issued| authority.client_tls().identity(shown.cert(), shown.key());
    let foreign = Authority::new("another").issue_client(&["relay"], &[], &[]);
    let told = both_told(&issued, Some(&authority), trusting(&foreign)).await;
    assert_eq!(
        told.client,
        TlsError::ClientCertificateRefused("who has issued it is not trusted there".to_owned())
    );
    assert_eq!(
        told.server,
        "the client's certificate is not valid: nobody who is trusted here has issued it"
    );
    let told = both_told(
        &issued,
        Some(&authority),
        trusting(&authority.issue_expired()),
    )
    .await;
    assert_eq!(
        told.client,
        TlsError::ClientCertificateRefused("it has expired".to_owned())
    );
    assert_eq!(
        told.server,
        "the client's certificate is not valid: it has expired"
    );
}
