//! The stream that the HTTP dispatcher reads from and writes to.

use super::Connection;
use super::refusal;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io;
use std::rc::Rc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A socket whose bytes are watched.
#[derive(Debug)]
pub(crate) struct GuardedStream(pub(crate) Rc<Connection>);

impl AsyncRead for GuardedStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let connection = &self.0;
        if connection.cut.get().is_some() {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut *connection.socket.borrow_mut()).poll_read(context, buffer);
        match &read {
            Poll::Ready(Ok(())) => connection.note_read(buffer.filled().get(before..).unwrap_or_default()),
            Poll::Ready(Err(_)) => connection.has_hung_up.set(true),
            Poll::Pending => connection.remember_waker(context),
        }
        read
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let connection = &self.0;
        if connection.cut.get().is_some() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let own = match refusal::parser_answer(bytes) {
            // The response of a request that closes the connection is the last one. The parser's error about later
            // bytes belongs to no request.
            Some(0) if connection.closes.get() => {
                connection.lingers.set(true);
                return Poll::Ready(Ok(bytes.len()));
            }
            Some(0) => return connection.poll_refuse(context, bytes),
            Some(begin) => bytes.get(..begin).unwrap_or(bytes),
            None => bytes,
        };
        let written = Pin::new(&mut *connection.socket.borrow_mut()).poll_write(context, own);
        match &written {
            Poll::Ready(Ok(written)) => connection.note_written(*written),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                connection.note_blocked();
                connection.remember_waker(context);
            }
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut *self.0.socket.borrow_mut()).poll_flush(context);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.0.note_flushed();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.socket.borrow_mut()).poll_shutdown(context)
    }
}

impl Connection {
    /// Sends the service's own refusal in place of the parser's response, completely before the parser's counts as
    /// written.
    fn poll_refuse(&self, context: &mut Context<'_>, answer: &[u8]) -> Poll<io::Result<usize>> {
        let mut refusal = self.refusal.borrow_mut();
        let (bytes, sent) = refusal.get_or_insert_with(|| {
            let problem = match refusal::status(answer) {
                431 => self.large_head(),
                // The URI type of the parser accepts no more.
                400 if self.line_bytes.get() >= super::MAX_HEAD_BYTES - 2 => refusal::long_uri(),
                _ => refusal::malformed_head(),
            };
            (refusal::write(problem, &self.state), 0)
        });
        while let Some(rest) = bytes.get(*sent..).filter(|rest| !rest.is_empty()) {
            let written = Pin::new(&mut *self.socket.borrow_mut()).poll_write(context, rest);
            if written.is_pending() {
                self.note_blocked();
                self.remember_waker(context);
            }
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                more => *sent += more,
            }
        }
        *refusal = None;
        self.lingers.set(true);
        Poll::Ready(Ok(answer.len()))
    }
}
