//! Names in paths, which other processes may give to other environments.

use crate::calls;
use crate::several_processes::{Shared, followed, second};
use crate::world::{World, environment, slug};
use canopy_app::access::{Asker, evaluate};
use canopy_app::decisions::Consistency;
use canopy_app::session::{AskedEnvironment, Basis, ByCredential, ByPath, Credential};
use canopy_app::{App, AppError, Caller};
use canopy_domain::access::{DenialReason, Question, Target};
use canopy_domain::port::{AccountName, EnvironmentName, PrincipalKind, SubjectKind, TokenError, VerifiedToken};
use canopy_domain::tenancy::change::TenantPatch;
use canopy_domain::{EnvironmentRef, IdentityId, TenancyError, Tenant};
use std::sync::atomic::Ordering;

type Slugs = (&'static str, &'static str, &'static str);

const HOME: Slugs = ("acme", "default", "development");

fn is_absent(error: &AppError, tenant: Tenant) -> bool {
    matches!(error, AppError::Tenancy(TenancyError::NotFound(absent)) if *absent == tenant)
}

fn to(name: &str) -> TenantPatch {
    TenantPatch {
        name: None,
        slug: Some(slug(name)),
    }
}

async fn rename_environment(world: &World, place: &EnvironmentRef, name: &str) {
    calls::change_environment(&world.app, &world.call, place, &to(name))
        .await
        .unwrap();
}

async fn rename_application(world: &World, name: &str) {
    let place = world.place.application_ref();
    let found = canopy_app::tenancy::get_application(&world.app, place).await.unwrap();
    calls::change_application(&world.app, &world.call, place, found.version, &to(name))
        .await
        .unwrap();
}

/// Asks by a path as a request does: where it leads first, then the question.
async fn ask(app: &App, caller: &Caller, slugs: Slugs, who: IdentityId) -> Result<Option<DenialReason>, AppError> {
    let found = app.sessions().resolve::<AskedEnvironment>(caller, slugs.into()).await?;
    judge(app, caller, &found, who, Consistency::Strong).await
}

async fn judge(
    app: &App,
    caller: &Caller,
    environment: &AskedEnvironment,
    identity: IdentityId,
    consistency: Consistency,
) -> Result<Option<DenialReason>, AppError> {
    let question = Question {
        identity,
        permission: "note.read",
        target: Target::AppWide,
    };
    let asker = Asker { caller, environment };
    evaluate::evaluate(app, asker, &question, None, consistency, |answer| {
        answer.decision.denial_reason()
    })
    .await
}

#[tokio::test]
async fn no_process_follows_a_slug_that_another_one_changed() {
    let world = World::on(Shared::new()).await;
    let other = second(&world);
    let caller = &world.call.caller;
    assert_eq!(environment(&other, caller, HOME).await.unwrap(), world.place);
    rename_environment(&world, &world.place, "staging").await;
    assert!(is_absent(
        &environment(&other, caller, HOME).await.unwrap_err(),
        Tenant::Environment
    ));
    let now = ("acme", "default", "staging");
    assert_eq!(environment(&other, caller, now).await.unwrap(), world.place);
    rename_application(&world, "notes").await;
    assert!(is_absent(
        &environment(&other, caller, now).await.unwrap_err(),
        Tenant::Application
    ));
    let now = ("acme", "notes", "staging");
    assert_eq!(environment(&other, caller, now).await.unwrap(), world.place);
}

#[tokio::test]
async fn a_question_by_a_path_is_about_what_the_path_names_when_it_is_judged() {
    let shared = Shared::new();
    let (world, other, ada, follower) = followed(&shared).await;
    let caller = &world.call.caller;
    assert_eq!(ask(&other, caller, HOME, ada).await.unwrap(), None);
    let reads = shared.reads.load(Ordering::SeqCst);
    assert_eq!(ask(&other, caller, HOME, ada).await.unwrap(), None);
    assert_eq!(
        shared.reads.load(Ordering::SeqCst),
        reads,
        "the fence is all that is asked"
    );

    // The name goes to an environment where Ada holds nothing, after the path was looked at.
    let found = other
        .sessions()
        .resolve::<AskedEnvironment>(caller, HOME.into())
        .await
        .unwrap();
    rename_environment(&world, &world.place, "former").await;
    let place = world.place.application_ref();
    calls::create_environment(&world.app, &world.call, place, &crate::world::tenant("development"))
        .await
        .unwrap();
    let denied = Some(DenialReason::PermissionNotFound);
    assert_eq!(
        judge(&other, caller, &found, ada, Consistency::Strong).await.unwrap(),
        denied
    );
    assert_eq!(ask(&other, caller, HOME, ada).await.unwrap(), denied);
    assert_eq!(
        ask(&other, caller, ("acme", "default", "former"), ada).await.unwrap(),
        None
    );

    let found = other
        .sessions()
        .resolve::<AskedEnvironment>(caller, HOME.into())
        .await
        .unwrap();
    rename_application(&world, "notes").await;
    let refused = judge(&other, caller, &found, ada, Consistency::Strong)
        .await
        .unwrap_err();
    assert!(is_absent(&refused, Tenant::Application), "{refused}");
    assert!(is_absent(
        &other.sessions().confirm(caller, Basis::Path(&found)).await.unwrap_err(),
        Tenant::Application
    ));
    // Heard of a moment ago is good enough for those who say so.
    assert_eq!(
        judge(&other, caller, &found, ada, Consistency::Eventual).await.unwrap(),
        denied
    );
    follower.abort();
}

#[tokio::test]
async fn a_token_is_not_good_for_an_environment_that_another_process_deleted() {
    let shared = Shared::new();
    let (world, other, ada, follower) = followed(&shared).await;
    let bound = Caller::Admin {
        account: world.place.account,
        subject: "it".into(),
        environment: Some(world.place),
    };
    other.sessions().confirm(&bound, Basis::BoundEnvironment).await.unwrap();
    let asked = world.place.into();
    assert_eq!(
        judge(&other, &bound, &asked, ada, Consistency::Strong).await.unwrap(),
        None
    );
    calls::delete_environment(&world.app, &world.call, &world.place)
        .await
        .unwrap();
    let is_invalid = |error: AppError| matches!(error, AppError::Token(TokenError::UnknownEnvironment));
    assert!(is_invalid(
        other
            .sessions()
            .confirm(&bound, Basis::BoundEnvironment)
            .await
            .unwrap_err()
    ));
    assert!(is_invalid(
        judge(&other, &bound, &asked, ada, Consistency::Strong)
            .await
            .unwrap_err()
    ));
    follower.abort();
}

#[tokio::test]
async fn an_identity_that_another_process_deleted_is_told_nothing_of_itself() {
    let shared = Shared::new();
    let (world, other, ada, follower) = followed(&shared).await;
    let herself = Caller::Identity {
        account: world.place.account,
        id: ada,
        environment: Some(world.place),
    };
    let asked = world.place.into();
    assert_eq!(
        judge(&other, &herself, &asked, ada, Consistency::Strong).await.unwrap(),
        None
    );
    calls::delete_identity(&world.app, &world.call, world.place.account, ada)
        .await
        .unwrap();
    let refused = judge(&other, &herself, &asked, ada, Consistency::Strong)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, AppError::Token(TokenError::UnknownIdentity)),
        "{refused}"
    );
    follower.abort();
}

