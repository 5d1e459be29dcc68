//! A guard for axum: a route answers those who may do something at the node that its path names.
//!
//! ```sh
//! cargo run -p canopy-examples --example axum_guard
//! curl -i -H 'X-User: ada' http://127.0.0.1:8082/notes/acme/eu/berlin    # 200
//! curl -i -H 'X-User: ada' http://127.0.0.1:8082/notes/acme/us           # 403
//! curl -i http://127.0.0.1:8082/notes/acme/eu/berlin                     # 401
//! ```
//!
//! Put the session of your application in place of the header `X-User`, which anybody can send.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use canopy_domain::Timestamp;
use canopy_domain::access::AccessIndex;
use canopy_domain::access::named::{NameError, NamedIndex};
use std::sync::{Arc, RwLock};
use std::time::SystemTime;

type Access = Arc<RwLock<NamedIndex>>;
type Refusal = (StatusCode, String);

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
    State((access, permission)): State<(Access, &'static str)>,
    Path(node): Path<String>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let user = headers.get("x-user").and_then(|user| user.to_str().ok());
    let user = user.ok_or_else(|| (StatusCode::UNAUTHORIZED, "who are you?".to_owned()))?;
    let now = Timestamp::try_from(SystemTime::now()).map_err(internal)?;
    let decision = access.read().map_err(internal)?.decide(user, permission, &node, now);
    if let Some(reason) = decision.denial_reason() {
        return Err((StatusCode::FORBIDDEN, format!("{permission} at {node}: {reason}")));
    }
    Ok(next.run(request).await)
}

fn internal(error: impl std::fmt::Display) -> Refusal {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

async fn read_note(Path(node): Path<String>) -> String {
    format!("the notes of {node}\n")
}

fn routes(access: &Access) -> Router {
    let guarded = from_fn_with_state((Arc::clone(access), "note.read"), guard);
    Router::new()
        .route("/notes/{*node}", get(read_note))
        .route_layer(guarded)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let access = Arc::new(RwLock::new(index()?));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8082").await?;
    axum::serve(listener, routes(&access)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use tower::ServiceExt as _;

    #[tokio::test]
    async fn a_request_passes_where_its_user_may() {
        let access = Arc::new(RwLock::new(index().unwrap()));
        let app = routes(&access);
        let status = async |user: Option<&str>, path: &str| {
            let mut request = Request::get(path);
            if let Some(user) = user {
                request = request.header("X-User", user);
            }
            let answered = app.clone().oneshot(request.body(Body::empty()).unwrap());
            answered.await.unwrap().status().as_u16()
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
