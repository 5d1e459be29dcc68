//! Texts for people on the standard streams. They never block the server.

use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// Writes to standard output in the order of calls, on its own thread: the reader may be gone, and the disk may be
/// full.
#[derive(Debug, Clone)]
pub struct Console(Sender<String>);

impl Console {
    /// Starts the thread. It ends with the last clone of the console.
    ///
    /// # Errors
    /// Fails if the system refuses the thread.
    pub fn start() -> io::Result<Self> {
        let (sender, texts) = channel::<String>();
        thread::Builder::new().name("console".to_owned()).spawn(move || {
            for text in texts {
                if let Err(error) = write_whole(&mut io::stdout(), &text) {
                    tracing::warn!(%error, "cannot write to standard output; continuing without it");
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Queues a text and returns at once.
    pub fn print(&self, text: String) {
        // Without the thread, the text is lost.
        self.0.send(text).ok();
    }
}

/// Maximum time for writing a final message.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Writes a line to standard error, and waits at most two seconds for that.
pub fn complain(text: String) {
    let (sender, written) = channel();
    let writing = thread::Builder::new().name("complaint".to_owned()).spawn(move || {
        write_whole(&mut io::stderr(), &(text + "\n")).ok();
        sender.send(()).ok();
    });
    if writing.is_ok() {
        written.recv_timeout(LAST_WORDS).ok();
    }
}

fn write_whole(stream: &mut dyn Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
