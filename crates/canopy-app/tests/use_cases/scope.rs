use crate::world::{World, refused, tenant};
use canopy_app::{AppError, Caller, scope, tenancy};
use canopy_domain::port::{PrincipalKind, TokenClaims, TokenError};
use canopy_domain::*;

fn claims(principal: PrincipalKind, account: Option<AccountId>, subject: &str) -> TokenClaims {
    TokenClaims {
        subject: subject.into(),
        principal,
        account,
        environment: None,
        expires_at: Timestamp::MAX,
    }
}

fn admin(account: AccountId) -> Caller {
    Caller::Admin {
        account,
        subject: "".into(),
        environment: None,
    }
}

#[tokio::test]
async fn an_admin_finds_no_account_but_its_own() {
    let world = World::new().await;
    let rival = world.neighbour().await;
    let own = admin(world.place.account);
    for _ in 0..2 {
        let slugs = ("acme", "default", "development");
        assert_eq!(scope::environment(&world.app, &own, slugs).await.unwrap(), world.place);
        for (caller, account) in [
            (&own, "rival"),
            (&own, "nowhere"),
            (&own, "NO SLUG"),
            (&admin(rival.place.account), "acme"),
        ] {
            let error = refused(scope::environment(&world.app, caller, (account, "default", "development")).await);
            assert!(
                matches!(error, AppError::Tenancy(TenancyError::NotFound(Tenant::Account))),
                "{account}"
            );
        }
    }
    let operator = Caller::Operator { subject: "root".into() };
    assert_eq!(
        scope::environment(&world.app, &operator, ("rival", "default", "development"))
            .await
            .unwrap(),
        rival.place
    );
    for (slugs, absent) in [
        (("acme", "nope", "development"), Tenant::Application),
        (("acme", "default", "nope"), Tenant::Environment),
    ] {
        let error = refused(scope::environment(&world.app, &own, slugs).await);
        assert!(matches!(error, AppError::Tenancy(TenancyError::NotFound(what)) if what == absent));
    }
}

#[tokio::test]
async fn an_identity_is_refused_before_the_path_is_looked_at() {
    let world = World::new().await;
    let id = world.members(&["ada"]).await[0];
    let caller = Caller::Identity {
        account: world.place.account,
        id,
        environment: None,
    };
    for slugs in [("acme", "default", "development"), ("nowhere", "x", "y")] {
        assert!(matches!(
            refused(scope::environment(&world.app, &caller, slugs).await),
            AppError::WrongPrincipal
        ));
    }
    assert!(scope::operator(&caller).is_err() && scope::operator(&admin(world.place.account)).is_err());
}

#[tokio::test]
async fn a_new_environment_is_found_although_its_absence_was_asked_for_before() {
    let world = World::new().await;
    let own = admin(world.place.account);
    let slugs = ("acme", "default", "staging");
    assert!(scope::environment(&world.app, &own, slugs).await.is_err());
    let place = world.place.application_place();
    let made = tenancy::create_environment::run(&world.app, &world.call, place, &tenant("staging"), None)
        .await
        .unwrap();
    assert_eq!(
        scope::environment(&world.app, &own, slugs).await.unwrap().environment,
        made.id
    );
}

#[tokio::test]
async fn claims_must_fit_together() {
    let world = World::new().await;
    let rival = world.neighbour().await;
    let ada = world.members(&["ada"]).await[0];
    let account = Some(world.place.account);
    let nobody = uuid::Uuid::from_u128(404);
    let good = [
        claims(PrincipalKind::Operator, None, "root"),
        claims(PrincipalKind::Admin, account, "x"),
        claims(PrincipalKind::Identity, account, &ada.to_string()),
        TokenClaims {
            environment: Some(world.place.environment),
            ..claims(PrincipalKind::Admin, account, "x")
        },
    ];
    for one in good {
        assert!(scope::authenticate(&world.app, &one).await.is_ok(), "{one:?}");
    }
    let foreign = Some(rival.place.environment);
    let bad = [
        claims(PrincipalKind::Admin, None, "x"),
        claims(PrincipalKind::Admin, Some(nobody.into()), "x"),
        claims(PrincipalKind::Identity, None, &ada.to_string()),
        claims(PrincipalKind::Identity, Some(rival.place.account), &ada.to_string()),
        claims(PrincipalKind::Identity, account, "ada"),
        claims(PrincipalKind::Identity, account, &nobody.to_string()),
        TokenClaims {
            environment: foreign,
            ..claims(PrincipalKind::Admin, account, "x")
        },
        TokenClaims {
            environment: foreign,
            ..claims(PrincipalKind::Identity, account, &ada.to_string())
        },
    ];
    for one in bad {
        let error = refused(scope::authenticate(&world.app, &one).await);
        assert!(matches!(error, AppError::Token(TokenError::Invalid)), "{one:?}");
    }
}

#[tokio::test]
async fn slugs_are_made_from_names_and_numbered_where_taken() {
    let world = World::new().await;
    let unnamed = |text: &str| tenancy::NewTenant {
        slug: None,
        ..tenant_named(text)
    };
    let create = |new: tenancy::NewTenant| {
        let (app, call, account) = (&world.app, &world.call, world.place.account);
        async move { tenancy::create_application::run(app, call, account, &new).await }
    };
    assert_eq!(create(unnamed("My Notes")).await.unwrap().slug.as_str(), "my-notes");
    assert_eq!(create(unnamed("My notes!")).await.unwrap().slug.as_str(), "my-notes-2");
    assert_eq!(create(unnamed("東京")).await.unwrap().slug.as_str(), "application");
    let taken = refused(create(tenant("my-notes")).await);
    assert!(matches!(
        taken,
        AppError::Tenancy(TenancyError::SlugTaken(Tenant::Application))
    ));
    let account = refused(tenancy::create_account::run(&world.app, &world.call, &tenant("acme")).await);
    assert!(matches!(
        account,
        AppError::Tenancy(TenancyError::SlugTaken(Tenant::Account))
    ));
}

fn tenant_named(text: &str) -> tenancy::NewTenant {
    tenancy::NewTenant {
        name: DisplayName::parse(text).unwrap(),
        slug: None,
    }
}
