use std::fs;

use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use serde_json::json;

use super::{
    super::watched_file::{CHECK_INTERVAL, TestFile},
    *,
};
use crate::Code;

/// Made with openssl: a key, and a token that ends in 2100.
const RSA_PEM: &str = include_str!("testdata/rsa.pem");
const RSA_JWKS: &str = include_str!("testdata/rsa.jwks.json");
const RSA_TOKEN: &str = include_str!("testdata/rsa.jwt");
const SMALL_RSA_PEM: &str = include_str!("testdata/rsa-1024.pem");

const ISSUER: &str = "https://login";
const OTHER: &str = "https://other";

fn base64(bytes: &[u8], last: &[u8; 2]) -> String {
    let digits: Vec<u8> = (b'A'..=b'Z')
        .chain(b'a'..=b'z')
        .chain(b'0'..=b'9')
        .chain(*last)
        .collect();
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .fold(0, |group, &byte| group << 8 | usize::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(digits[group >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    base64(bytes.as_ref(), b"-_")
}

fn pem(prefix: &str, key: &[u8]) -> String {
    let prefix: Vec<u8> = (0..prefix.len() / 2)
        .map(|at| u8::from_str_radix(&prefix[2 * at..2 * at + 2], 16).unwrap())
        .collect();
    let body = base64(&[&prefix, key].concat(), b"+/");
    let padding = "=".repeat((4 - body.len() % 4) % 4);
    format!("-----BEGIN PUBLIC KEY-----\n{body}{padding}\n-----END PUBLIC KEY-----\n")
}

/// Who signs tokens.
struct Issuer {
    ed: Ed25519KeyPair,
    ec: EcdsaKeyPair,
}

impl Issuer {
    fn new(seed: u8) -> Self {
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            ed: Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap(),
            ec: EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap(),
        }
    }

    fn ed_pem(&self) -> String {
        pem("302a300506032b6570032100", self.ed.public_key().as_ref())
    }

    fn ec_pem(&self) -> String {
        let prefix = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        pem(prefix, self.ec.public_key().as_ref())
    }

    fn keys(&self) -> JwtKeys {
        JwtKeys::from_jwks(self.key_set()).unwrap()
    }

    fn key_set(&self) -> String {
        let point = self.ec.public_key().as_ref();
        let set = json!({"keys": [
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "ed",
             "x": base64url(self.ed.public_key())},
            {"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "ec", "use": "sig",
             "x": base64url(&point[1..33]), "y": base64url(&point[33..])},
            {"kty": "oct", "alg": "HS256", "k": "c2VjcmV0"},
            {"kty": "RSA", "alg": "RSA-OAEP", "use": "enc", "n": "AQAB", "e": "AQAB"},
        ]});
        set.to_string()
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            base64url(header.to_string()),
            base64url(claims.to_string())
        );
        let signature = match header["alg"].as_str() {
            Some("ES256") => {
                let signature = self.ec.sign(&SystemRandom::new(), message.as_bytes());
                base64url(signature.unwrap())
            }
            _ => base64url(self.ed.sign(message.as_bytes())),
        };
        format!("{message}.{signature}")
    }
}

/// Seconds since 1970, so many after now.
fn after_now(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap() + seconds
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "chat", "sub": "ada", "exp": after_now(60)})
}

/// The same with one claim changed, or without it where it is null.
fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

async fn ask(jwt: &Jwt, token: &str) -> Result<Option<Identity>, String> {
    let client = ConnectRequest::stub(token.as_bytes());
    jwt.authenticate(&client).await.map_err(|status| {
        assert_eq!(status.code(), Code::Unauthenticated);
        status.message().to_owned()
    })
}

