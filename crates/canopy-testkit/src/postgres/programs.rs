//! Finds the programs of PostgreSQL, and the user that runs them.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The message for a machine without PostgreSQL.
const ADVICE: &str = "these tests need PostgreSQL 15 or newer and found no `initdb`. Install it (Debian and Ubuntu: \
    `apt-get install postgresql`; Fedora: `dnf install postgresql-server`; macOS: `brew install postgresql`), or name a \
    server in CANOPY_TEST_POSTGRES_URL, for example postgres://postgres:password@localhost:5432/postgres";

/// The folder of `initdb`, `pg_ctl` and the like.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    folder: PathBuf,
    /// The user and group that run them, if they differ from those of this process.
    pub(super) user: Option<(u32, u32)>,
}

impl Programs {
    /// Searches the folder of `pg_config`, the PATH and the usual folders; the newest release wins among the last.
    pub(super) fn find() -> Self {
        let has_initdb = |folder: &PathBuf| folder.join("initdb").exists() && folder.join("pg_ctl").exists();
        let folder = told_by_pg_config()
            .into_iter()
            .chain(on_the_path())
            .chain(in_the_usual_folders())
            .find(has_initdb);
        Self {
            folder: folder.expect(ADVICE),
            user: other_user(),
        }
    }

    /// Returns a command that runs a program as that user.
    pub(super) fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join(name));
        command.stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group).current_dir("/");
        }
        command
    }

    /// Changes the owner of a directory to the user that runs the programs.
    pub(super) fn hand_over(&self, folder: &Path) {
        if let Some((user, group)) = self.user {
            std::os::unix::fs::chown(folder, Some(user), Some(group)).expect("a folder of our own");
        }
    }
}

fn told_by_pg_config() -> Option<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(told.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// Returns the directory of `initdb` on the PATH; follows links, because the other programs may not be linked.
fn on_the_path() -> Option<PathBuf> {
    let found = Command::new("sh").args(["-c", "command -v initdb"]).output().ok()?;
    let path = String::from_utf8(found.stdout).ok()?;
    let path = std::fs::canonicalize(path.trim()).ok()?;
    path.parent().map(Path::to_path_buf)
}

fn in_the_usual_folders() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for versions in ["/usr/lib/postgresql", "/usr/lib64/pgsql", "/usr/local/lib/postgresql"] {
        let folders = std::fs::read_dir(versions).into_iter().flatten().flatten();
        let mut folders: Vec<PathBuf> = folders.map(|entry| entry.path().join("bin")).collect();
        folders.sort();
        found.extend(folders.into_iter().rev());
    }
    let others = [
        "/usr/pgsql/bin",
        "/opt/homebrew/bin",
        "/usr/local/pgsql/bin",
        "/usr/local/bin",
        "/usr/bin",
    ];
    found.extend(others.map(PathBuf::from));
    found
}

/// Returns another user for root; `None` for all other users.
fn other_user() -> Option<(u32, u32)> {
    if id(&["-u"])? != 0 {
        return None;
    }
    let known = |name: &str| Some((id(&["-u", name])?, id(&["-g", name])?));
    let user = known("postgres").or_else(|| known("nobody"));
    Some(user.expect("PostgreSQL refuses to run as root, and there is neither a user `postgres` nor `nobody`"))
}

fn id(arguments: &[&str]) -> Option<u32> {
    let told = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(told.stdout).ok()?.trim().parse().ok()
}
