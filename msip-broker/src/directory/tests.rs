//! Identities and listeners to principals and rights.

use std::net::SocketAddr;

use msip_runtime::{
    Identity,
    transport::{PeerAddress, ServiceUrl},
};

use super::{BoundListener, Directory};
use crate::{
    access::{Access, Rights, Role, Uses},
    config::Config,
    topic::TopicFilter,
};

const ROLES: &str = "
[roles.sensor]
publish = ['plant/+']
messages_per_second = 100

[roles.gateway]
messages_per_second = 1000
bytes_per_second = '1MiB'

[roles.reader]
subscribe = { allow = ['plant/#'], deny = ['plant/secret'] }

[principals.ada]
roles = ['reader']
publish = ['notes/ada']
messages_per_second = 10
bytes_per_second = '512KiB'

[principals.plant]
roles = ['sensor', 'service']
";

const KEYS: &str = "[keys]\nfile = 'keys'\n";

/// A directory of a broker that listens at these URLs.
fn directory(text: &str, urls: &[&str]) -> Directory {
    let mut config = Config::from_toml(text).unwrap();
    let urls: Vec<_> = urls.iter().map(|url| (*url).to_owned()).collect();
    config.listen_instead(&urls).unwrap();
    let directory = Directory::new(&config);
    let bound = config.listeners.iter().map(|listener| {
        let url = ServiceUrl::parse(&listener.url).unwrap();
        BoundListener::new(0, &url, listener)
    });
    directory.bound(&config, bound.collect());
    directory
}

fn at(address: &str) -> PeerAddress {
    match address.parse::<SocketAddr>() {
        Ok(address) => address.into(),
        Err(_) => PeerAddress::Named(address.into()),
    }
}

fn of(rights: &Rights, what: Uses, topic: &str) -> Access {
    rights.filter(what, &TopicFilter::new(topic).unwrap())
}

fn may(rights: &Rights, what: Uses, topic: &str) -> bool {
    of(rights, what, topic) == Access::Allowed
}

#[test]
fn rights_are_those_of_all_roles_and_of_the_name() {
    let directory = directory(ROLES, &[]);
    let ada = Identity::new("api-key")
        .with_user("ada")
        .with_role("sensor");
    let (principal, rights) = directory.of_identity(Some(&ada));
    assert_eq!(principal.name(), "ada");
    assert_eq!(rights.role, Role::Client);
    assert!(
        may(&rights, Uses::Publish, "plant/1"),
        "by the role of her key"
    );
    assert!(may(&rights, Uses::Publish, "notes/ada"), "by her name");
    assert!(
        may(&rights, Uses::Subscribe, "plant/1"),
        "by the role of her name"
    );
    let secret = of(&rights, Uses::Subscribe, "plant/secret");
    assert_eq!(secret, Access::Denied, "though another filter allows it");
    assert!(!may(&rights, Uses::Publish, "notes/eve"));

    let stranger = Identity::new("api-key")
        .with_user("eve")
        .with_role("no such role");
    let (_, rights) = directory.of_identity(Some(&stranger));
    assert_eq!(*rights, Rights::none());
    let (_, rights) = directory.of_identity(None);
    assert_eq!(*rights, Rights::none());
}

#[test]
fn whoever_issues_tokens_gives_roles_and_no_names() {
    let directory = directory(ROLES, &[]);
    let ada = Identity::new("jwt")
        .with_issuer("https://login")
        .with_user("ada")
        .with_role("sensor");
    let (principal, rights) = directory.of_identity(Some(&ada));
    assert_eq!(principal.name(), "https://login ada");
    assert!(may(&rights, Uses::Publish, "plant/1"));
    assert!(
        !may(&rights, Uses::Publish, "notes/ada"),
        "that is another ada"
    );
}

