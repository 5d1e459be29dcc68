use crate::calls;
use crate::world::{World, by_token, environment, refused, tenant};
use canopy_app::session::{ByCredential, Credential, EndUser, Installation, Slugs};
use canopy_app::tenancy::NewTenant;
use canopy_app::{App, AppError, Caller};
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
        assert_eq!(environment(&world.app, &own, slugs).await.unwrap(), world.place);
        for (caller, account) in [
            (&own, "rival"),
            (&own, "nowhere"),
            (&own, "NO SLUG"),
            (&admin(rival.place.account), "acme"),
        ] {
            let error = refused(environment(&world.app, caller, (account, "default", "development")).await);
            assert!(
                matches!(error, AppError::Tenancy(TenancyError::NotFound(Tenant::Account))),
                "{account}"
            );
        }
    }
    let operator = Caller::Operator { subject: "root".into() };
    assert_eq!(
        environment(&world.app, &operator, ("rival", "default", "development"))
            .await
            .unwrap(),
        rival.place
    );
    for (slugs, absent) in [
        (("acme", "nope", "development"), Tenant::Application),
        (("acme", "default", "nope"), Tenant::Environment),
    ] {
        let error = refused(environment(&world.app, &own, slugs).await);
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
            refused(environment(&world.app, &caller, slugs).await),
            AppError::WrongPrincipal
        ));
    }
    for caller in [caller, admin(world.place.account)] {
        let found = world.app.sessions().resolve::<Installation>(&caller, Slugs::default());
        assert!(matches!(refused(found.await), AppError::WrongPrincipal));
    }
}

