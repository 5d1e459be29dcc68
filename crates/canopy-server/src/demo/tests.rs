//! Tests of the demo data, and of the detected store statuses.

use super::*;
use crate::adapter::{OsSecrets, SystemClock, UuidV7Ids};
use canopy_app::tenancy::{CreateAccount, NewTenant};
use canopy_app::{App, Call, Caller, Mode, identity};
use canopy_domain::identity::listing::{IdentityQuery, IdentitySort};
use canopy_domain::{DisplayName, PageRequest, SortOrder};
use canopy_storage_memory::MemoryStore;
use std::sync::Arc;

fn app() -> App {
    let clock = Arc::new(SystemClock);
    App::new(
        Arc::new(MemoryStore::new()),
        clock.clone(),
        Arc::new(UuidV7Ids::new(clock)),
        OsSecrets,
    )
}

async fn demo(app: &App) -> Demo {
    match status(app).await.unwrap() {
        Status::Demo(demo) => *demo,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_empty_store_becomes_the_demo() {
    let app = app();
    assert!(matches!(status(&app).await.unwrap(), Status::Empty));
    let place = seed(&app).await.unwrap();
    let nodes = canopy_app::hierarchy::list_nodes(&app, &place).await.unwrap();
    let of = |kind: &str| nodes.iter().filter(|node| node.node_type.as_str() == kind).count();
    assert_eq!((of("company"), of("region"), of("team")), (1, 3, 12));
    let members = IdentityQuery {
        member_of: Some(place.application),
        not_member_of: None,
        status: None,
        has_any_assignment: None,
        assigned_in: None,
        search: None,
        sort: IdentitySort::Email,
        order: SortOrder::Ascending,
        page: PageRequest::default(),
    };
    assert_eq!(
        identity::list_identities(&app, place.account, &members)
            .await
            .unwrap()
            .item_count,
        200
    );
    let found = demo(&app).await;
    assert_eq!((found.place, found.people.len(), found.roles.len()), (place, 3, 0));
}

#[tokio::test]
async fn other_data_is_left_alone() {
    let app = app();
    let call = Call::new(Caller::Operator { subject: "x".into() }, "x".to_owned());
    let new = NewTenant {
        name: DisplayName::parse("Acme").unwrap(),
        slug: None,
    };
    app.execute(&call, &CreateAccount { new }, Mode::Commit).await.unwrap();
    assert!(matches!(status(&app).await.unwrap(), Status::Other));
}

#[tokio::test]
async fn the_commands_fit_what_is_there() {
    let app = app();
    seed(&app).await.unwrap();
    let mut demo = demo(&app).await;
    let before = commands(&demo);
    let (bootstrap, bulk) = (before.bootstrap.unwrap(), before.bulk_create.unwrap());
    assert!(
        bootstrap.contains("\"$ENV/setup/access-bootstrap\"") && !bootstrap.contains('\n'),
        "{bootstrap}"
    );
    assert!(bulk.contains("| sed -E") && bulk.ends_with("-d @-"), "{bulk}");
    assert!(before.evaluate.unwrap().contains(&demo.teams[0].to_string()));
    let by_name = before.ask_by_name.unwrap();
    assert!(
        by_name.contains("ada.andersen@acme.example") && by_name.contains("acme/europe/berlin"),
        "{by_name}"
    );

    demo.roles = vec![canopy_domain::RoleId::new(uuid::Uuid::from_u128(7))];
    let after = commands(&demo);
    let bulk = after.bulk_create.unwrap();
    assert!(
        after.bootstrap.is_none() && !bulk.contains("sed") && bulk.contains("0007"),
        "{bulk}"
    );

    demo.people.clear();
    let none_left = commands(&demo);
    assert_eq!(
        (none_left.bulk_create, none_left.evaluate, none_left.ask_by_name),
        (None, None, None)
    );
}