#[test]
fn nearness_counts_only_where_there_are_no_keys() {
    let urls = [
        "tcp://127.0.0.1:9000",
        "tcp://0.0.0.0:9001?insecure=true",
        "unix:///run/msip.sock",
        "mem://plant",
        "tcp://[::1]:9002",
    ];
    let near = [
        "127.0.0.1:9000",
        "unix:///run/msip.sock",
        "mem://plant",
        "[::1]:9002",
    ];
    // The last but one is a client on this machine of a listener for all: a proxy looks the same.
    let far = [
        "10.0.0.7:9001",
        "[::ffff:10.0.0.7]:9001",
        "127.0.0.1:9001",
        "127.0.0.1:1",
    ];
    let open = directory(ROLES, &urls);
    let closed = directory(&format!("{KEYS}{ROLES}"), &urls);
    for local in near.iter().chain(&far) {
        let is_near = near.contains(local);
        let expected = if is_near {
            Rights::all()
        } else {
            Rights::none()
        };
        let identity = open.anonymous(&at(local)).unwrap();
        assert_eq!(*open.of_identity(Some(&identity)).1, expected, "{local}");
        // A service is told nothing of it.
        assert!(identity.roles.is_empty() && identity.subject().is_empty());
        let mip = open.of_mip(&at(local));
        assert_eq!((*mip.rights).clone(), expected, "{local}");
        assert_eq!(mip.may_resume, is_near, "{local}");

        assert_eq!(closed.anonymous(&at(local)), None, "{local}");
        assert_eq!(*closed.of_mip(&at(local)).rights, Rights::none(), "{local}");
    }
    // A name or role like the method is nothing to anybody.
    let near = open.anonymous(&at("127.0.0.1:9000")).unwrap().method;
    let identity = Identity::new("jwt").with_user(&near).with_role(&near);
    assert_eq!(*open.of_identity(Some(&identity)).1, Rights::none());
}

#[test]
fn anonymous_peers_can_be_given_rights() {
    let text = format!("{KEYS}{ROLES}[principals.anonymous]\nroles = ['reader']\n");
    let directory = directory(&text, &["tcp://127.0.0.1:9000"]);
    let identity = directory.anonymous(&at("127.0.0.1:9000")).unwrap();
    let (principal, rights) = directory.of_identity(Some(&identity));
    assert_eq!(principal.name(), "anonymous");
    assert!(may(&rights, Uses::Subscribe, "plant/1") && !may(&rights, Uses::Publish, "plant/1"));
    assert_eq!(directory.of_mip(&at("127.0.0.1:9000")).rights, rights);
}

#[test]
fn a_mip_peer_is_whom_its_listener_says() {
    let urls = [
        "tcp://0.0.0.0:9000?insecure=true&principal=plant",
        "tcp://127.0.0.1:9000?mip_resume=false",
        "tcp://0.0.0.0:9001?insecure=true&principal=ada&mip_resume=false",
    ];
    let directory = directory(ROLES, &urls);
    let plant = directory.of_mip(&at("10.0.0.7:9000"));
    assert_eq!(
        (plant.principal.name(), plant.rights.role),
        ("plant", Role::Service)
    );
    assert!(may(&plant.rights, Uses::Publish, "plant/1") && plant.may_resume);
    let near = directory.of_mip(&at("127.0.0.1:9000"));
    assert_eq!(
        (near.principal.name(), near.may_resume),
        ("anonymous", false)
    );
    let ada = directory.of_mip(&at("10.0.0.7:9001"));
    assert_eq!((ada.principal.name(), ada.may_resume), ("ada", false));
}

#[test]
fn what_is_said_of_roles_and_principals_can_change() {
    let directory = directory(ROLES, &["tcp://0.0.0.0:9000?insecure=true&principal=plant"]);
    let ada = Identity::new("api-key").with_user("ada");
    assert!(may(
        &directory.of_identity(Some(&ada)).1,
        Uses::Publish,
        "notes/ada"
    ));
    directory
        .reload(&Config::from_toml("[principals.ada]\nserve = ['a']\n[principals.plant]").unwrap());
    let (_, rights) = directory.of_identity(Some(&ada));
    assert!(!may(&rights, Uses::Publish, "notes/ada"));
    assert_eq!(
        directory.of_mip(&at("10.0.0.7:9000")).principal.name(),
        "plant",
        "listeners stay"
    );
}

#[test]
fn limits_are_the_largest_of_the_roles_unless_the_principal_has_its_own() {
    let directory = directory(ROLES, &[]);
    let limits = |user: &str, roles: &[&str]| {
        let identity = Identity::new("api-key")
            .with_user(user)
            .with_roles(roles.iter().copied());
        let limits = directory.of_identity(Some(&identity)).1.limits;
        (limits.messages_per_second, limits.bytes_per_second)
    };
    assert_eq!(limits("eve", &["reader"]), (None, None));
    assert_eq!(limits("eve", &["sensor"]), (Some(100), None));
    assert_eq!(
        limits("eve", &["gateway", "sensor"]),
        (Some(1000), Some(1 << 20))
    );
    assert_eq!(limits("ada", &["gateway"]), (Some(10), Some(512 << 10)));
}
