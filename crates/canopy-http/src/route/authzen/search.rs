//! Searches: complete results, paginated.

use super::{Action, Resource, Subject, TAG, Term, entity};
use crate::answer::Judged;
use crate::cursor::{CursorBinding, CursorKey, CursorScope};
use crate::error_code::ErrorCode as E;
use crate::input::Body;
use crate::operation::Operation;
use crate::problem::Problem;
use crate::request::Request;
use crate::wire::{Fault, Faults, JsonPointer, Text, Whole, request_body};
use canopy_app::authzen::Found;
use canopy_app::authzen::search_actions::{self, ActionSearch};
use canopy_app::authzen::search_resources::{self, ResourceSearch};
use canopy_app::authzen::search_subjects::{self, SubjectSearch};
use canopy_app::session::AskedEnvironment;
use canopy_domain::{EnvironmentRef, IdentityId, NodeId, PermissionKey};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

const SUBJECTS: &str = "searchSubjects";
const RESOURCES: &str = "searchResources";
const ACTIONS: &str = "searchActions";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/search/subject", SUBJECTS)
            .summary(TAG, "List the subjects that may perform an action on a resource now.")
            .on_authzen()
            .errors(&[E::EnvironmentNotFound])
            .handler(search_subjects),
        Operation::post("/search/resource", RESOURCES)
            .summary(TAG, "List the resources on which a subject may perform an action now.")
            .on_authzen()
            .errors(&[E::EnvironmentNotFound])
            .handler(search_resources),
        Operation::post("/search/action", ACTIONS)
            .summary(TAG, "List the actions that a subject may perform on a resource now.")
            .on_authzen()
            .errors(&[E::EnvironmentNotFound])
            .handler(search_actions),
    ]
}

/// Maximum number of results in a response.
const MAX_RESULTS: u32 = 1_000;

/// The requested page size. A `limit` above [`MAX_RESULTS`] is accepted and clamped.
type Limit = Whole<0, { u32::MAX }>;

request_body!(
    /// Selects a page of the results.
    struct PageRequest {
        /// The `next_token` of the previous page; absent or empty for the first page.
        token: Option<Text>,
        /// Maximum number of results; values above 1000 count as 1000.
        limit: Limit = Whole(MAX_RESULTS),
    }
    ignores others
);

request_body!(
    /// An entity of a type.
    struct OfType {
        /// The type.
        kind as "type": Term,
    }
    ignores others
);

request_body!(
    /// A search for subjects.
    struct SubjectSearchBody {
        /// The type of the subjects: `user` or `identity`.
        subject: OfType,
        /// The action to search for.
        action: Action,
        /// The resource.
        resource: Resource,
        /// The page of the results.
        page: Option<PageRequest>,
    }
    ignores others
);

request_body!(
    /// A search for resources.
    struct ResourceSearchBody {
        /// The identity.
        subject: Subject,
        /// The permission to check.
        action: Action,
        /// The type of the resources: a node type, or `node` for all.
        resource: OfType,
        /// The page of the results.
        page: Option<PageRequest>,
    }
    ignores others
);

request_body!(
    /// A search for actions.
    struct ActionSearchBody {
        /// The subject.
        subject: Subject,
        /// The resource.
        resource: Resource,
        /// The page of the results.
        page: Option<PageRequest>,
    }
    ignores others
);

/// The position of a page.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessPage)]
struct PageBody {
    /// The `page.token` of the next page; empty at the end.
    next_token: String,
    /// Number of results on this page.
    count: usize,
}

/// A subject or resource.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessEntity)]
struct EntityBody {
    #[serde(rename = "type")]
    #[schema(rename = "type")]
    kind: String,
    id: String,
}

/// An action.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessAction)]
struct ActionBody {
    name: String,
}

/// Subjects or resources.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessEntities)]
struct EntitiesBody {
    page: PageBody,
    results: Vec<EntityBody>,
}

/// Actions.
#[derive(Serialize, ToSchema)]
#[schema(as = AccessActions)]
struct ActionsBody {
    page: PageBody,
    results: Vec<ActionBody>,
}

/// A position in the results, as a token encodes it.
trait Position: Sized {
    fn write(&self) -> Vec<u8>;
    fn read(bytes: &[u8]) -> Option<Self>;
}

macro_rules! id_positions {
    ($($id:ty),+) => {
        $(impl Position for $id {
            fn write(&self) -> Vec<u8> {
                self.as_bytes().to_vec()
            }

            fn read(bytes: &[u8]) -> Option<Self> {
                Uuid::from_slice(bytes).ok().map(Self::new)
            }
        })+
    };
}

id_positions!(IdentityId, NodeId);

impl Position for PermissionKey {
    fn write(&self) -> Vec<u8> {
        self.as_str().as_bytes().to_vec()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Self::parse(core::str::from_utf8(bytes).ok()?).ok()
    }
}

/// The requested page.
struct Part<P> {
    cursors: CursorKey,
    binding: CursorBinding,
    after: Option<P>,
    limit: u32,
}

