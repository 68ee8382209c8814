//! A real `PostgreSQL` for one test.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process::{Signal, Spawn, User};
use crate::server::{Kind, Look, Server, prefix};

/// Where Debian keeps the programs of every version; the newest is taken.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Changes when what `initdb` is told changes, so that a kept folder is not used with other options.
const TEMPLATE: &str = "postgres-template-1";

/// Starts `PostgreSQL` without fsync: what it committed survives its own crash, not the machine's.
///
/// # Errors
/// When `PostgreSQL` is not installed or does not start.
pub async fn postgres() -> Result<PgServer> {
    postgres_with(&[]).await
}

/// As [`postgres()`], with other settings, for example `["fsync=on"]`. They stay in force when the
/// server is started again.
///
/// # Errors
/// As [`postgres()`].
pub async fn postgres_with(settings: &[&str]) -> Result<PgServer> {
    let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    let (kind, dir) = tokio::task::spawn_blocking(|| {
        let kind = Postgres {
            programs: programs()?,
            user: unprivileged_user()?,
            settings,
        };
        let dir = kind.fresh_data_folder()?;
        anyhow::Ok((kind, dir))
    })
    .await??;
    Ok(PgServer(Server::start_new(kind, dir).await?))
}

/// A running `PostgreSQL`. Gone, with its data, when dropped.
pub struct PgServer(Server<Postgres>);

impl PgServer {
    /// The database `postgres`, as the superuser of that name.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres", "postgres")
    }

    /// The port it listens on, the same for its whole life.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.0.port()
    }

    fn url_of(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port())
    }

    /// A new empty database of a role of its own, which is no superuser and may make roles, as on
    /// a developer's machine; gives its URL.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn fresh_database(&self) -> Result<String> {
        let name = prefix();
        let roles = format!("CREATE ROLE {name} LOGIN CREATEROLE");
        self.run(&self.url(), &[&roles, &create(&name, &name)])
            .await?;
        Ok(self.url_of(&name, &name))
    }

    /// A new empty database with two roles, as in production: one owns what is in it, the other
    /// may not make anything.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn fresh_database_with_roles(&self) -> Result<PgRoles> {
        let name = prefix();
        let (owner, app) = (format!("{name}_owner"), format!("{name}_app"));
        let roles = format!("CREATE ROLE {owner} LOGIN; CREATE ROLE {app} LOGIN");
        self.run(&self.url(), &[&roles, &create(&name, &owner)])
            .await?;
        Ok(PgRoles {
            owner: self.url_of(&owner, &name),
            app: self.url_of(&app, &name),
            superuser: self.url_of("postgres", &name),
        })
    }

    /// Runs SQL as the superuser, in the database `postgres`, and gives what `psql -At` prints.
    ///
    /// # Errors
    /// When the server refuses it; with what it said.
    pub async fn psql(&self, sql: &str) -> Result<String> {
        self.run(&self.url(), &[sql]).await
    }

    /// The same as the role and in the database of a URL.
    ///
    /// # Errors
    /// As [`PgServer::psql`].
    pub async fn psql_at(&self, url: &str, sql: &str) -> Result<String> {
        self.run(url, &[sql]).await
    }

    /// Each text in a transaction of its own.
    async fn run(&self, url: &str, texts: &[&str]) -> Result<String> {
        let mut command = Command::new(self.0.kind().programs.join("psql"));
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url]);
        for text in texts {
            command.args(["-c", text]);
        }
        tokio::task::spawn_blocking(move || run(&mut command)).await?
    }

    /// Stops it at once, without checkpoint, and starts it again with its data.
    ///
    /// # Errors
    /// When it is not running or does not come back.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill().await?;
        self.start().await
    }

    /// Stops it at once (SIGQUIT, `PostgreSQL`'s `stop -m immediate`): clients are cut off and the
    /// next start recovers from the log.
    ///
    /// # Errors
    /// When it is not running.
    pub async fn kill(&mut self) -> Result<()> {
        self.0.stop(Signal::Quit).await
    }

    /// Starts it again on the same port.
    ///
    /// # Errors
    /// When it is running already or does not start.
    pub async fn start(&mut self) -> Result<()> {
        self.0.start().await
    }
}

/// A database, as its roles reach it.
#[derive(Clone, Debug)]
pub struct PgRoles {
    /// As the role that owns it.
    pub owner: String,
    /// As a role that may log in and nothing else.
    pub app: String,
    /// As the superuser.
    pub superuser: String,
}

fn create(database: &str, owner: &str) -> String {
    format!("CREATE DATABASE {database} OWNER {owner}")
}

pub(crate) struct Postgres {
    programs: PathBuf,
    user: Option<User>,
    /// `name=value`; the last of a name counts.
    settings: Vec<String>,
}

impl Kind for Postgres {
    const NAME: &'static str = "postgres";