#[tokio::test]
async fn what_a_fence_must_confirm_is_not_recalled() {
    let shared = Shared::new();
    let (world, other, _, follower) = followed(&shared).await;
    let admin = |account, environment| VerifiedToken {
        principal: PrincipalKind::Admin,
        subject: "it".into(),
        subject_kind: SubjectKind::Id,
        account: Some(AccountName::Id(account)),
        environment,
        expires_at: canopy_domain::Timestamp::MAX,
    };
    let token = Credential::Token(admin(world.place.account, None));
    let path = EnvironmentName::Path("default/development".into());
    let by_path = Credential::Token(admin(world.place.account, Some(path)));
    for app in [&world.app, &other] {
        let caller = app.sessions().authenticate(&token).await.unwrap();
        app.sessions().authenticate(&by_path).await.unwrap();
        environment(app, &caller, HOME).await.unwrap();
        let reads = shared.reads.load(Ordering::SeqCst);
        let asked = app.sessions().recall::<ByPath, AskedEnvironment>(&token, HOME.into());
        assert!(asked.is_some(), "the fence of the question confirms it");
        let place = app.sessions().recall::<ByPath, EnvironmentRef>(&token, HOME.into());
        assert!(place.is_none(), "another process may have given the slug away");
        let bound = app
            .sessions()
            .recall::<ByCredential, AskedEnvironment>(&by_path, HOME.into());
        assert!(bound.is_none(), "no fence confirms the names in a token");
        assert_eq!(shared.reads.load(Ordering::SeqCst), reads);
    }
    follower.abort();

    let alone = World::new().await;
    let token = Credential::Token(admin(alone.place.account, None));
    let caller = alone.app.sessions().authenticate(&token).await.unwrap();
    environment(&alone.app, &caller, HOME).await.unwrap();
    let place = alone
        .app
        .sessions()
        .recall::<ByPath, EnvironmentRef>(&token, HOME.into());
    assert_eq!(place.unwrap().tenancy.unwrap(), alone.place);
}
