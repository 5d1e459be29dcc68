//! Texts for people on the standard streams, which never hold up the server.

use std::io::{self, Write};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

/// Writes to standard output in the order of calls, from a thread of its own: nobody may read it, and its disk may be full.
#[derive(Debug, Clone)]
pub struct Console(Sender<String>);

impl Console {
    /// Starts the thread. It ends with the last clone of the console.
    ///
    /// # Errors
    /// When the system refuses the thread.
    pub fn start() -> io::Result<Self> {
        let (sender, texts) = channel::<String>();
        thread::Builder::new().name("console".to_owned()).spawn(move || {
            for text in texts {
                if let Err(error) = write_whole(&mut io::stdout(), &text) {
                    tracing::warn!(%error, "cannot write to standard output; going on without");
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Writes a text as soon as that is possible, without waiting for it.
    pub fn print(&self, text: String) {
        // Without its thread there is nobody to print it.
        self.0.send(text).ok();
    }
}

/// The time that a last complaint waits for its reader.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Writes a line to standard error, and waits for that no longer than two seconds.
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
