//! Sources of keys: which one a token is checked with, which keys of a set count, and how claims are read.

use crate::service::{NOW, parties};
use canopy_domain::Timestamp;
use canopy_domain::port::{
    AccountName, EnvironmentName, PrincipalKind, SubjectKind, TokenError, TokenVerifier as _, VerifiedToken,
};
use canopy_http::token::{
    AccountRule, ClaimMapping, ClaimPath, EnvironmentRule, JwtVerifier, KeyError, PrincipalRule, TokenParties,
    TokenSource, VerificationKey,
};
use canopy_testkit::issuer::IssuerKey;
use serde_json::{Value, json};

const ID: &str = "0198a7b1-7c3e-7000-8000-000000000001";

fn at() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

fn claims(issuer: &str, audience: &str) -> Value {
    json!({
        "iss": issuer, "aud": audience, "sub": ID, "exp": at().as_micros() / 1_000_000 + 60, "principal": "identity", "account": ID,
    })
}

fn keys(keys: &[&IssuerKey], principals: &[PrincipalKind]) -> Vec<VerificationKey> {
    let set = json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() });
    let keys = VerificationKey::from_jwks(set.to_string().as_bytes()).unwrap();
    keys.into_iter().map(|key| key.vouching_for(principals)).collect()
}

fn source(issuer: &str, audience: &str, mapping: ClaimMapping) -> TokenSource {
    TokenSource {
        parties: TokenParties {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
        },
        mapping,
    }
}

fn empty() -> JwtVerifier {
    JwtVerifier::new(parties(), vec![]).unwrap()
}

#[test]
fn one_issuer_may_be_configured_for_two_audiences_with_different_rights() {
    let verifier = empty();
    let key = IssuerKey::ed25519("one", 1);
    for (audience, principals) in [("web", [PrincipalKind::Identity]), ("office", [PrincipalKind::Admin])] {
        let id = verifier.add_source(source("https://idp.example", audience, ClaimMapping::default()));
        verifier.replace(id, keys(&[&key], &principals));
    }
    let verify = |audience: &str, principal: &str| {
        let mut claims = claims("https://idp.example", audience);
        claims["principal"] = json!(principal);
        verifier.verify(&key.sign(&claims), at()).map(|token| token.principal)
    };
    assert_eq!(verify("web", "identity"), Ok(PrincipalKind::Identity));
    assert_eq!(verify("office", "admin"), Ok(PrincipalKind::Admin));
    assert_eq!(verify("web", "admin"), Err(TokenError::Principal));
    assert_eq!(verify("office", "identity"), Err(TokenError::Principal));
    assert_eq!(verify("other", "identity"), Err(TokenError::Audience));
    // A good key does not make a token of another issuer.
    let foreign = key.sign(&claims("canopy", "canopy"));
    assert_eq!(verifier.verify(&foreign, at()), Err(TokenError::UnknownKey));
    let foreign = key.sign(&claims("https://other.example", "web"));
    assert_eq!(verifier.verify(&foreign, at()), Err(TokenError::Issuer));
}

