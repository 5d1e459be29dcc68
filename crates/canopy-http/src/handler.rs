//! The types of request handlers.

use crate::incoming::Incoming;
use crate::state::HttpState;
use actix_web::HttpResponse;
use actix_web::dev::Payload;
use core::future::Future;
use core::pin::Pin;
use std::rc::Rc;

/// A future that stays on the worker that read the request.
pub(crate) type Answering<'r> = Pin<Box<dyn Future<Output = HttpResponse> + 'r>>;

/// Answers the requests of an operation.
pub(crate) type Handler = Rc<dyn for<'r> Fn(&'r Incoming, Payload, &'r HttpState) -> Answering<'r>>;

/// Answers requests about the service itself, such as health checks and metrics.
pub(crate) type Watch = Rc<dyn for<'r> Fn(&'r Incoming, &'r HttpState) -> Answering<'r>>;
