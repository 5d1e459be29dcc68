//! Questions in which things have names: what is looked up, what is remembered, and what that means for who asks next.

use crate::calls;
use crate::calls::BulkMode;
use crate::failure::Gated;
use crate::world::{World, person};
use canopy_app::App;
use canopy_app::authzen::Entity;
use canopy_app::authzen::evaluate::{self, Evaluation};
use canopy_app::authzen::terms::{Semantic, Verdict};
use canopy_domain::access::DenialReason;
use canopy_domain::identity::change::IdentityPatch;
use canopy_domain::identity::create::NewIdentity;
use canopy_domain::{Edit, Email, ExternalId, IdentityId};
use canopy_storage_memory::MemoryStore;
use futures_util::FutureExt as _;

fn asked(subject: &str, resource: (&str, &str)) -> Evaluation {
    Evaluation {
        subject: Entity {
            kind: "user".into(),
            id: subject.into(),
        },
        action: "note.read".into(),
        resource: Entity {
            kind: resource.0.into(),
            id: resource.1.into(),
        },
    }
}

impl World {
    /// The answer, if it takes no look into the store.
    fn verdict_at_once(&self, gate: &Gated, item: &Evaluation) -> Option<Verdict> {
        let items = [Some(item.clone())].into_iter().collect();
        gate.close();
        let answered = evaluate::evaluate(&self.app, self.asker(), items, Semantic::ExecuteAll).now_or_never();
        gate.open();
        answered.map(|evaluated| evaluated.unwrap().verdicts[0])
    }

    async fn verdict(&self, item: &Evaluation) -> Verdict {
        let items = [Some(item.clone())].into_iter().collect();
        let answered = evaluate::evaluate(&self.app, self.asker(), items, Semantic::ExecuteAll).await;
        answered.unwrap().verdicts[0]
    }

    async fn rename(&self, id: IdentityId, patch: IdentityPatch) {
        let (app, call, account): (&App, _, _) = (&self.app, &self.call, self.place.account);
        calls::change_identity(app, call, account, id, &patch).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_remembered_needs_no_look_up_until_names_change() {
    let gate = Gated::new(MemoryStore::strict());
    gate.open();
    let world = World::on(gate.clone()).await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    let (id, root) = (ada.to_string(), world.root.to_string());
    for resource in [("node", root.as_str()), ("root", &root)] {
        for name in [id.as_str(), "ada@acme.example"] {
            let item = asked(name, resource);
            world.members(&[&format!("p{}{}", resource.0, name.len())]).await;
            assert_eq!(
                world.verdict_at_once(&gate, &item),
                None,
                "nobody is remembered after a change"
            );
            assert_eq!(world.verdict(&item).await, Verdict::Granted);
            assert_eq!(
                world.verdict_at_once(&gate, &item),
                Some(Verdict::Granted),
                "{name} {resource:?}"
            );
        }
    }
    // A way from the root, and what looks like an id and is none, is asked of the store each time.
    for resource in [("node", "acme"), ("node", &id)] {
        let item = asked(&id, resource);
        let verdict = world.verdict(&item).await;
        assert_eq!(verdict.is_permitted(), resource.1 == "acme");
        assert_eq!(world.verdict_at_once(&gate, &item), None);
    }
    // What is wrong with the type is known at once.
    let other = asked(&id, ("a.b", &root));
    assert_eq!(
        world.verdict_at_once(&gate, &other),
        Some(Verdict::Denied(DenialReason::NodeNotFound))
    );
    let by_mail = asked("ada@acme.example", ("node", &root));
    assert_eq!(world.verdict_at_once(&gate, &by_mail), Some(Verdict::Granted));
    let patch = IdentityPatch {
        email: Some(Email::parse("ada@example.com").unwrap()),
        ..IdentityPatch::default()
    };
    world.rename(ada, patch).await;
    assert_eq!(world.verdict_at_once(&gate, &by_mail), None);
    assert_eq!(
        world.verdict(&by_mail).await,
        Verdict::Denied(DenialReason::IdentityNotFound)
    );
    assert_eq!(
        world.verdict_at_once(&gate, &by_mail),
        None,
        "who is nobody is not remembered"
    );
}

#[tokio::test]
async fn a_name_given_to_a_second_identity_is_nobodys_from_then_on() {
    let gate = Gated::new(MemoryStore::strict());
    gate.open();
    let world = World::on(gate.clone()).await;
    let (viewer, _) = world.bootstrap().await;
    let ada = world.members(&["ada"]).await[0];
    world.assign(&[world.item(ada, viewer)]).await;
    let item = asked(&ada.to_string(), ("node", &world.root.to_string()));
    assert_eq!(world.verdict(&item).await, Verdict::Granted);
    let eve = NewIdentity {
        external_id: Some(ExternalId::parse(&ada.to_string()).unwrap()),
        ..person("eve")
    };
    let (app, call, account) = (&world.app, &world.call, world.place.account);
    let made = calls::create_identities(app, call, account, None, &[eve], BulkMode::SINGLE).await;
    let eve = crate::world::done(&made.unwrap())[0].id;
    assert_eq!(world.verdict(&item).await, Verdict::AmbiguousSubject);
    assert_eq!(world.verdict_at_once(&gate, &item), Some(Verdict::AmbiguousSubject));
    let patch = IdentityPatch {
        external_id: Edit::Clear,
        ..IdentityPatch::default()
    };
    world.rename(eve, patch).await;
    assert_eq!(world.verdict(&item).await, Verdict::Granted);
}

#[tokio::test]
async fn nothing_of_another_account_has_a_name_here() {
    let world = World::new().await;
    let rival = world.neighbour().await;
    world.bootstrap().await;
    rival.bootstrap().await;
    let spy = rival.members(&["spy"]).await[0];
    let ada = world.members(&["ada"]).await[0];
    for name in [spy.to_string(), "spy@acme.example".to_owned()] {
        let theirs = asked(&name, ("node", &rival.root.to_string()));
        assert_eq!(rival.verdict(&theirs).await, Verdict::Denied(DenialReason::NoGrant));
        let here = asked(&name, ("node", &world.root.to_string()));
        assert_eq!(
            world.verdict(&here).await,
            Verdict::Denied(DenialReason::IdentityNotFound)
        );
    }
    let their_node = asked(&ada.to_string(), ("node", &rival.root.to_string()));
    assert_eq!(
        world.verdict(&their_node).await,
        Verdict::Denied(DenialReason::NodeNotFound)
    );
}