impl<P: Position> Part<P> {
    /// Reads the requested page; a token is valid only for its own search.
    async fn of(
        request: &Request<EnvironmentRef>,
        binding: CursorBinding,
        page: Option<PageRequest>,
    ) -> Result<Self, Problem> {
        let page = page.unwrap_or(PageRequest {
            token: None,
            limit: Whole(MAX_RESULTS),
        });
        let cursors = request.cursors().await?;
        let after = match page.token.filter(|token| !token.0.is_empty()) {
            None => None,
            Some(token) => {
                let place = cursors.place(binding, &token.0).ok_or_else(bad_token)?;
                // The position is empty if nothing was returned yet.
                if place.is_empty() {
                    None
                } else {
                    Some(P::read(&place).ok_or_else(|| Problem::internal("a valid token holds no position"))?)
                }
            }
        };
        Ok(Self {
            cursors,
            binding,
            after,
            limit: page.limit.0.min(MAX_RESULTS),
        })
    }

    /// Returns the number of results to search for. A caller with limit 0 still learns whether there are any.
    fn wanted(&self) -> usize {
        usize::try_from(self.limit.max(1)).unwrap_or(1)
    }

    /// Returns the results to show, and the position after them.
    fn shown(&self, found: &mut Found<P>) -> PageBody {
        if self.limit == 0 && !found.names.is_empty() {
            found.names.clear();
            let place = self.after.as_ref().map(P::write).unwrap_or_default();
            return PageBody {
                next_token: self.cursors.seal(self.binding, &place),
                count: 0,
            };
        }
        let next = found.next.as_ref();
        PageBody {
            next_token: next.map_or_else(String::new, |next| self.cursors.seal(self.binding, &next.write())),
            count: found.names.len(),
        }
    }
}

fn bad_token() -> Problem {
    let mut faults = Faults::default();
    let page = JsonPointer::Member(&JsonPointer::Root, "page");
    let fault = Fault::new("invalid_token", "must be a `next_token` of this search");
    faults.add(&JsonPointer::Member(&page, "token"), fault);
    faults.into()
}

/// Returns the context of a page token of a search.
fn binding(operation: &'static str, place: EnvironmentRef, parts: &[&str]) -> CursorBinding {
    let scope = CursorScope::of(operation).with(Some(place.environment.as_bytes()));
    parts.iter().fold(scope, |scope, part| scope.with(Some(part))).done()
}

fn entities<P: Position>(part: &Part<P>, mut found: Found<P>, kind: &str) -> Judged<EntitiesBody> {
    let page = part.shown(&mut found);
    let show = |id: String| EntityBody {
        kind: kind.to_owned(),
        id,
    };
    let results = found.names.into_iter().map(show).collect();
    Judged::new(&EntitiesBody { page, results }, found.revision)
}

async fn search_subjects(
    request: Request<EnvironmentRef, (), (), Body<SubjectSearchBody>>,
) -> Result<Judged<EntitiesBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.tenancy;
    let search = SubjectSearch {
        subject_type: body.subject.kind.0.to_string(),
        action: body.action.name.0.to_string(),
        resource: entity(body.resource.kind, body.resource.id),
    };
    let parts = [
        search.subject_type.as_str(),
        &search.action,
        &search.resource.kind,
        &search.resource.id,
    ];
    let part = Part::<IdentityId>::of(&request, binding(SUBJECTS, place, &parts), body.page).await?;
    let (after, limit, kind) = (part.after, part.wanted(), search.subject_type.clone());
    let environment = AskedEnvironment::from(place);
    let asked = search_subjects::search_subjects(request.app(), request.asker(&environment), &search, after, limit);
    Ok(entities(&part, request.ask_here(asked).await?, &kind))
}

async fn search_resources(
    request: Request<EnvironmentRef, (), (), Body<ResourceSearchBody>>,
) -> Result<Judged<EntitiesBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.tenancy;
    let search = ResourceSearch {
        subject: entity(body.subject.kind, body.subject.id),
        action: body.action.name.0.to_string(),
        resource_type: body.resource.kind.0.to_string(),
    };
    let parts = [
        search.subject.kind.as_ref(),
        &search.subject.id,
        &search.action,
        &search.resource_type,
    ];
    let part = Part::<NodeId>::of(&request, binding(RESOURCES, place, &parts), body.page).await?;
    let (after, limit, kind) = (part.after, part.wanted(), search.resource_type.clone());
    let environment = AskedEnvironment::from(place);
    let asked = search_resources::search_resources(request.app(), request.asker(&environment), &search, after, limit);
    Ok(entities(&part, request.ask_here(asked).await?, &kind))
}

async fn search_actions(
    request: Request<EnvironmentRef, (), (), Body<ActionSearchBody>>,
) -> Result<Judged<ActionsBody>, Problem> {
    let (Body(body), request) = request.take_body();
    let place = request.tenancy;
    let search = ActionSearch {
        subject: entity(body.subject.kind, body.subject.id),
        resource: entity(body.resource.kind, body.resource.id),
    };
    let parts = [
        search.subject.kind.as_ref(),
        &search.subject.id,
        &search.resource.kind,
        &search.resource.id,
    ];
    let part = Part::<PermissionKey>::of(&request, binding(ACTIONS, place, &parts), body.page).await?;
    let (after, limit) = (part.after.clone(), part.wanted());
    let environment = AskedEnvironment::from(place);
    let after = after.as_ref().map(ToString::to_string);
    let asked = search_actions::search_actions(request.app(), request.asker(&environment), &search, after, limit);
    let mut found = request.ask_here(asked).await?;
    let page = part.shown(&mut found);
    let results = found.names.into_iter().map(|name| ActionBody { name }).collect();
    Ok(Judged::new(&ActionsBody { page, results }, found.revision))
}
