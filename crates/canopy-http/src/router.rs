//! From operations to actix routes.

use crate::edge::{around, refuse_method, refuse_route};
use crate::monitor;
use crate::operation::Mount;
use crate::route::operations;
use crate::scope::Surface;
use crate::state::HttpState;
use actix_web::http::Method;
use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, Resource, Route, Scope, guard, middleware};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// Everything that the service answers, for an actix `App` of its own: no route of another may stand beside it.
pub fn configure(state: &HttpState) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let state = state.clone();
    move |config: &mut ServiceConfig| {
        let at_edge = state.clone();
        let mut whole = web::scope("");
        let mut by_surface: BTreeMap<Surface, Vec<(Method, Mount)>> = BTreeMap::new();
        for operation in operations() {
            for mount in operation.mounts {
                let mounts = by_surface.entry(mount.surface).or_default();
                mounts.push((operation.method.clone(), mount));
            }
        }
        // The deepest first: the prefix of each level is also one of the levels below it.
        for (surface, mounts) in by_surface.into_iter().rev() {
            whole = whole.service(serve(surface, mounts, &state));
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

/// `/metrics` and nothing else, for an actix `App` of its own.
pub(crate) fn configure_metrics(state: &HttpState) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let state = state.clone();
    move |config: &mut ServiceConfig| {
        let at_edge = state.clone();
        let whole = web::scope("")
            .service(monitor::metrics_resource(&state))
            .default_service(no_route(&state))
            .wrap(middleware::from_fn(move |request, next| {
                around(at_edge.clone(), request, next)
            }));
        config.service(whole);
    }
}

/// The operations of one surface, behind its prefix.
fn serve(surface: Surface, mounts: Vec<(Method, Mount)>, state: &HttpState) -> Scope {
    let mut by_path: BTreeMap<&'static str, Vec<(Method, Mount)>> = BTreeMap::new();
    for (method, mount) in mounts {
        by_path.entry(mount.tail).or_default().push((method, mount));
    }
    // A path without parameters goes before one with them: `/nodes/bulk-create` is not the node `bulk-create`.
    let (plain, parameterised): (Vec<_>, Vec<_>) = by_path.into_iter().partition(|(path, _)| !path.contains('{'));
    // A scope does not inherit what its parent says of paths that there are not.
    let mut scope = web::scope(surface.prefix()).default_service(no_route(state));
    for (path, mounts) in plain.into_iter().chain(parameterised) {
        let allowed = |(method, _): &(Method, Mount)| match *method {
            Method::GET => GET_AND_HEAD.to_owned(),
            ref method => method.to_string(),
        };
        let methods: Vec<String> = mounts.iter().map(allowed).collect();
        let mut resource = refusing_others(web::resource(path), methods.join(", "), state);
        for (method, mount) in mounts {
            let (handler, state) = (mount.handler, state.clone());
            let meter = Rc::new(state.metrics().meter(mount.operation));
            let answer = move |request: HttpRequest, payload: Payload| {
                let (begun, meter) = (Instant::now(), Rc::clone(&meter));
                let answering = handler(request, payload, state.clone());
                async move {
                    let response = answering.await;
                    meter.note(response.status(), begun.elapsed());
                    response
                }
            };
            let route = match method {
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
