//! Rendered responses: bounded in size, counted while they are in flight, and sent in chunks.

use crate::error_code::ErrorCode;
use crate::problem::Problem;
use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use canopy_domain::port::Share;
use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A rendered response.
#[derive(Debug)]
pub(crate) struct Rendered {
    pub(crate) status: StatusCode,
    /// The maximum number of headers of any response.
    pub(crate) headers: [Option<(HeaderName, HeaderValue)>; 3],
    /// JSON, or empty.
    pub(crate) body: Bytes,
}

/// The response is larger than its limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLarge {
    pub(crate) max_bytes: usize,
}

impl From<TooLarge> for Problem {
    fn from(TooLarge { max_bytes }: TooLarge) -> Self {
        Self::new(
            ErrorCode::AnswerTooLarge,
            "the response would be too large; request less at once",
        )
        .with("max_bytes", max_bytes)
    }
}

/// A buffer that accepts a limited number of bytes.
struct Bounded {
    written: Vec<u8>,
    max_bytes: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written.len().saturating_add(bytes.len()) > self.max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Rendered {
    /// Renders a body of about `expected` bytes, and at most `max_bytes`.
    pub(crate) fn json(
        status: StatusCode,
        body: &impl Serialize,
        (expected, max_bytes): (usize, usize),
    ) -> Result<Self, TooLarge> {
        let mut bounded = Bounded {
            written: Vec::with_capacity(expected.clamp(256, max_bytes.max(256))),
            max_bytes,
        };
        // Responses have no keys other than text, so only the bound can fail.
        serde_json::to_writer(&mut bounded, body).map_err(|_| TooLarge { max_bytes })?;
        Ok(Self {
            status,
            headers: [const { None }; 3],
            body: bounded.written.into(),
        })
    }

    /// Returns a response without a body.
    pub(crate) const fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: [const { None }; 3],
            body: Bytes::new(),
        }
    }

    pub(crate) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if let Some(place) = self.headers.iter_mut().find(|place| place.is_none()) {
            *place = Some((name, value));
        }
        self
    }

    /// Returns the response. A large one counts for `share` until it is sent, and is refused if too much is in flight.
    pub(crate) fn into_response(self, flight: &InFlight, share: Share) -> Result<HttpResponse, Problem> {
        let mut response = HttpResponse::build(self.status);
        for (name, value) in self.headers.into_iter().flatten() {
            response.insert_header((name, value));
        }
        if self.body.is_empty() {
            return Ok(response.finish());
        }
        response.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        if self.body.len() <= Chunked::CHUNK {
            return Ok(response.body(self.body));
        }
        let reserved = flight.reserve(share, self.body.len())?;
        let chunked = Chunked {
            rest: self.body,
            _reserved: reserved,
        };
        Ok(response.body(BoxBody::new(chunked)))
    }
}

/// A body that is sent in chunks, so that bytes that the socket cannot take yet are not copied.
struct Chunked {
    rest: Bytes,
    _reserved: Reserved,
}

impl Chunked {
    const CHUNK: usize = 64 * 1024;
}

impl MessageBody for Chunked {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.rest.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let this = self.get_mut();
        if this.rest.is_empty() {
            return Poll::Ready(None);
        }
        let chunk = this.rest.split_to(Self::CHUNK.min(this.rest.len()));
        Poll::Ready(Some(Ok(chunk)))
    }
}

/// The bytes of large responses that are being sent.
#[derive(Debug, Clone)]
pub(crate) struct InFlight {
    max_bytes: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    shares: HashMap<Share, usize>,
}

