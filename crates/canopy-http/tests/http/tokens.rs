//! Tokens: whom they let in, and every way to be refused.

use crate::service::{ACC, ENV, NOW, Service, claims, parties, request};
use actix_web::http::Method;
use actix_web::test::TestRequest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use canopy_domain::Timestamp;
use canopy_domain::port::{Clock as _, PrincipalKind, TokenError, TokenVerifier as _};
use canopy_http::token::{JwtVerifier, KeyError, SourceId, TokenSigner, VerificationKey};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

const SECRET: &[u8; 32] = b"a secret of exactly 32 bytes....";
const ACCOUNTS: &str = "/portal/v1/accounts";

fn now() -> i64 {
    Timestamp::parse(NOW).unwrap().as_micros() / 1_000_000
}

/// The claims of an operator's token that is good for an hour.
fn good() -> Value {
    json!({ "iss": "canopy", "aud": "canopy", "sub": "root", "exp": now() + 3600, "principal": "operator" })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = good();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

/// Signs claims with a shared secret that vouches for everybody.
fn hs256(claims: &Value) -> String {
    jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        claims,
        &EncodingKey::from_secret(SECRET),
    )
    .unwrap()
}

fn service() -> Service {
    let key = VerificationKey::from_secret(SECRET).unwrap();
    Service::with_keys(vec![key.vouching_for(PrincipalKind::ALL)])
}

async fn code(service: &Service, token: &str) -> String {
    let answer = service.get(ACCOUNTS, token).await;
    if answer.status == 401 {
        assert_eq!(
            answer.header("www-authenticate"),
            Some("Bearer error=\"invalid_token\"")
        );
    }
    format!("{} {}", answer.status, answer.code())
}

