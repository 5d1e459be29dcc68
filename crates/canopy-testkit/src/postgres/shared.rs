//! The cluster that all tests of a run share across processes: nextest runs each test in its own process.
//!
//! A run is identified by the parent of the test process. Its cluster is in a folder named after it. Each process that
//! uses the cluster leaves a file named after itself. A small shell script watches both: when the run has ended, or no
//! process has used the cluster for a minute, it stops the server and removes the folder.

use super::server::Server;
use std::fs::{self, File};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The name of the database that others are copied from.
pub(super) const TEMPLATE: &str = "canopy_template";

/// `$1` is the folder, `$2` the run's process.
const WATCH: &str = r#"
folder=$1 run=$2 idle=0
while kill -0 "$run" 2>/dev/null; do
    sleep 1
    idle=$((idle + 1))
    for file in "$folder"/users/*; do
        [ -e "$file" ] || continue
        if kill -0 "${file##*/}" 2>/dev/null; then idle=0; else rm -f "$file"; fi
    done
    [ "$idle" -ge 60 ] || continue
    # Whoever comes now finds the cluster not ready, and waits for what becomes of it.
    mv "$folder/ready" "$folder/going" 2>/dev/null
    sleep 1
    set -- "$folder"/users/*
    [ -e "$1" ] || break
    mv "$folder/going" "$folder/ready" 2>/dev/null
    idle=0
done
server=$(head -n 1 "$folder/data/postmaster.pid" 2>/dev/null)
if [ -n "$server" ]; then
    kill -QUIT "$server" 2>/dev/null
    while kill -0 "$server" 2>/dev/null; do sleep 0.1; done
fi
rm -rf "$folder" "$folder.lock"
"#;

/// Returns the shared server, and starts it if no test of the run has done so yet. `prepare` fills the template of a
/// new one.
pub(super) fn server(prepare: impl FnOnce(&Server)) -> Server {
    // First the threads of this process take turns, then processes do.
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = std::env::temp_dir().join(format!("canopy-postgres-{}", parent_id()));
    let lock = File::create(folder.with_extension("lock")).expect("a file for a lock");
    lock.lock().expect("a lock");
    let server = join(&folder).unwrap_or_else(|| begin(&folder, prepare));
    drop(lock);
    drop(turn);
    server
}

/// Returns the server in the folder, once it is ready. `None` if there is none, or it has stopped.
fn join(folder: &Path) -> Option<Server> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while folder.exists() {
        let user = folder.join("users").join(std::process::id().to_string());
        let ready = File::create(user).and_then(|_| fs::read_to_string(folder.join("ready")));
        if let Some(port) = ready.ok().and_then(|port| port.trim().parse().ok()) {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(Server::known(folder.to_path_buf(), port));
            }
            // Left behind by a machine that was switched off.
            drop(fs::remove_dir_all(folder));
        }
        if Instant::now() > deadline {
            drop(fs::remove_dir_all(folder));
        }
        pause();
    }
    None
}

fn begin(folder: &Path, prepare: impl FnOnce(&Server)) -> Server {
    let server = Server::start_shared(folder.to_path_buf());
    fs::create_dir(folder.join("users")).expect("a folder");
    File::create(folder.join("users").join(std::process::id().to_string())).expect("a file");
    watch(server.folder());
    prepare(&server);
    fs::write(folder.join("ready.new"), server.port().to_string()).expect("a file");
    fs::rename(folder.join("ready.new"), folder.join("ready")).expect("a file");
    server
}

fn watch(folder: &Path) {
    let spawned = Command::new("sh")
        .args(["-c", WATCH, "canopy-postgres-watch"])
        .arg(folder)
        .arg(parent_id().to_string())
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    drop(spawned.expect("a shell"));
}

#[expect(
    clippy::disallowed_methods,
    reason = "processes wait for each other here, and no worker is blocked"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
