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

/// A PostgreSQL server with its own cluster, in a folder that is removed with it. By default it never waits for the
/// disk: an acknowledged write survives a crash of the server, but not of the machine.
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
    /// Creates a cluster and starts its server.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn start() -> Self {
        Self::start_own(FAST)
    }

    /// Starts a server that waits for the disk and vacuums, like a real one.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn start_with_usual_settings() -> Self {
        Self::start_own("")
    }

    fn start_own(settings: &'static str) -> Self {
        Self::start_in(own_folder(), settings, true)
    }

    /// Starts a server for the tests of a run.
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
    ///
    /// If that fails.
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

    /// Promotes a standby to the primary.
    ///
    /// # Panics
    ///
    /// If that fails.
    pub fn promote(&self) {
        self.run(
            self.programs
                .command("pg_ctl")
                .arg("--pgdata")
                .arg(self.data())
                .args(["--wait", "promote"]),
        );
    }

    /// Suspends all processes of the server: connections stay open and nothing is answered.
    ///
    /// # Panics
    ///
    /// If the server does not run.
    pub fn freeze(&self) {
        let postmaster = self.postmaster().expect("a running server");
        signal("STOP", &[postmaster]);
        signal("STOP", &children(postmaster));
    }

    /// Resumes a frozen server.
    ///
    /// # Panics
    ///
    /// If the server does not run.
    pub fn thaw(&self) {
        let postmaster = self.postmaster().expect("a running server");
        signal("CONT", &children(postmaster));
        signal("CONT", &[postmaster]);
    }

    fn postmaster(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// Connects to a server that another process has started.
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

    /// Returns the port that it listens on.
    pub const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the URL of one of its databases. `postgres` always exists.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://canopy@127.0.0.1:{}/{database}", self.port)
    }

    /// Starts the server again.
    ///
    /// # Panics
    ///
    /// If that fails.
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

    /// Stops the server immediately, like a crash.
    ///
    /// # Panics
    ///
    /// If that fails.
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
                // A frozen server would not receive the stop signal.
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
            // The test may have stopped it.
            drop(stop);
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// Creates a folder for a server that one test uses.
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

/// Returns the processes that a process has started.
fn children(parent: u32) -> Vec<u32> {
    let is_child = |process: u32| {
        let status = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name is in parentheses and may contain spaces; the state and the parent follow.
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

/// Returns a port that is currently free.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