#[tokio::test(flavor = "multi_thread")]
async fn claims_decide_with_five_seconds_of_leeway() {
    let service = service();
    for (claims, expected) in [
        (good(), "200 "),
        (with("aud", json!(["other", "canopy"])), "200 "),
        (with("nbf", json!(now() + 5)), "200 "),
        (with("nbf", json!(now() + 6)), "401 auth.invalid_token"),
        (with("exp", json!(now() - 4)), "200 "),
        (with("exp", json!(now() - 5)), "401 auth.token_expired"),
        (with("exp", json!(1e300)), "200 "),
        (with("exp", json!("soon")), "401 auth.invalid_token"),
        (with("exp", Value::Null), "401 auth.invalid_token"),
        (with("iss", json!("other")), "401 auth.invalid_token"),
        (with("iss", Value::Null), "401 auth.invalid_token"),
        (with("aud", json!("other")), "401 auth.invalid_token"),
        (with("aud", json!([])), "401 auth.invalid_token"),
        (with("sub", json!("")), "401 auth.invalid_token"),
        (with("sub", Value::Null), "401 auth.invalid_token"),
        (with("principal", json!("root")), "401 auth.invalid_token"),
        (with("principal", Value::Null), "401 auth.invalid_token"),
        (with("principal", json!("admin")), "401 auth.invalid_token"),
        (with("account", json!("x")), "401 auth.invalid_token"),
    ] {
        assert_eq!(code(&service, &hs256(&claims)).await, expected, "{claims}");
    }
    // Only when nothing else is wrong is a token called expired.
    let mut both = with("exp", json!(now() - 60));
    both["aud"] = json!("other");
    assert_eq!(code(&service, &hs256(&both)).await, "401 auth.invalid_token");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_remembered_token_still_expires() {
    let service = service();
    let token = hs256(&good());
    assert_eq!(code(&service, &token).await, "200 ");
    service.clock.advance_seconds(3604);
    assert_eq!(code(&service, &token).await, "200 ");
    service.clock.advance_seconds(1);
    assert_eq!(code(&service, &token).await, "401 auth.token_expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_are_refused() {
    let service = service();
    let own = service.operator.clone();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (message, signature) = own.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let unsigned = part(&json!({ "alg": "none", "typ": "JWT" }));
    let other = TokenSigner::from_seed([8; 32], parties()).unwrap();
    let strange = other
        .sign(&claims(PrincipalKind::Operator, "root", None), service.clock.now())
        .unwrap();
    // The public key as if it were the secret of HS256: the old confusion of algorithms.
    let public = jsonwebtoken::jwk::Jwk::from_encoding_key(&ed25519([7; 32]), Algorithm::EdDSA).unwrap();
    let public = serde_json::to_value(public).unwrap()["x"].as_str().unwrap().to_owned();
    let public = URL_SAFE_NO_PAD.decode(public).unwrap();
    let confused = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &good(),
        &EncodingKey::from_secret(&public),
    )
    .unwrap();
    let mut critical = Header::new(Algorithm::HS256);
    critical.crit = Some(vec!["exp".to_owned()]);
    let critical = jsonwebtoken::encode(&critical, &good(), &EncodingKey::from_secret(SECRET)).unwrap();
    for forged in [
        String::new(),
        "a.b.c".to_owned(),
        "x".repeat(10_000),
        format!("{unsigned}.{}.", part(&good())),
        format!("{unsigned}.{}.{signature}", part(&good())),
        format!("{header}.{}.{signature}", part(&good())),
        format!("{own}x"),
        format!("{own}.{signature}"),
        message.to_owned(),
        strange,
        confused,
        critical,
    ] {
        assert_eq!(code(&service, &forged).await, "401 auth.invalid_token", "{forged}");
    }
    assert_eq!(code(&service, &own).await, "200 ");
}

fn ed25519(seed: [u8; 32]) -> EncodingKey {
    let head = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ];
    EncodingKey::from_ed_der(&head.into_iter().chain(seed).collect::<Vec<u8>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_other_kinds_are_401_and_two_are_400() {
    let (service, admin) = Service::with_acme().await;
    let key = format!("cnpy_{}", "0".repeat(64));
    for (name, value) in [
        ("x-api-key", key.as_str()),
        ("authorization", "Basic YTpi"),
        ("authorization", "Bearer"),
        ("authorization", &admin.token),
    ] {
        let answer = service
            .send(TestRequest::get().uri(ACC).insert_header((name, value)))
            .await;
        answer.refused(401, "auth.invalid_token");
    }
    let two = request(Method::GET, ACC, &admin.token).insert_header(("x-api-key", key));
    service.send(two).await.refused(400, "auth.two_credentials");
    let two = request(Method::GET, ACC, &admin.token).append_header(("authorization", "Bearer x"));
    service.send(two).await.refused(400, "auth.two_credentials");
    let lower = TestRequest::get()
        .uri(ACC)
        .insert_header(("authorization", format!("bearer {}", admin.token)));
    service.send(lower).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn principals_stay_in_their_place() {
    let (service, admin) = Service::with_acme().await;
    service
        .get(ACCOUNTS, &admin.token)
        .await
        .refused(403, "auth.wrong_principal_type");
    service
        .get(&format!("{ENV}/roles"), &service.operator)
        .await
        .expect(200);
    let identity = json!({ "email": "a@b.c", "first_name": "A", "last_name": "B" });
    let made = service
        .post(&format!("{ACC}/identities"), &admin.token, &identity)
        .await
        .expect(201);
    let user = service.token_of_identity(&admin, made["id"].as_str().unwrap());
    service
        .get(&format!("{ENV}/roles"), &user)
        .await
        .refused(403, "auth.wrong_principal_type");
    // An identity that the account does not have, and an account that there is not, vouch for nobody.
    for nobody in ["0198a7b1-7c3e-7000-8000-000000000001", "ada"] {
        let user = service.token_of_identity(&admin, nobody);
        service
            .get(&format!("{ENV}/roles"), &user)
            .await
            .refused(401, "auth.invalid_token");
    }
    let stranger = claims(
        PrincipalKind::Admin,
        "eve",
        Some(canopy_domain::AccountId::new(uuid::Uuid::from_u128(1))),
    );
    let stranger = service.signer.sign(&stranger, service.clock.now()).unwrap();
    service.get(ACC, &stranger).await.refused(401, "auth.invalid_token");
}

#[test]
fn other_keys_vouch_for_identities_alone_and_are_pinned_to_their_algorithm() {
    let at = Timestamp::parse(NOW).unwrap();
    let secret = VerificationKey::from_secret(SECRET).unwrap();
    let verifier = JwtVerifier::new(parties(), vec![secret]).unwrap();
    assert_eq!(verifier.verify(&hs256(&good()), at), Err(TokenError::Principal));
    let mut identity = with("principal", json!("identity"));
    identity["account"] = json!("0198a7b1-7c3e-7000-8000-000000000001");
    assert!(verifier.verify(&hs256(&identity), at).is_ok());
    let mut header = Header::new(Algorithm::HS512);
    header.kid = None;
    let stronger = jsonwebtoken::encode(&header, &identity, &EncodingKey::from_secret(SECRET)).unwrap();
    assert_eq!(verifier.verify(&stronger, at), Err(TokenError::UnknownKey));
    assert!(matches!(
        VerificationKey::from_secret(&SECRET[..31]),
        Err(KeyError::ShortSecret)
    ));
}

#[test]
fn keys_of_a_set_are_found_by_their_id() {
    let at = Timestamp::parse(NOW).unwrap();
    let jwk = |seed: u8, id: &str| {
        let jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&ed25519([seed; 32]), Algorithm::EdDSA).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk["kid"] = json!(id);
        jwk
    };
    let encryption = json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA", "use": "enc" });
    let set = json!({ "keys": [jwk(1, "one"), jwk(2, "two"), encryption, { "kty": "oct", "k": "c2VjcmV0" }] });
    let keys = VerificationKey::from_jwks(set.to_string().as_bytes()).unwrap();
    assert_eq!(keys.len(), 2);
    let verifier = JwtVerifier::new(parties(), keys).unwrap();
    let mut identity = with("principal", json!("identity"));
    identity["account"] = json!("0198a7b1-7c3e-7000-8000-000000000001");
    let sign = |seed: u8, id: Option<&str>| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = id.map(str::to_owned);
        jsonwebtoken::encode(&header, &identity, &ed25519([seed; 32])).unwrap()
    };
    assert!(verifier.verify(&sign(2, Some("two")), at).is_ok());
    assert!(verifier.verify(&sign(2, None), at).is_ok());
    assert_eq!(verifier.verify(&sign(2, Some("one")), at), Err(TokenError::Signature));
    assert_eq!(verifier.verify(&sign(3, Some("one")), at), Err(TokenError::Signature));
    assert_eq!(
        verifier.verify(&sign(1, Some("three")), at),
        Err(TokenError::UnknownKey)
    );
    assert_eq!(verifier.verify(&sign(3, None), at), Err(TokenError::Signature));
    assert!(matches!(
        VerificationKey::from_jwks(b"{\"keys\":[]}"),
        Err(KeyError::NoUsableKey)
    ));
    assert!(matches!(VerificationKey::from_jwks(b"[]"), Err(KeyError::Jwks(_))));
}

#[test]
fn public_keys_are_read_from_pem() {
    let at = Timestamp::parse(NOW).unwrap();
    for (public, private, algorithm) in [
        (
            include_bytes!("keys/ed25519.pub.pem").as_slice(),
            include_bytes!("keys/ed25519.pem").as_slice(),
            Algorithm::EdDSA,
        ),
        (
            include_bytes!("keys/p256.pub.pem"),
            include_bytes!("keys/p256.pem"),
            Algorithm::ES256,
        ),
        (
            include_bytes!("keys/rsa.pub.pem"),
            include_bytes!("keys/rsa.pem"),
            Algorithm::RS256,
        ),
    ] {
        let key = VerificationKey::from_public_pem(public)
            .unwrap()
            .vouching_for(&[PrincipalKind::Operator]);
        let verifier = JwtVerifier::new(parties(), vec![key]).unwrap();
        let private = match algorithm {
            Algorithm::EdDSA => EncodingKey::from_ed_pem(private),
            Algorithm::ES256 => EncodingKey::from_ec_pem(private),
            _ => EncodingKey::from_rsa_pem(private),
        };
        let token = jsonwebtoken::encode(&Header::new(algorithm), &good(), &private.unwrap()).unwrap();
        assert!(verifier.verify(&token, at).is_ok(), "{algorithm:?}");
    }
    for bad in [
        include_bytes!("keys/p384.pub.pem").as_slice(),
        b"",
        b"-----BEGIN PUBLIC KEY-----",
    ] {
        assert!(matches!(VerificationKey::from_public_pem(bad), Err(KeyError::Pem)));
    }
    let signer = TokenSigner::from_pem(include_bytes!("keys/ed25519.pem"), parties()).unwrap();
    let token = signer.sign(&claims(PrincipalKind::Operator, "root", None), at).unwrap();
    let verifier = JwtVerifier::new(parties(), vec![signer.verification_key().clone()]).unwrap();
    assert_eq!(
        verifier.verify(&token, at),
        Ok(claims(PrincipalKind::Operator, "root", None).into())
    );
    assert!(matches!(
        TokenSigner::from_pem(include_bytes!("keys/p256.pem"), parties()),
        Err(KeyError::PrivateKey)
    ));
    assert!(!format!("{signer:?}").contains("7, 7"));
}

/// Many processes share their keys, and none of them is tried that is not named.
#[test]
fn a_token_names_the_shared_key_that_it_is_signed_with() {
    let at = Timestamp::parse(NOW).unwrap();
    let pem = include_bytes!("keys/ed25519.pem");
    let public = include_bytes!("keys/ed25519.pub.pem");
    let shared = VerificationKey::from_public_pem(public).unwrap();
    let shared = shared.vouching_for(PrincipalKind::ALL);
    let key = EncodingKey::from_ed_pem(pem).unwrap();
    let nameless = jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &good(), &key).unwrap();
    let verifier = JwtVerifier::new(parties(), vec![shared.clone()]).unwrap();
    assert!(verifier.verify(&nameless, at).is_ok());
    let verifier = JwtVerifier::new(parties(), vec![]).unwrap();
    verifier.share(vec![shared]);
    assert_eq!(verifier.verify(&nameless, at), Err(TokenError::UnknownKey));
}

