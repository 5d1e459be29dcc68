//! A cluster with a server.

use super::programs::Programs;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// The settings that make a server fast for tests.
const FAST: &str = "-c fsync=off -c full_page_writes=off -c autovacuum=off";

/// A server of PostgreSQL with a cluster of its own, in a folder that goes with it. Unless it is told to, it never waits
/// for the disk: what it acknowledged survives its own death, but not that of the machine.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    folder: PathBuf,
    port: u16,
    settings: &'static str,
    /// True if the server and its directory are removed with this value.
    is_own: bool,
}

impl Server {
    /// Makes a cluster and starts its server.
    ///
    /// # Panics
    /// When that fails.
    pub fn start() -> Self {
        Self::start_own(FAST)
    }

    /// The same with a server that waits for the disk and cleans up by itself, as real ones do.
    ///
    /// # Panics
    /// When that fails.
    pub fn start_with_usual_settings() -> Self {
        Self::start_own("")
    }

    fn start_own(settings: &'static str) -> Self {
        Self::start_in(own_folder(), settings, true)
    }

    /// A server for the tests of a run.
    pub(super) fn start_shared(folder: PathBuf) -> Self {
        Self::start_in(folder, FAST, false)
    }

    fn start_in(folder: PathBuf, settings: &'static str, is_own: bool) -> Self {
        let programs = Programs::find();
        make_folder(&programs, &folder);
        let mut server = Self {
            programs,
            folder,
            port: 0,
            settings,
            is_own,
        };
        server.run(
            server
                .programs
                .command("initdb")
                .arg("--pgdata")
                .arg(server.data())
                .args(["--username=canopy", "--auth=trust", "--encoding=UTF8", "--locale=C"])
                .args(["--no-sync", "--no-instructions"]),
        );
        server.port = free_port();
        server.resume();
        server
    }

    /// Starts a standby that replicates this server by streaming, and waits until it does.
    ///
    /// # Panics
    /// When that fails.
    #[must_use]
    pub fn follow(&self) -> Self {
        let programs = Programs::find();
        let folder = own_folder();
        make_folder(&programs, &folder);
        let mut standby = Self {
            programs,
            folder,
            port: 0,
            settings: self.settings,
            is_own: true,
        };
        standby.run(
            standby
                .programs
                .command("pg_basebackup")
                .arg("--pgdata")
                .arg(standby.data())
                .args(["--dbname", &self.url("postgres")])
                .args([
                    "--checkpoint=fast",
                    "--wal-method=stream",
                    "--write-recovery-conf",
                    "--no-sync",
                ]),
        );
        standby.port = free_port();
        standby.resume();
        standby
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    /// When that fails.
    pub fn promote(&self) {
        self.run(
            self.programs
                .command("pg_ctl")
                .arg("--pgdata")
                .arg(self.data())
                .args(["--wait", "promote"]),
        );
    }

    /// Stops all processes of the server without ending them: connections stay open and nothing is answered.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn freeze(&self) {
        let postmaster = self.postmaster().expect("a running server");
        signal("STOP", &[postmaster]);
        signal("STOP", &children(postmaster));
    }

    /// Lets a frozen server go on.
    ///
    /// # Panics
    /// When the server does not run.
    pub fn thaw(&self) {
        let postmaster = self.postmaster().expect("a running server");
        signal("CONT", &children(postmaster));
        signal("CONT", &[postmaster]);
    }

    fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// A server that another process has started.
    pub(super) fn known(folder: PathBuf, port: u16) -> Self {
        let programs = Programs::find();
        Self {
            programs,
            folder,
            port,
            settings: FAST,
            is_own: false,
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The port that it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The URL of one of its databases. `postgres` is always there.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://canopy@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts the server again.
    ///
    /// # Panics
    /// When that fails.
    pub fn resume(&self) {
        let settings = format!(
            "-p {} -k {} -c listen_addresses=127.0.0.1 -c max_connections=300 -c shared_buffers=128MB \
             -c max_wal_size=2GB -c log_min_messages=fatal {}",
            self.port,
            self.folder.display(),
            self.settings
        );
        self.run(
            self.programs
                .command("pg_ctl")
                .arg("--pgdata")
                .arg(self.data())
                .arg("--log")
                .arg(self.folder.join("log"))
                .args(["--options", &settings, "--wait", "--timeout=60", "start"]),
        );
    }

    /// Stops the server in the middle of whatever it does, as a crash would.
    ///
    /// # Panics
    /// When that fails.
    pub fn stop_at_once(&self) {
        self.run(self.programs.command("pg_ctl").arg("--pgdata").arg(self.data()).args([
            "--mode=immediate",
            "--wait",
            "stop",
        ]));
    }

    fn run(&self, command: &mut Command) {
        // A server must not hold the pipes of the test that started it.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(
            status.is_ok_and(|status| status.success()),
            "{command:?} failed: {}",
            log()
        );
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.is_own {
            if let Some(postmaster) = self.postmaster() {
                // A frozen server would not hear that it is to stop.
                signal("CONT", &children(postmaster));
                signal("CONT", &[postmaster]);
            }
            let stop = self
                .programs
                .command("pg_ctl")
                .arg("--pgdata")
                .arg(self.data())
                .args(["--mode=immediate", "--wait", "stop"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            // It may have been stopped by the test.
            drop(stop);
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// A folder for a server that one test uses.
fn own_folder() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("canopy-postgres-own-{}-{number}", std::process::id()))
}

fn make_folder(programs: &Programs, folder: &Path) {
    fs::create_dir(folder).expect("a new folder for temporary files");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("a folder of our own");
    programs.hand_over(folder);
}

/// The processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |process: u32| {
        let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name stands in parentheses and may have spaces in it; the state and the parent follow.
        let (_, rest) = status.rsplit_once(") ")?;
        (rest.split(' ').nth(1)?.parse() == Ok(parent)).then_some(process)
    };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(is_child)
        .collect()
}

fn signal(name: &str, processes: &[u32]) {
    for process in processes {
        let line = format!("kill -{name} {process}");
        // It may have ended in the meantime.
        drop(Command::new("sh").args(["-c", &line]).stderr(Stdio::null()).status());
    }
}

/// A port that nobody listens on just now.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