#[tokio::test]
async fn a_new_environment_is_found_although_its_absence_was_asked_for_before() {
    let world = World::new().await;
    let own = admin(world.place.account);
    let slugs = ("acme", "default", "staging");
    assert!(environment(&world.app, &own, slugs).await.is_err());
    let place = world.place.application_ref();
    let made = calls::create_environment(&world.app, &world.call, place, &tenant("staging"))
        .await
        .unwrap();
    assert_eq!(environment(&world.app, &own, slugs).await.unwrap().environment, made.id);
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
        assert!(by_token(&world.app, one.clone()).await.is_ok(), "{one:?}");
    }
    let foreign = Some(rival.place.environment);
    let (no_account, no_environment, no_identity) = (
        TokenError::UnknownAccount,
        TokenError::UnknownEnvironment,
        TokenError::UnknownIdentity,
    );
    let bad = [
        (TokenError::Claim, claims(PrincipalKind::Admin, None, "x")),
        (no_account, claims(PrincipalKind::Admin, Some(nobody.into()), "x")),
        (
            TokenError::Claim,
            claims(PrincipalKind::Identity, None, &ada.to_string()),
        ),
        (
            no_identity,
            claims(PrincipalKind::Identity, Some(rival.place.account), &ada.to_string()),
        ),
        (no_identity, claims(PrincipalKind::Identity, account, "ada")),
        (
            no_identity,
            claims(PrincipalKind::Identity, account, &nobody.to_string()),
        ),
        (
            no_environment,
            TokenClaims {
                environment: foreign,
                ..claims(PrincipalKind::Admin, account, "x")
            },
        ),
        (
            no_environment,
            TokenClaims {
                environment: foreign,
                ..claims(PrincipalKind::Identity, account, &ada.to_string())
            },
        ),
    ];
    for (why, one) in bad {
        let error = refused(by_token(&world.app, one.clone()).await);
        assert!(
            matches!(error, AppError::Token(found) if found == why),
            "{one:?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn slugs_are_made_from_names_and_numbered_where_taken() {
    let world = World::new().await;
    let unnamed = |text: &str| NewTenant {
        slug: None,
        ..tenant_named(text)
    };
    let create = |new: NewTenant| {
        let (app, call, account) = (&world.app, &world.call, world.place.account);
        async move { calls::create_application(app, call, account, &new).await }
    };
    assert_eq!(create(unnamed("My Notes")).await.unwrap().slug.as_str(), "my-notes");
    assert_eq!(create(unnamed("My notes!")).await.unwrap().slug.as_str(), "my-notes-2");
    assert_eq!(create(unnamed("—")).await.unwrap().slug.as_str(), "application");
    let taken = refused(create(tenant("my-notes")).await);
    assert!(matches!(
        taken,
        AppError::Tenancy(TenancyError::SlugTaken(Tenant::Application))
    ));
    let account = refused(calls::create_account(&world.app, &world.call, &tenant("acme")).await);
    assert!(matches!(
        account,
        AppError::Tenancy(TenancyError::SlugTaken(Tenant::Account))
    ));
}

fn tenant_named(text: &str) -> NewTenant {
    NewTenant {
        name: DisplayName::parse(text).unwrap(),
        slug: None,
    }
}

mod token {
    use super::*;
    use crate::calls::BulkMode;
    use crate::several_processes::{Shared, second};
    use canopy_domain::identity::change::IdentityPatch;
    use canopy_domain::identity::create::NewIdentity;
    use canopy_domain::port::{AccountName, EnvironmentName, SubjectKind, VerifiedToken};

    fn by(kind: SubjectKind, subject: &str, account: AccountName) -> VerifiedToken {
        VerifiedToken {
            principal: PrincipalKind::Identity,
            subject: subject.into(),
            subject_kind: kind,
            account: Some(account),
            environment: Some(EnvironmentName::Path("default/development".into())),
            expires_at: canopy_domain::Timestamp::MAX,
        }
    }

    fn acme() -> AccountName {
        AccountName::Slug("acme".into())
    }

    async fn person(world: &World, email: &str, external_id: Option<&str>) -> IdentityId {
        let new = NewIdentity {
            email: Email::parse(email).unwrap(),
            external_id: external_id.map(|text| ExternalId::parse(text).unwrap()),
            ..crate::world::person("Ada")
        };
        let (app, account) = (&world.app, world.place.account);
        let made = calls::create_identities(app, &world.call, account, None, &[new], BulkMode::SINGLE)
            .await
            .unwrap();
        crate::world::done(&made)[0].id
    }

    fn recalled(app: &App, token: &VerifiedToken) -> Option<Caller> {
        let credential = Credential::Token(token.clone());
        let found = app
            .sessions()
            .recall::<ByCredential, EndUser>(&credential, Slugs::default());
        found.map(|entered| entered.caller)
    }

    async fn who(app: &App, token: &VerifiedToken) -> Result<IdentityId, TokenError> {
        match by_token(app, token.clone()).await {
            Ok(Caller::Identity { id, .. }) => Ok(id),
            Err(AppError::Token(error)) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    /// In one process, where names are remembered, and in the second of two, where the first one changes them.
    async fn never_stale(world: World, asked: App) {
        let ada = person(&world, "ada@x.example", Some("emp-1")).await;
        let by_email = by(SubjectKind::Email, "ADA@x.example", acme());
        let by_external_id = by(SubjectKind::ExternalId, "emp-1", acme());
        for _ in 0..2 {
            assert_eq!(who(&asked, &by_email).await, Ok(ada));
            assert_eq!(who(&asked, &by_external_id).await, Ok(ada));
        }
        let unknown = Err(TokenError::UnknownIdentity);
        // Each attribute is looked for as what it is said to be.
        assert_eq!(
            who(&asked, &by(SubjectKind::ExternalId, "ada@x.example", acme())).await,
            unknown
        );
        assert_eq!(who(&asked, &by(SubjectKind::Email, "emp-1", acme())).await, unknown);
        assert_eq!(
            who(&asked, &by(SubjectKind::Email, &ada.to_string(), acme())).await,
            unknown
        );

        // The address changes, and a new hire takes it.
        let moved = IdentityPatch {
            email: Some(Email::parse("ada@y.example").unwrap()),
            external_id: Edit::Set(ExternalId::parse("emp-2").unwrap()),
            ..IdentityPatch::default()
        };
        calls::change_identity(&world.app, &world.call, world.place.account, ada, &moved)
            .await
            .unwrap();
        assert_eq!(who(&asked, &by_email).await, unknown);
        assert_eq!(who(&asked, &by_external_id).await, unknown);
        let eve = person(&world, "ada@x.example", Some("emp-1")).await;
        assert_eq!(who(&asked, &by_email).await, Ok(eve));
        assert_eq!(who(&asked, &by_external_id).await, Ok(eve));
        calls::delete_identity(&world.app, &world.call, world.place.account, eve)
            .await
            .unwrap();
        assert_eq!(who(&asked, &by_email).await, unknown);
        assert_eq!(who(&asked, &by_external_id).await, unknown);
    }

    #[tokio::test]
    async fn a_name_never_means_who_had_it_before() {
        let world = World::new().await;
        let app = world.app.clone();
        never_stale(world, app).await;
    }

    #[tokio::test]
    async fn a_name_never_means_who_had_it_before_another_process_changed_it() {
        let world = World::on(Shared::new()).await;
        let other = second(&world);
        never_stale(world, other).await;
    }

    #[tokio::test]
    async fn the_path_of_a_token_follows_slugs_in_its_account_alone() {
        for shared in [false, true] {
            let world = if shared {
                World::on(Shared::new()).await
            } else {
                World::new().await
            };
            let asked = if shared { second(&world) } else { world.app.clone() };
            let rival = world.neighbour().await;
            let at = |path: &str, account: AccountName| VerifiedToken {
                principal: PrincipalKind::Admin,
                environment: Some(EnvironmentName::Path(path.into())),
                ..by(SubjectKind::Id, "it", account)
            };
            let place = async |token: VerifiedToken| match by_token(&asked, token).await {
                Ok(caller) => Ok(caller.environment()),
                Err(AppError::Token(error)) => Err(error),
                Err(error) => panic!("{error}"),
            };
            let home = || at("default/development", acme());
            for _ in 0..2 {
                assert_eq!(place(home()).await, Ok(Some(world.place)));
                let other = at("default/development", AccountName::Id(rival.place.account));
                assert_eq!(place(other).await, Ok(Some(rival.place)));
            }
            assert_eq!(
                place(at("default/development", AccountName::Slug("nobody".into()))).await,
                Err(TokenError::UnknownAccount)
            );
            assert_eq!(
                place(at("default/development", AccountName::Slug("No Slug".into()))).await,
                Err(TokenError::UnknownAccount)
            );
            for nowhere in ["default/nowhere", "nowhere/development", "default", "a/b/c", "/", ""] {
                assert_eq!(
                    place(at(nowhere, acme())).await,
                    Err(TokenError::UnknownEnvironment),
                    "{nowhere}"
                );
            }
            let renamed = canopy_domain::tenancy::change::TenantPatch {
                name: None,
                slug: Some(crate::world::slug("staging")),
            };
            calls::change_environment(&world.app, &world.call, &world.place, &renamed)
                .await
                .unwrap();
            assert_eq!(place(home()).await, Err(TokenError::UnknownEnvironment));
            assert_eq!(place(at("default/staging", acme())).await, Ok(Some(world.place)));
        }
    }

    #[tokio::test]
    async fn remembered_names_need_no_store_where_nobody_else_writes() {
        let world = World::new().await;
        let ada = world.members(&["ada"]).await[0];
        let found = canopy_app::identity::get_myself(&world.app, world.place.account, ada)
            .await
            .unwrap();
        let token = by(SubjectKind::Email, found.email.as_str(), acme());
        assert_eq!(recalled(&world.app, &token), None);
        assert_eq!(who(&world.app, &token).await, Ok(ada));
        // Loads the index of the environment.
        world.bootstrap().await;
        let asker = Caller::Operator { subject: "root".into() };
        let question = canopy_domain::access::Question {
            identity: ada,
            permission: "note.read",
            target: canopy_domain::access::Target::AppWide,
        };
        let asker = canopy_app::access::Asker {
            caller: &asker,
            environment: &world.asked,
        };
        canopy_app::access::evaluate::evaluate(
            &world.app,
            asker,
            &question,
            None,
            canopy_app::decisions::Consistency::Strong,
            |_| (),
        )
        .await
        .unwrap();
        let now = recalled(&world.app, &token);
        assert!(matches!(now, Some(Caller::Identity { id, .. }) if id == ada), "{now:?}");
    }
}
