//! From operations to actix routes.

use crate::edge::{around, refuse_method, refuse_route};
use crate::monitor;
use crate::operation::Operation;
use crate::route::operations;
use crate::scope::Level;
use crate::state::HttpState;
use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, Resource, Route, Scope, guard, middleware};
use std::collections::BTreeMap;

/// Everything that the service answers, for an actix `App` of its own: no route of another may stand beside it.
pub fn configure(state: &HttpState) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let state = state.clone();
    move |config: &mut ServiceConfig| {
        let at_edge = state.clone();
        let mut whole = web::scope("");
        let mut by_level: BTreeMap<Level, Vec<Operation>> = BTreeMap::new();
        for operation in operations() {
            by_level.entry(operation.shape.level).or_default().push(operation);
        }
        // The deepest first: the prefix of each level is also one of the levels below it.
        for (level, operations) in by_level.into_iter().rev() {
            whole = whole.service(surface(level, operations, &state));
        }
        for resource in monitor::resources(&state) {
            whole = whole.service(resource);
        }
        let whole = whole
            .default_service(no_route(&state))
            .wrap(middleware::from_fn(move |request, next| {
                around(at_edge.clone(), request, next)
            }));
        config.service(whole);
        // What no path leads to, such as `OPTIONS *`, does not come into the scope.
        let at_edge = state.clone();
        config.default_service(no_route(&state).wrap(middleware::from_fn(move |request, next| {
            around(at_edge.clone(), request, next)
        })));
    }
}

/// The operations of one level, behind its prefix.
fn surface(level: Level, operations: Vec<Operation>, state: &HttpState) -> Scope {
    let mut by_path: BTreeMap<&'static str, Vec<Operation>> = BTreeMap::new();
    for operation in operations {
        by_path.entry(operation.tail).or_default().push(operation);
    }
    // A path without parameters goes before one with them: `/nodes/bulk-create` is not the node `bulk-create`.
    let (plain, parameterised): (Vec<_>, Vec<_>) = by_path.into_iter().partition(|(path, _)| !path.contains('{'));
    // A scope does not inherit what its parent says of paths that there are not.
    let mut scope = web::scope(level.prefix()).default_service(no_route(state));
    for (path, operations) in plain.into_iter().chain(parameterised) {
        let allowed = |operation: &Operation| match operation.method {
            Method::GET => GET_AND_HEAD.to_owned(),
            ref method => method.to_string(),
        };
        let methods: Vec<String> = operations.iter().map(allowed).collect();
        let mut resource = refusing_others(web::resource(path), methods.join(", "), state);
        for operation in operations {
            let (handler, state) = (operation.handler, state.clone());
            let answer = move |request: HttpRequest, payload: Payload| handler(request, payload, state.clone());
            let route = match operation.method {
                Method::GET => get_or_head(),
                method => web::method(method),
            };
            resource = resource.route(route.to(answer));
        }
        scope = scope.service(resource);
    }
    scope
}

/// What a path takes that answers GET.
pub(crate) const GET_AND_HEAD: &str = "GET, HEAD";

/// A route for GET, and for HEAD, of whose answer the server sends no body.
pub(crate) fn get_or_head() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// Refuses a path that there is not.
fn no_route(state: &HttpState) -> Route {
    let state = state.clone();
    web::to(move |request: HttpRequest| {
        let response = refuse_route(&request, &state);
        async { response }
    })
}

/// A resource that refuses every method but those it is given.
pub(crate) fn refusing_others(resource: Resource, allow: String, state: &HttpState) -> Resource {
    let state = state.clone();
    resource.default_service(web::to(move |request: HttpRequest| {
        let response = refuse_method(&allow, &request, &state);
        async { response }
    }))
}