#[test]
fn of_a_set_those_keys_count_that_may_verify_signatures() {
    let key = IssuerKey::ed25519("one", 1);
    let with = |name: &str, value: Value| {
        let mut jwk = key.jwk();
        jwk.as_object_mut().unwrap().remove("use");
        jwk[name] = value;
        jwk
    };
    let parse = |keys: Vec<Value>| VerificationKey::from_jwks(json!({ "keys": keys }).to_string().as_bytes());
    for good in [
        with("use", json!("sig")),
        with("key_ops", json!(["verify"])),
        with("key_ops", json!(["sign", "verify"])),
        with("alg", json!("EdDSA")),
        with("x5u", json!("https://idp.example/cert")),
    ] {
        assert_eq!(parse(vec![good.clone()]).unwrap().len(), 1, "{good}");
    }
    for passed_over in [
        with("use", json!("enc")),
        with("key_ops", json!(["sign"])),
        with("key_ops", json!([])),
        with("alg", json!("RS256")),
        with("alg", json!("none")),
        with("crv", json!("Ed448")),
        with("kty", json!("AKP")),
        with("x", json!(7)),
        json!({ "kty": "oct", "k": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", "alg": "HS256" }),
        json!("text"),
    ] {
        let found = parse(vec![passed_over.clone()]);
        assert!(matches!(found, Err(KeyError::NoUsableKey)), "{passed_over}: {found:?}");
        assert_eq!(parse(vec![passed_over, key.jwk()]).unwrap().len(), 1);
    }
    assert!(matches!(parse(vec![key.jwk(); 101]), Err(KeyError::TooManyKeys)));
}

#[test]
fn a_token_without_a_key_name_costs_a_bounded_number_of_signature_checks() {
    let verifier = empty();
    let id = verifier.add_source(source("https://idp.example", "web", ClaimMapping::default()));
    let many: Vec<IssuerKey> = (0..40)
        .map(|seed| IssuerKey::ed25519(&format!("k{seed}"), seed))
        .collect();
    let all: Vec<&IssuerKey> = many.iter().collect();
    verifier.replace(id, keys(&all, &[PrincipalKind::Identity]));
    let claims = claims("https://idp.example", "web");
    let nameless = |key: &IssuerKey| {
        let named = key.sign(&claims);
        assert!(verifier.verify(&named, at()).is_ok(), "each of them by its name");
        key.sign_without_name(&claims)
    };
    assert!(verifier.verify(&nameless(&many[15]), at()).is_ok());
    assert_eq!(verifier.verify(&nameless(&many[16]), at()), Err(TokenError::Signature));
}

fn claim(text: &str) -> ClaimPath {
    ClaimPath::parse(text).unwrap()
}

#[test]
fn claims_are_read_as_the_source_says() {
    let key = IssuerKey::ed25519("one", 1);
    let verify = |mapping: ClaimMapping, change: Value| -> Result<VerifiedToken, TokenError> {
        let verifier = empty();
        let id = verifier.add_source(source("https://idp.example", "web", mapping));
        verifier.replace(id, keys(&[&key], PrincipalKind::ALL));
        let mut claims = claims("https://idp.example", "web");
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        verifier.verify(&key.sign(&claims), at())
    };
    let mapping = || ClaimMapping {
        subject: SubjectKind::Email,
        subject_claim: claim("email"),
        principal: PrincipalRule::Fixed(PrincipalKind::Identity),
        account: AccountRule::Slug(claim("https://x.example/account")),
        environment: EnvironmentRule::Path(claim("/place/environment")),
        ..ClaimMapping::default()
    };
    let good = json!({
        "email": "ada@x.example", "email_verified": true, "https://x.example/account": ["acme"],
        "place": { "environment": "notes/production" },
    });
    let token = verify(mapping(), good.clone()).unwrap();
    assert_eq!(
        (&*token.subject, token.subject_kind),
        ("ada@x.example", SubjectKind::Email)
    );
    assert_eq!(token.account, Some(AccountName::Slug("acme".into())));
    assert_eq!(
        token.environment,
        Some(EnvironmentName::Path("notes/production".into()))
    );
    let but = |name: &str, value: Value| {
        let mut change = good.clone();
        change[name] = value;
        change
    };
    for (change, expected) in [
        (but("email_verified", json!("true")), None),
        (but("email_verified", json!("yes")), Some(TokenError::UnverifiedEmail)),
        (but("email_verified", json!(1)), Some(TokenError::UnverifiedEmail)),
        (but("email", json!("")), Some(TokenError::Claim)),
        (but("email", json!("x".repeat(256))), Some(TokenError::Claim)),
        (but("email", json!(7)), Some(TokenError::Claim)),
        (but("https://x.example/account", json!([])), Some(TokenError::Claim)),
        (
            but("https://x.example/account", json!(["a", "b"])),
            Some(TokenError::Claim),
        ),
        (but("https://x.example/account", Value::Null), Some(TokenError::Claim)),
        (but("place", json!("notes/production")), None),
        (but("exp", json!("4000000000")), Some(TokenError::Claim)),
        (but("iat", json!("now")), Some(TokenError::Claim)),
    ] {
        assert_eq!(verify(mapping(), change.clone()).err(), expected, "{change}");
    }
    let trusting = ClaimMapping {
        requires_verified_email: false,
        ..mapping()
    };
    assert!(verify(trusting, but("email_verified", Value::Null)).is_ok());
    // Operators and admins are no identities: their subject is text, whatever the source says of subjects.
    let office = ClaimMapping {
        principal: PrincipalRule::Claim(claim("role")),
        ..mapping()
    };
    let admin = verify(office.clone(), but("role", json!("admin"))).unwrap();
    assert_eq!(
        (admin.principal, admin.subject_kind),
        (PrincipalKind::Admin, SubjectKind::Id)
    );
    assert_eq!(
        verify(office.clone(), but("role", json!("operator"))).unwrap().account,
        None
    );
    assert_eq!(
        verify(office.clone(), but("role", json!("root"))).err(),
        Some(TokenError::Claim)
    );
    assert_eq!(verify(office, good.clone()).err(), Some(TokenError::Claim));
    let fixed = ClaimMapping {
        account: AccountRule::Fixed(AccountName::Slug("acme".into())),
        environment: EnvironmentRule::Fixed(EnvironmentName::Path("notes/production".into())),
        ..mapping()
    };
    let other = but("https://x.example/account", json!("other"));
    assert_eq!(
        verify(fixed, other).unwrap().account,
        Some(AccountName::Slug("acme".into()))
    );
}