#[tokio::test]
async fn tokens_of_each_algorithm_say_who_it_is() {
    let issuer = Issuer::new(1);
    let jwt = Jwt::new("chat").issuer(ISSUER, issuer.keys());
    let claims = claims_with("roles", json!(["operator", 7, "auditor"]));
    let expires = claims["exp"].as_u64().unwrap();
    for header in [
        json!({"alg": "EdDSA", "kid": "ed"}),
        json!({"alg": "ES256", "kid": "ec", "typ": "JWT"}),
        json!({"alg": "EdDSA"}),
    ] {
        let identity = ask(&jwt, &issuer.token(&header, &claims)).await.unwrap();
        let expected = Identity::new("jwt")
            .with_issuer(ISSUER)
            .with_user("ada")
            .with_roles(["operator", "auditor"])
            .expires_at(UNIX_EPOCH + Duration::from_secs(expires) + LEEWAY);
        assert_eq!(identity, Some(expected), "{header}");
    }
    for (algorithm, pem) in [
        (JwtAlgorithm::EdDsa, issuer.ed_pem()),
        (JwtAlgorithm::Es256, issuer.ec_pem()),
    ] {
        let keys = JwtKeys::from_pem(algorithm, pem).unwrap();
        let jwt = Jwt::new("chat").issuer(ISSUER, keys).roles_claim("scope");
        let claims = claims_with("scope", json!("read write"));
        let header = json!({"alg": algorithm.to_string(), "kid": "whatever"});
        let identity = ask(&jwt, &issuer.token(&header, &claims)).await;
        assert_eq!(identity.unwrap().unwrap().roles, ["read", "write"]);
    }
    for keys in [
        JwtKeys::from_pem(JwtAlgorithm::Rs256, RSA_PEM),
        JwtKeys::from_jwks(RSA_JWKS),
    ] {
        let jwt = Jwt::new("chat").issuer(ISSUER, keys.unwrap());
        let identity = ask(&jwt, RSA_TOKEN.trim()).await.unwrap().unwrap();
        assert_eq!(identity.subject(), "ada");
        assert_eq!(identity.roles, ["operator", "auditor"]);
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_token_it_is_refused() {
    let (issuer, other) = (Issuer::new(1), Issuer::new(2));
    let jwt = Jwt::new("chat")
        .issuer(ISSUER, issuer.keys())
        .issuer(OTHER, other.keys());
    let ed = || json!({"alg": "EdDSA", "kid": "ed"});
    let right = issuer.token(&ed(), &claims());
    assert!(ask(&jwt, &right).await.is_ok());
    let parts: Vec<&str> = right.split('.').collect();
    let root = base64url(claims_with("sub", json!("root")).to_string());
    let with_header = |header: Value, claims: Value| issuer.token(&header, &claims);
    let with = |name: &str, value: Value| issuer.token(&ed(), &claims_with(name, value));
    let none = base64url(json!({"alg": "none"}).to_string());
    let far = after_now(3600);
    let cases = [
        // The signature.
        (
            "another subject",
            format!("{}.{root}.{}", parts[0], parts[2]),
        ),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("a short signature", right[..right.len() - 4].to_owned()),
        ("another issuer's key", other.token(&ed(), &claims())),
        (
            "another issuer's name",
            issuer.token(&ed(), &claims_with("iss", json!(OTHER))),
        ),
        ("an unknown issuer", with("iss", json!("https://evil"))),
        // The algorithm.
        ("none", format!("{none}.{}.", parts[1])),
        ("HS256", with_header(json!({"alg": "HS256"}), claims())),
        (
            "RS256",
            with_header(json!({"alg": "RS256", "kid": "ed"}), claims()),
        ),
        (
            "ES256 with the key of EdDSA",
            with_header(json!({"alg": "ES256", "kid": "ed"}), claims()),
        ),
        (
            "an unknown key",
            with_header(json!({"alg": "EdDSA", "kid": "old"}), claims()),
        ),
        (
            "an extension that must be understood",
            with_header(
                json!({"alg": "EdDSA", "kid": "ed", "crit": ["x"], "x": 1}),
                claims(),
            ),
        ),
        // The claims.
        ("no issuer", with("iss", Value::Null)),
        ("two issuers", with("iss", json!([ISSUER, OTHER]))),
        ("no audience", with("aud", Value::Null)),
        ("another audience", with("aud", json!("shop"))),
        ("other audiences", with("aud", json!(["shop", "chat2"]))),
        ("no end", with("exp", Value::Null)),
        ("an end that is text", with("exp", json!(far.to_string()))),
        ("an end beyond all numbers", with("exp", json!(1e300))),
        ("an end before the beginning", with("exp", json!(-1))),
        ("no subject", with("sub", Value::Null)),
        ("an empty subject", with("sub", json!(""))),
        ("a subject that is a number", with("sub", json!(7))),
        ("expired", with("exp", json!(after_now(-35)))),
        ("too early", with("nbf", json!(after_now(60)))),
        (
            "no JSON",
            format!("{}.{}.{}", parts[0], base64url("{"), parts[2]),
        ),
        ("no header", "ey..".to_owned()),
    ];
    for (what, token) in cases {
        let answer = ask(&jwt, &token).await;
        assert!(answer.is_err(), "{what}: {answer:?}");
    }
    for other in [
        "",
        "hunter2",
        "msip_1",
        "a.b.c",
        "ey.x",
        &format!("{right}.x"),
    ] {
        assert_eq!(
            ask(&jwt, other).await,
            Ok(None),
            "left to the next: {other}"
        );
    }
}

#[tokio::test]
async fn clocks_may_be_apart_and_a_far_end_is_one() {
    let issuer = Issuer::new(1);
    let token = |claims: &Value| issuer.token(&json!({"alg": "EdDSA"}), claims);
    let jwt = Jwt::new("chat").issuer(ISSUER, issuer.keys());
    let expired = token(&claims_with("exp", json!(after_now(-10))));
    let early = token(&claims_with("nbf", json!(after_now(10))));
    for token in [&expired, &early] {
        let identity = ask(&jwt, token).await.unwrap().unwrap();
        assert!(identity.remaining().is_some_and(|left| !left.is_zero()));
    }
    let strict = jwt.clone().leeway(Duration::ZERO);
    for token in [&expired, &early] {
        assert!(ask(&strict, token).await.is_err());
    }
    assert_eq!(jwt.leeway(Duration::from_secs(9999)).leeway, MAX_LEEWAY);
    for far in [
        json!(u64::MAX),
        json!(1e18),
        json!(after_now(60) as f64 + 0.5),
    ] {
        let answer = ask(&strict, &token(&claims_with("exp", far.clone()))).await;
        assert!(answer.is_ok(), "{far}: {answer:?}");
    }
}

#[tokio::test]
async fn keys_can_come_from_a_function_that_is_told_which_one() {
    let issuer = Issuer::new(1);
    let known = issuer.keys();
    let keys = JwtKeys::from_function(move |id| {
        let known = known.clone();
        async move {
            match id.as_deref() {
                Some("ed") => Ok(known),
                Some(_) => JwtKeys::from_jwks("{\"keys\":[]}"),
                None => Err(JwtKeyError::NoPublicKey),
            }
        }
    });
    let jwt = Jwt::new("chat").issuer(ISSUER, keys);
    let token = |header: Value| issuer.token(&header, &claims());
    assert!(
        ask(&jwt, &token(json!({"alg": "EdDSA", "kid": "ed"})))
            .await
            .is_ok()
    );
    for header in [json!({"alg": "EdDSA", "kid": "x"}), json!({"alg": "EdDSA"})] {
        let client = ConnectRequest::stub(token(header).as_bytes());
        let status = jwt.authenticate(&client).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    assert!(format!("{jwt:?}").contains("JwtKeys(function)"));
}

#[tokio::test(start_paused = true)]
async fn files_are_read_again_when_they_have_changed_and_bad_ones_change_nothing() {
    let (ada, bob) = (Issuer::new(1), Issuer::new(2));
    let (set, pem) = (TestFile::new("jwks"), TestFile::new("pem"));
    let write = |file: &TestFile, text: &str| fs::write(&file.0, text).unwrap();
    write(&set, &ada.key_set());
    write(&pem, &ada.ed_pem());
    let jwt = Jwt::new("chat")
        .issuer(ISSUER, JwtKeys::from_jwks_file(&set.0).unwrap())
        .issuer(
            OTHER,
            JwtKeys::from_pem_file(JwtAlgorithm::EdDsa, &pem.0).unwrap(),
        );
    // The issuers whose tokens are taken, signed by the one and by the other.
    let taken = async |signer: &Issuer| {
        let mut taken = Vec::new();
        for issuer in [ISSUER, OTHER] {
            let claims = claims_with("iss", json!(issuer));
            let token = signer.token(&json!({"alg": "EdDSA"}), &claims);
            if ask(&jwt, &token).await.is_ok() {
                taken.push(issuer);
            }
        }
        taken
    };
    let both = [ISSUER, OTHER];
    assert_eq!(taken(&ada).await, both);
    assert!(taken(&bob).await.is_empty());

    // They are looked at once a second.
    write(&set, &bob.key_set());
    write(&pem, &bob.ed_pem());
    assert!(taken(&bob).await.is_empty());
    tokio::time::advance(CHECK_INTERVAL).await;
    assert_eq!(taken(&bob).await, both);
    assert!(taken(&ada).await.is_empty());

    // Half of a file, no usable key, another algorithm's, nothing, too much, no file.
    let half = &ada.key_set()[..100];
    let long = " ".repeat(1024 * 1024 + 1);
    for (bad_set, bad_pem) in [
        (half, &*ada.ec_pem()),
        ("{\"keys\":[]}", ""),
        (&long, "no key"),
    ] {
        write(&set, bad_set);
        write(&pem, bad_pem);
        tokio::time::advance(CHECK_INTERVAL).await;
        assert_eq!(taken(&bob).await, both, "{bad_pem}");
        assert!(jwt.reload().is_err());
    }
    fs::remove_file(&set.0).unwrap();
    tokio::time::advance(CHECK_INTERVAL).await;
    assert_eq!(taken(&bob).await, both);
    assert!(matches!(jwt.reload(), Err(JwtKeyError::Io { .. })));

    // A good file beside a bad one is used.
    write(&pem, &ada.ed_pem());
    assert!(jwt.reload().is_err());
    assert_eq!(taken(&ada).await, [OTHER]);
    write(&set, &ada.key_set());
    jwt.clone().reload().unwrap();
    assert_eq!(taken(&ada).await, both);
}

#[test]
fn what_is_no_key_is_told_so() {
    let issuer = Issuer::new(1);
    let error = |algorithm, pem: &str| JwtKeys::from_pem(algorithm, pem).unwrap_err().to_string();
    assert_eq!(
        error(JwtAlgorithm::Es256, &issuer.ed_pem()),
        "it is not a key for ES256"
    );
    assert_eq!(
        error(JwtAlgorithm::EdDsa, RSA_PEM),
        "it is not a key for EdDSA"
    );
    assert_eq!(
        error(JwtAlgorithm::Rs256, &issuer.ec_pem()),
        "it is not a key for RS256"
    );
    assert!(error(JwtAlgorithm::EdDsa, "hello").starts_with("it holds no public key in PEM"));
    let error = |json: &str| JwtKeys::from_jwks(json).unwrap_err();
    assert!(matches!(error("{"), JwtKeyError::NoKeySet(_)));
    assert!(matches!(error("{\"keys\":[]}"), JwtKeyError::NoUsableKey));
    let many = json!({"keys": vec![json!({"kty": "oct", "k": "AA"}); 65]});
    assert!(matches!(
        error(&many.to_string()),
        JwtKeyError::TooManyKeys { count: 65 }
    ));
    assert!(matches!(
        JwtKeys::from_jwks_file("/no/such/file").unwrap_err(),
        JwtKeyError::Io { .. }
    ));
    // It is a key, with which no token is taken.
    assert!(JwtKeys::from_pem(JwtAlgorithm::Rs256, SMALL_RSA_PEM).is_ok());
}