impl InFlight {
    /// Creates a counter with nothing in flight.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            counts: Arc::default(),
        }
    }

    /// Counts bytes until the reservation is dropped. One share may use half of the total; any single response fits if
    /// nothing else of its share is in flight.
    fn reserve(&self, share: Share, bytes: usize) -> Result<Reserved, Problem> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let own = counts.shares.get(&share).copied().unwrap_or_default();
        let is_first = own == 0 && counts.all.saturating_add(bytes) <= self.max_bytes.saturating_mul(2);
        let fits =
            own.saturating_add(bytes) <= self.max_bytes / 2 && counts.all.saturating_add(bytes) <= self.max_bytes;
        if !(fits || is_first) {
            let busy = Problem::new(
                ErrorCode::Busy,
                "too many large responses are being sent; try again later",
            );
            return Err(busy.with("max_bytes_in_flight", self.max_bytes));
        }
        counts.all += bytes;
        *counts.shares.entry(share).or_default() += bytes;
        Ok(Reserved {
            counts: Arc::clone(&self.counts),
            share,
            bytes,
        })
    }

    #[cfg(test)]
    fn all(&self) -> usize {
        self.counts.lock().unwrap().all
    }
}

/// Bytes that are counted as in flight.
struct Reserved {
    counts: Arc<Mutex<Counts>>,
    share: Share,
    bytes: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.all -= self.bytes;
        if let Some(own) = counts.shares.get_mut(&self.share) {
            *own -= self.bytes;
            if *own == 0 {
                counts.shares.remove(&self.share);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Chunked, InFlight, Rendered};
    use actix_web::body::{BodySize, MessageBody as _};
    use actix_web::http::StatusCode;
    use canopy_domain::AccountId;
    use canopy_domain::port::Share;
    use core::pin::Pin;
    use core::task::{Context, Poll, Waker};
    use uuid::Uuid;

    const ACME: Share = Share::Account(AccountId::new(Uuid::from_u128(1)));
    const GLOBEX: Share = Share::Account(AccountId::new(Uuid::from_u128(2)));

    fn rendered(bytes: usize) -> Rendered {
        Rendered::json(StatusCode::OK, &"x".repeat(bytes - 2), (0, usize::MAX)).unwrap()
    }

    #[test]
    fn nothing_grows_past_its_bound() {
        let text = "x".repeat(98);
        assert!(Rendered::json(StatusCode::OK, &text, (0, 100)).is_ok());
        let refused = Rendered::json(StatusCode::OK, &text, (0, 99)).unwrap_err();
        assert_eq!(refused.max_bytes, 99);
    }

    #[test]
    fn a_large_body_comes_in_chunks_and_whole() {
        let flight = InFlight::new(10_000_000);
        let response = rendered(200_000).into_response(&flight, ACME).unwrap();
        let mut body = response.into_body();
        assert_eq!(body.size(), BodySize::Sized(200_000));
        assert_eq!(flight.all(), 200_000);
        let mut sizes = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(chunk)) = Pin::new(&mut body).poll_next(&mut context) {
            sizes.push(chunk.unwrap().len());
        }
        assert_eq!(
            sizes,
            [
                Chunked::CHUNK,
                Chunked::CHUNK,
                Chunked::CHUNK,
                200_000 - 3 * Chunked::CHUNK
            ]
        );
        assert_eq!(flight.all(), 200_000);
        drop(body);
        assert_eq!(flight.all(), 0);
    }

    #[test]
    fn answers_that_nobody_reads_do_not_pile_up_and_keep_no_others_out() {
        let flight = InFlight::new(1_000_000);
        let send = |share, bytes: usize| rendered(bytes).into_response(&flight, share);
        let held = [send(ACME, 250_000).unwrap(), send(ACME, 250_000).unwrap()];
        let refused = send(ACME, 100_000).unwrap_err();
        assert_eq!((refused.code.as_str(), refused.retry_after()), ("server.busy", Some(1)));
        // Small responses are not counted, and another share has room.
        assert!(send(ACME, 1_000).is_ok());
        let other = send(GLOBEX, 400_000).unwrap();
        assert_eq!(flight.all(), 900_000);
        drop(held);
        assert!(send(ACME, 100_000).is_ok());
        drop(other);
        assert_eq!(flight.all(), 0);
    }
}