    fn spawn(&self, port: u16, dir: &Path) -> Spawn {
        let mut spawn = Spawn::new(self.programs.join("postgres"))
            .arg("-D")
            .arg(data(dir))
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k", ""])
            .dir(dir)
            .user(self.user)
            // Its children are in groups of their own: it must be asked to take them along.
            .on_drop(Signal::Quit);
        let usual = [
            "fsync=off",
            "full_page_writes=off",
            "shared_buffers=32MB",
            "max_connections=100",
            "autovacuum=off",
            "logging_collector=off",
        ];
        for setting in usual
            .into_iter()
            .chain(self.settings.iter().map(String::as_str))
        {
            spawn = spawn.args(["-c", setting]);
        }
        spawn
    }

    async fn is_ready(&self, server: Look<'_>) -> Result<bool> {
        // The server's own file: the process that wrote it comes first, its state last.
        let state = tokio::fs::read_to_string(data(server.dir).join("postmaster.pid")).await?;
        let ours = state.lines().next() == Some(server.pid.to_string().as_str());
        Ok(ours
            && state
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready"))
    }
}

impl Postgres {
    /// A copy of the initialised folder, which is made when it is missing.
    fn fresh_data_folder(&self) -> Result<TempDir> {
        let kept = build_folder()?.join(format!("{TEMPLATE}-{}", self.version()?));
        // Held by one test process at a time; the others find the folder made.
        let lock = File::create(kept.with_extension("lock")).context("make the lock file")?;
        lock.lock().context("wait for the lock file")?;
        if !kept.exists() {
            self.initialise(&kept)?;
        }
        drop(lock);
        let dir = TempDir::with_prefix("nexus-postgres-").context("make a folder")?;
        copy(&kept, &data(dir.path()))?;
        self.give_to_user(dir.path())?;
        Ok(dir)
    }

    fn initialise(&self, kept: &Path) -> Result<()> {
        // In a temporary folder first: the unprivileged user may not reach the build folder.
        let dir = TempDir::with_prefix("nexus-initdb-").context("make a folder")?;
        self.give_to_user(dir.path())?;
        let initdb = self.programs.join("initdb");
        let mut command = match self.user {
            Some(user) => user.command(&initdb),
            None => Command::new(initdb),
        };
        command
            .current_dir(dir.path())
            .arg("-D")
            .arg(data(dir.path()));
        command.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        command.args(["--no-sync", "--wal-segsize=1"]);
        run(&mut command).context("initialise PostgreSQL")?;
        let half = kept.with_extension("half");
        if half.exists() {
            fs::remove_dir_all(&half).context("remove what an interrupted run left")?;
        }
        copy(&data(dir.path()), &half)?;
        fs::rename(&half, kept).context("keep the initialised folder")
    }

    fn give_to_user(&self, dir: &Path) -> Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        run(Command::new("chown")
            .args(["-R", &user.to_string()])
            .arg(dir))
        .map(drop)
    }

    fn version(&self) -> Result<String> {
        let version = run(Command::new(self.programs.join("postgres")).arg("--version"))?;
        Ok(version
            .split_whitespace()
            .last()
            .unwrap_or("unknown")
            .replace('/', "-"))
    }
}

fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    run(Command::new("cp").arg("-a").arg(from).arg(to)).map(drop)
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("run {name}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{name} failed ({}): {}", output.status, said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The folder of `PostgreSQL`'s programs: the newest of Debian's, else an empty path, which leaves
/// the search to the system.
fn programs() -> Result<PathBuf> {
    let Ok(versions) = fs::read_dir(DEBIAN) else {
        return Ok(PathBuf::new());
    };
    let mut newest = (0_u32, PathBuf::new());
    for entry in versions {
        let entry = entry.context("list the PostgreSQL versions")?;
        let number = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        let folder = entry.path().join("bin");
        if number > newest.0 && folder.join("postgres").exists() {
            newest = (number, folder);
        }
    }
    Ok(newest.1)
}

/// `PostgreSQL` refuses to run as root: the user it runs as then.
fn unprivileged_user() -> Result<Option<User>> {
    if fs::metadata("/proc/self")
        .context("look at our own process")?
        .uid()
        != 0
    {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").context("read the list of users")?;
    let user = ["postgres", "nobody"].iter().find_map(|name| {
        let mut fields = users
            .lines()
            .map(|line| line.split(':'))
            .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(User { uid, gid })
    });
    user.map(Some)
        .context("PostgreSQL refuses to run as root, and there is no user for it")
}

/// The folder of the profile this test was built in, for example `target/debug`.
fn build_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("find this test's own file")?;
    let deps = program.ancestors().find(|folder| folder.ends_with("deps"));
    Ok(deps
        .and_then(Path::parent)
        .map_or_else(std::env::temp_dir, Path::to_path_buf))
}
