//! The router: from requests to their handlers.
//!
//! The service routes requests itself, behind one handler for actix. Every path of the table is found in one look-up,
//! however many there are.

use crate::edge::{log, refuse_method, refuse_route};
use crate::handler::Watch;
use crate::incoming::{Incoming, Pattern};
use crate::metrics::Meter;
use crate::monitor;
use crate::operation::Mount;
use crate::request_id::REQUEST_ID;
use crate::route::operations;
use crate::state::HttpState;
use actix_web::Error;
use actix_web::dev::{ServiceRequest, ServiceResponse, fn_service};
use actix_web::http::{ConnectionType, Method};
use actix_web::web::ServiceConfig;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

/// Configures the whole service for an actix `App` of its own. The `App` must have no other routes.
pub fn configure(state: &HttpState) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let mut table = Table::default();
    for operation in operations() {
        for mount in operation.mounts {
            table.add(
                mount.path(),
                operation.method.clone(),
                Endpoint::Operation {
                    meter: Box::new(state.metrics().meter(mount.operation)),
                    mount,
                },
            );
        }
    }
    for (path, watch) in monitor::watches(state) {
        table.add(path.to_owned(), Method::GET, Endpoint::Watch(watch));
    }
    table.serve(state)
}

/// Configures only `/metrics` for an actix `App` of its own.
pub(crate) fn configure_metrics(state: &HttpState) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let (path, watch) = monitor::metrics_watch();
    let mut table = Table::default();
    table.add(path.to_owned(), Method::GET, Endpoint::Watch(watch));
    table.serve(state)
}

/// The handler of one method of a path.
enum Endpoint {
    Operation { mount: Mount, meter: Box<Meter> },
    Watch(Watch),
}

/// All paths with their handlers.
#[derive(Default)]
struct Table {
    paths: BTreeMap<String, Vec<(Method, Endpoint)>>,
}

impl Table {
    fn add(&mut self, path: String, method: Method, endpoint: Endpoint) {
        self.paths.entry(path).or_default().push((method, endpoint));
    }

    fn serve(self, state: &HttpState) -> impl FnOnce(&mut ServiceConfig) + use<> {
        let state = state.clone();
        move |config: &mut ServiceConfig| {
            let router = Rc::new(Router::new(self, state));
            config.default_service(fn_service(move |request: ServiceRequest| {
                Rc::clone(&router).answer(request)
            }));
        }
    }
}

/// The handlers of one path.
struct RouteEntry {
    pattern: Rc<Pattern>,
    endpoints: Vec<(Method, Endpoint)>,
    /// The value of `Allow`.
    allow: String,
}

impl RouteEntry {
    fn new(path: String, endpoints: Vec<(Method, Endpoint)>) -> Self {
        let allowed = |(method, _): &(Method, Endpoint)| match *method {
            Method::GET => "GET, HEAD".to_owned(),
            ref method => method.to_string(),
        };
        let allow: Vec<String> = endpoints.iter().map(allowed).collect();
        Self {
            pattern: Rc::new(Pattern::new(path)),
            endpoints,
            allow: allow.join(", "),
        }
    }

    /// Returns the handler of a method. The handler of GET serves HEAD too; the server then sends no body.
    fn endpoint(&self, method: &Method) -> Option<&Endpoint> {
        let method = if *method == Method::HEAD { &Method::GET } else { method };
        let found = self.endpoints.iter().find(|(known, _)| known == method);
        found.map(|(_, endpoint)| endpoint)
    }
}

/// Answers all requests of a worker.
struct Router {
    state: HttpState,
    places: matchit::Router<RouteEntry>,
}

impl Router {
    #[expect(clippy::panic, reason = "the table has two paths that match the same requests")]
    fn new(table: Table, state: HttpState) -> Self {
        let mut places = matchit::Router::new();
        for (path, endpoints) in table.paths {
            if let Err(error) = places.insert(path.clone(), RouteEntry::new(path, endpoints)) {
                panic!("{error}");
            }
        }
        Self { state, places }
    }

    /// Assigns an id to each request, answers it and logs it.
    async fn answer(self: Rc<Self>, request: ServiceRequest) -> Result<ServiceResponse, Error> {
        let begun = Instant::now();
        let (http, payload) = request.into_parts();
        let mut incoming = Incoming::new(http, &self.state);
        if let Some(connection) = incoming.connection() {
            connection.begin_request(incoming.has_unread_body());
        }
        let mut response = match self.places.at(incoming.http.match_info().as_str()).ok() {
            None => refuse_route(&incoming, &self.state),
            Some(found) => {
                let place = found.value;
                incoming.lead_to(&place.pattern);
                match place.endpoint(incoming.http.method()) {
                    None => refuse_method(&place.allow, &incoming, &self.state),
                    Some(Endpoint::Watch(watch)) => watch(&incoming, &self.state).await,
                    Some(Endpoint::Operation { mount, meter }) => {
                        let response = (mount.handler)(&incoming, payload, &self.state).await;
                        meter.note(response.status(), begun.elapsed());
                        response
                    }
                }
            }
        };
        response.headers_mut().insert(REQUEST_ID.clone(), incoming.id_header());
        if let Some(connection) = incoming.connection() {
            let closes = incoming.has_unread_body();
            if closes {
                // The rest of the body is not worth reading.
                response.head_mut().set_connection_type(ConnectionType::Close);
            }
            connection.end_request(closes);
        }
        log(&incoming, &response, begun, &self.state);
        Ok(ServiceResponse::new(incoming.http, response))
    }
}
