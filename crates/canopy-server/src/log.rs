//! The log: structured, on standard error, written by its own thread.
//!
//! Logging never blocks. Lines that cannot be written, because the reader is gone or the disk is full, are dropped and
//! counted. The count is logged once lines can be written again.

use crate::config::{LogConfig, LogFormat};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal as _, Write, stderr};
use std::panic;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Maximum number of queued lines.
const WAITING_LINES: usize = 8_192;

/// Counts the lines that were lost since the start of the process.
#[derive(Debug, Clone, Default)]
pub struct LostLines(Arc<Lost>);

#[derive(Debug, Default)]
struct Lost {
    unwritten: AtomicU64,
    overflow: OnceLock<ErrorCounter>,
}

impl LostLines {
    /// Returns the number of lost lines.
    pub fn count(&self) -> u64 {
        let overflow = self.0.overflow.get().map_or(0, ErrorCounter::dropped_lines);
        self.0.unwritten.load(Ordering::Relaxed) + overflow as u64
    }
}

/// The log of this process. Dropping it writes the queued lines, for at most a second, and ends it.
#[derive(Debug)]
pub struct Log {
    lost: LostLines,
    _writing: WorkerGuard,
}

impl Log {
    /// Returns the counter of lost lines.
    pub fn lost_lines(&self) -> LostLines {
        self.lost.clone()
    }
}

/// A writer to standard error that counts failures and otherwise ignores them.
struct Sink<W> {
    stream: W,
    is_json: bool,
    lost: LostLines,
    /// The number of reported lost lines.
    reported: u64,
}

impl<W: Write> Sink<W> {
    fn report(&mut self) {
        let lost = self.lost.count();
        if lost <= self.reported {
            return;
        }
        let count = lost - self.reported;
        let line = if self.is_json {
            format!("{{\"level\":\"WARN\",\"message\":\"log lines were lost\",\"lost\":{count}}}\n")
        } else {
            format!(" WARN log lines were lost lost={count}\n")
        };
        if self.stream.write_all(line.as_bytes()).is_ok() {
            self.reported = lost;
        }
    }
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match self.stream.write_all(line) {
            Ok(()) => self.report(),
            Err(_) => {
                self.lost.0.unwritten.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush().ok();
        Ok(())
    }
}

/// Starts the log of this process, unless it was started before.
pub fn start(config: &LogConfig) -> Log {
    let level = config.level.as_str();
    // Logs of the HTTP server about its workers and about connections that speak no HTTP are useless to operators,
    // unless they select them by name.
    let quiet = if level.contains('=') {
        ""
    } else {
        ",actix_server=warn,actix_http=off"
    };
    let filter = EnvFilter::try_new(format!("{level}{quiet}")).unwrap_or_else(|_| EnvFilter::new("info"));
    let terminal = stderr().is_terminal();
    let is_json = match config.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !terminal,
    };
    let lost = LostLines::default();
    let sink = Sink {
        stream: stderr(),
        is_json,
        lost: lost.clone(),
        reported: 0,
    };
    let (writer, writing) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(sink);
    lost.0.overflow.set(writer.error_counter()).ok();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .log_internal_errors(false)
        .with_ansi(terminal);
    let started = if is_json {
        log.json().flatten_event(true).try_init()
    } else {
        log.try_init()
    };
    // Only a test that runs several servers in one process starts it twice.
    if started.is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
    Log {
        lost,
        _writing: writing,
    }
}

/// Logs a panic. The default hook would write to a standard error that may block.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let is_captured = backtrace.status() == BacktraceStatus::Captured;
    let backtrace = is_captured.then(|| backtrace.to_string());
    tracing::error!(%panic, backtrace, "a thread panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk that is full for a while.
    #[derive(Default)]
    struct Disk {
        is_full: bool,
        text: String,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.is_full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.text.push_str(core::str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_reported_once() {
        let mut sink = Sink {
            stream: Disk::default(),
            is_json: true,
            lost: LostLines::default(),
            reported: 0,
        };
        sink.write_all(b"one\n").unwrap();
        sink.stream.is_full = true;
        sink.write_all(b"two\n").unwrap();
        sink.write_all(b"three\n").unwrap();
        assert_eq!(sink.lost.count(), 2);
        sink.stream.is_full = false;
        sink.write_all(b"four\n").unwrap();
        sink.write_all(b"five\n").unwrap();
        assert_eq!(
            sink.stream.text,
            "one\nfour\n{\"level\":\"WARN\",\"message\":\"log lines were lost\",\"lost\":2}\nfive\n"
        );
    }
}