#[test]
fn tokens_of_a_shared_key_end_with_it() {
    let [own, other] = [1, 2].map(|seed| TokenSigner::from_seed([seed; 32], parties()).unwrap());
    let verifier = JwtVerifier::new(parties(), vec![own.verification_key().clone()]).unwrap();
    let at = Timestamp::parse(NOW).unwrap();
    let claims = claims(PrincipalKind::Operator, "root", None);
    let [good, shared] = [&own, &other].map(|signer| signer.sign(&claims, at).unwrap());
    let key = other.public_key(at);
    let key = VerificationKey::from_ed25519(key.kid, &key.public_key).unwrap();

    let lacks_key = |token: &str| verifier.sources_without_key(token).contains(&SourceId::SHARED);
    assert!(lacks_key(&shared) && !lacks_key(&good));
    assert_eq!(verifier.verify(&shared, at), Err(TokenError::UnknownKey));
    // A key vouches for end users alone unless somebody says more.
    verifier.share(vec![key.clone()]);
    assert_eq!(verifier.verify(&shared, at), Err(TokenError::Principal));
    verifier.share(vec![key.vouching_for(PrincipalKind::ALL)]);
    assert_eq!(verifier.verify(&shared, at).unwrap(), claims.into());
    assert!(!lacks_key(&shared));
    verifier.share(vec![]);
    assert_eq!(
        verifier.verify(&shared, at),
        Err(TokenError::UnknownKey),
        "though it was verified before"
    );
    verifier.verify(&good, at).unwrap();
    for other in ["", "a.b.c", good.trim_start_matches('e'), &"x".repeat(9_000)] {
        assert!(!lacks_key(other), "{other}");
    }
}
