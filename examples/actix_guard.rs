//! A guard for actix-web: a route answers those who may do something at the node that its path names.
//!
//! ```sh
//! cargo run -p canopy-examples --example actix_guard
//! curl -i -H 'X-User: ada' http://127.0.0.1:8081/notes/acme/eu/berlin    # 200
//! curl -i -H 'X-User: ada' http://127.0.0.1:8081/notes/acme/us           # 403
//! curl -i http://127.0.0.1:8081/notes/acme/eu/berlin                     # 401
//! ```
//!
//! Put the session of your application in place of the header `X-User`, which anybody can send.

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::{ErrorForbidden, ErrorInternalServerError, ErrorUnauthorized};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{App, Error, HttpServer};
use canopy_domain::Timestamp;
use canopy_domain::access::AccessIndex;
use canopy_domain::access::named::{NameError, NamedIndex};
use std::sync::RwLock;
use std::time::SystemTime;

/// Feeds the index from the data of the application. Call `grant`, `revoke` and `move_node` whenever that data changes.
fn index() -> Result<NamedIndex, NameError> {
    AccessIndex::builder()
        .permission("note.read")
        .role("Reader", ["note.read"])
        .node("acme/eu/berlin")
        .node("acme/us")
        .grant("ada", "Reader", "acme/eu")
        .build()
}

/// Lets a request pass whose user has the permission at the node of the path.
async fn guard(
    permission: &'static str,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let user = request.headers().get("x-user").and_then(|user| user.to_str().ok());
    let user = user.ok_or_else(|| ErrorUnauthorized("who are you?"))?;
    let node = request.match_info().get("node").unwrap_or_default();
    let now = Timestamp::try_from(SystemTime::now()).map_err(ErrorInternalServerError)?;
    let decision = {
        let access = request.app_data::<Data<RwLock<NamedIndex>>>();
        let access = access.ok_or_else(|| ErrorInternalServerError("the index is missing"))?;
        let access = access
            .read()
            .map_err(|_| ErrorInternalServerError("the index is broken"))?;
        access.decide(user, permission, node, now)
    };
    if let Some(reason) = decision.denial_reason() {
        return Err(ErrorForbidden(format!("{permission} at {node}: {reason}")));
    }
    next.call(request).await
}

async fn read_note(node: web::Path<String>) -> String {
    format!("the notes of {node}\n")
}

fn routes(config: &mut ServiceConfig) {
    let guarded = from_fn(|request, next| guard("note.read", request, next));
    config.service(
        web::resource("/notes/{node:.+}")
            .wrap(guarded)
            .route(web::get().to(read_note)),
    );
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let access = Data::new(RwLock::new(index()?));
    let app = move || App::new().app_data(access.clone()).configure(routes);
    HttpServer::new(app).bind("127.0.0.1:8081")?.run().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::{TestRequest, init_service, try_call_service};

    #[tokio::test]
    async fn a_request_passes_where_its_user_may() {
        let access = Data::new(RwLock::new(index().unwrap()));
        let app = init_service(App::new().app_data(access.clone()).configure(routes)).await;
        let status = async |user: Option<&str>, path: &str| {
            let mut request = TestRequest::get().uri(path);
            if let Some(user) = user {
                request = request.insert_header(("X-User", user));
            }
            match try_call_service(&app, request.to_request()).await {
                Ok(response) => response.status().as_u16(),
                Err(error) => error.as_response_error().status_code().as_u16(),
            }
        };
        assert_eq!(status(Some("ada"), "/notes/acme/eu/berlin").await, 200);
        assert_eq!(status(Some("ada"), "/notes/acme/us").await, 403);
        assert_eq!(status(Some("ada"), "/notes/acme/nowhere").await, 403);
        assert_eq!(status(Some("bob"), "/notes/acme/eu").await, 403);
        assert_eq!(status(None, "/notes/acme/eu").await, 401);

        access.write().unwrap().grant("bob", "Reader", "acme").unwrap();
        assert_eq!(status(Some("bob"), "/notes/acme/us").await, 200);
        access.write().unwrap().revoke("ada", "Reader", "acme/eu").unwrap();
        assert_eq!(status(Some("ada"), "/notes/acme/eu/berlin").await, 403);
    }
}
