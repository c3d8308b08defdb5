use std::{fs, time::Duration};

use super::{
    super::watched_file::{CHECK_INTERVAL, TestFile},
    *,
};

fn write(file: &TestFile, lines: &[String]) {
    fs::write(&file.0, lines.join("\n")).unwrap();
}

/// Whose the key is.
async fn owner(keys: &ApiKeys, key: &str) -> Result<Option<String>, String> {
    let client = ConnectRequest::stub(key.as_bytes());
    let answer = keys.authenticate(&client).await;
    answer
        .map(|identity| identity.map(|identity| identity.user))
        .map_err(|status| {
            assert_eq!(status.code(), crate::Code::Unauthenticated);
            status.message().to_owned()
        })
}

#[tokio::test]
async fn a_key_lets_its_owner_in_and_whatever_is_wrong_with_one_is_refused() {
    let [ada, old, stranger] = [(); 3].map(|()| ApiKey::generate().unwrap());
    let past = SystemTime::now() - Duration::from_secs(1);
    let keys = ApiKeys::from_entries([
        ada.entry("ada").with_role("operator"),
        old.entry("old").expires_at(past),
    ])
    .unwrap();
    let client = ConnectRequest::stub(ada.as_str().as_bytes());
    let identity = keys.authenticate(&client).await.unwrap().unwrap();
    assert_eq!(
        identity,
        Identity::new("api-key")
            .with_user("ada")
            .with_role("operator")
    );
    let bearer = keys.identify(ada.as_str().as_bytes()).await;
    assert_eq!(bearer.unwrap(), Some(identity), "by another way");

    for other in ["", "hunter2", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "MSIP_1"] {
        assert_eq!(owner(&keys, other).await, Ok(None), "left to the next");
    }
    let id = |key: &ApiKey| key.as_str()[5..21].to_owned();
    let forged = format!("{}{}", &ada.as_str()[..22], &old.as_str()[22..]);
    let cases = [
        ("msip_".to_owned(), "malformed API key".to_owned()),
        (format!("{} ", ada.as_str()), "malformed API key".to_owned()),
        (
            stranger.as_str().to_owned(),
            format!("no API key has the id {}", id(&stranger)),
        ),
        (
            forged,
            format!("wrong secret for the API key {} of ada", id(&ada)),
        ),
        (
            old.as_str().to_owned(),
            format!("the API key {} of old has expired", id(&old)),
        ),
    ];
    for (key, why) in cases {
        assert_eq!(owner(&keys, &key).await, Err(why));
    }
    assert_eq!(format!("{keys:?}"), "ApiKeys { path: None, len: 2 }");
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_again_when_it_has_changed_and_a_bad_one_changes_nothing() {
    let file = TestFile::new("api-keys");
    let [ada, bob] = [(); 2].map(|()| ApiKey::generate().unwrap());
    let line = |key: &ApiKey, name: &str| key.entry(name).to_string();
    write(
        &file,
        &["# who".to_owned(), String::new(), line(&ada, "ada")],
    );
    let keys = ApiKeys::from_file(&file.0).unwrap();
    let ada_is = async |expected| assert_eq!(owner(&keys, ada.as_str()).await, expected);
    let bob_is = async |expected| assert_eq!(owner(&keys, bob.as_str()).await, expected);
    let unknown = || Err(format!("no API key has the id {}", &bob.as_str()[5..21]));
    ada_is(Ok(Some("ada".to_owned()))).await;
    bob_is(unknown()).await;

    // It is looked at once a second.
    write(&file, &[line(&ada, "ada"), line(&bob, "bob")]);
    bob_is(unknown()).await;
    tokio::time::advance(CHECK_INTERVAL).await;
    bob_is(Ok(Some("bob".to_owned()))).await;

    write(&file, &[line(&ada, "ada"), "bob".to_owned()]);
    tokio::time::advance(CHECK_INTERVAL).await;
    bob_is(Ok(Some("bob".to_owned()))).await;
    let error = keys.reload().unwrap_err().to_string();
    assert!(error.contains(":2: write NAME ID HASH"), "{error}");
    fs::remove_file(&file.0).unwrap();
    tokio::time::advance(CHECK_INTERVAL).await;
    bob_is(Ok(Some("bob".to_owned()))).await;
    assert!(matches!(keys.reload(), Err(ApiKeysError::Io { .. })));

    write(&file, &[line(&ada, "ada")]);
    keys.clone().reload().unwrap();
    bob_is(unknown()).await;
    ada_is(Ok(Some("ada".to_owned()))).await;
}

#[test]
fn a_name_has_two_keys_at_most_so_that_one_can_follow_the_other() {
    let keys = [(); 3].map(|()| ApiKey::generate().unwrap());
    let entries = || keys.iter().map(|key| key.entry("ada"));
    assert_eq!(ApiKeys::from_entries(entries().take(2)).unwrap().len(), 2);
    let error = ApiKeys::from_entries(entries()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "API key of \"ada\": `ada` has 2 keys already, and no more are allowed: remove the older one"
    );
    let twice = [keys[0].entry("ada"), keys[0].entry("bob")];
    let error = ApiKeys::from_entries(twice).unwrap_err().to_string();
    assert!(error.ends_with("is there twice"), "{error}");
    let error = ApiKeys::from_entries([keys[0].entry("a b")]).unwrap_err();
    assert!(
        error.to_string().contains("a name has 1 to 128 bytes"),
        "{error}"
    );
}

#[test]
fn whoever_has_shown_a_key_has_what_the_keys_of_its_name_still_have() {
    let [old, new, relay] = [(); 3].map(|()| ApiKey::generate().unwrap());
    let table = |entries: Vec<ApiKeyEntry>| ApiKeys::from_entries(entries).unwrap();
    let shown = Identity::new("api-key")
        .with_user("ada")
        .with_role("reads")
        .with_role("writes");
    let cases = [
        (
            vec![old.entry("ada").with_role("writes"), new.entry("ada")],
            Some(vec!["writes"]),
        ),
        (vec![new.entry("ada").with_role("admin")], Some(vec![])),
        (vec![relay.entry("ada").of_service()], None),
        (vec![relay.entry("bob").with_role("writes")], None),
    ];
    for (entries, expected) in cases {
        let current = table(entries).current(&shown);
        let roles = current.map(|identity| {
            assert_eq!(identity.user, "ada");
            identity.roles
        });
        assert_eq!(
            roles,
            expected.map(|roles| roles.into_iter().map(str::to_owned).collect())
        );
    }
    let other = Identity::new("certificate").with_user("ada");
    assert_eq!(
        table(vec![]).current(&other),
        Some(other),
        "of another method"
    );
}
