//! What `nexus doctor` looks at. Looks only: nothing is created, nothing is changed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use nexus_bus::BusUrl;
use nexus_provider_router::doctor::{Depth, check_all};
use nexus_provider_router::service::registry;
use nexus_provider_router::{ProviderCheck, ProviderStatus};
use nexus_service_kit::{Clock, config};
use nexus_tool_executor::sandbox::self_test;
use nexus_tool_executor::tools::execute_code::CodeBackend;
use tokio::net::{TcpListener, TcpStream};

use super::Check;
use crate::client::Client;
use crate::compose;
use crate::exit::Failure;
use crate::reading::open_to_read;
use crate::settings::Settings;
use crate::up::without_password;
use crate::workers;

/// How long a server may take to take a connection.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything, in the order in which one thing needs the other.
pub async fn all(settings: &Settings) -> Vec<Check> {
    let holder = holder(settings).await;
    let mut checks = vec![configuration(settings)];
    checks.extend(providers(settings).await);
    checks.push(sandbox(settings).await);
    checks.push(store(settings).await);
    checks.extend(bus(settings).await);
    checks.extend([
        port("http.listen", settings.node.http.listen, holder).await,
        port("admin.listen", settings.node.admin.listen, holder).await,
    ]);
    checks
}

/// Without a configuration there is nothing else to look at.
#[must_use]
pub fn unreadable(failure: &Failure) -> Check {
    let todo = failure
        .todo
        .clone()
        .unwrap_or_else(|| "Correct it and look again".to_owned());
    Check::bad("config", failure.what.clone(), todo)
}

/// Who may hold a port that is in use.
#[derive(Clone, Copy)]
enum Holder {
    OurNode,
    Stranger,
}

async fn holder(settings: &Settings) -> Holder {
    match Client::new(&settings.url()) {
        Ok(client) if client.is_there().await => Holder::OurNode,
        _ => Holder::Stranger,
    }
}

fn configuration(settings: &Settings) -> Check {
    if let Err(error) = compose::all(&settings.source) {
        return Check::bad("config", error.to_string(), "Correct it and look again");
    }
    match config::config_file() {
        Some(file) => Check::ok("config", file.display().to_string()),
        None => Check::ok("config", "built-in defaults; there is no config/nexus.yaml"),
    }
}

/// Whether code can be run: the sandbox's own test, which starts it and ends it again.
async fn sandbox(settings: &Settings) -> Check {
    use nexus_tool_executor::{Config, DEFAULT_CONFIG, NAME};
    let section = settings.source.section::<Config>(NAME, DEFAULT_CONFIG);
    let code = match section {
        Ok(config) => config.code,
        Err(error) => return Check::bad("sandbox", error.to_string(), "Correct it and look again"),
    };
    if code.backend == CodeBackend::Off {
        return Check::ok("sandbox", "switched off: `execute_code` cannot be used");
    }
    let tested = match code.settings() {
        Ok(settings) => self_test(&settings.worker, &settings.backend).await,
        Err(why) => {
            let todo = "Build it, or switch it off: tool-executor.code.backend=off";
            return Check::bad("sandbox", why, todo);
        }
    };
    if tested.passed() {
        let held = tested.checks.len();
        return Check::ok(
            "sandbox",
            format!("{} holds, {held} checks", tested.backend),
        );
    }
    let todo = "Mend what is named; until then `execute_code` runs nothing";
    Check::bad("sandbox", tested.failures(), todo)
}

/// The providers of the file, and whether their servers answer.
async fn providers(settings: &Settings) -> Vec<Check> {
    use nexus_provider_router::{DEFAULT_CONFIG, NAME};
    let looked = async {
        let config = settings
            .source
            .section(NAME, DEFAULT_CONFIG)
            .map_err(Failure::usage)?;
        let registry = registry(&config).map_err(Failure::usage)?;
        Ok::<_, Failure>((
            registry.statuses(),
            check_all(&registry, Depth::Reach).await,
        ))
    };
    match looked.await {
        Ok((statuses, checks)) => statuses
            .iter()
            .zip(checks)
            .map(|(status, check)| provider(status, check))
            .collect(),
        Err(failure) => {
            vec![Check::bad(
                "providers",
                failure.what,
                "Correct the file and look again",
            )]
        }
    }
}

/// A provider nobody uses unless they name it may be away; the default one may not.
fn provider(status: &ProviderStatus, check: ProviderCheck) -> Check {
    let role = match (status.default, status.demo) {
        (true, true) => ", answers by default; DEMO: no model behind it",
        (true, false) => ", answers by default",
        (false, _) => "",
    };
    let found = format!("{} ({}, {}){role}", status.name, status.kind, status.model);
    match (check.ok, status.default) {
        (true, _) => Check::ok("provider", format!("{found}: {}", check.detail)),
        (false, true) => Check::bad("provider", found, check.detail),
        (false, false) => Check::ok("provider", format!("{found}, not usable")).but(check.detail),
    }
}

async fn store(settings: &Settings) -> Check {
    let url = &settings.node.store;
    match url.strip_prefix("sqlite:") {
        Some(":memory:") => Check::ok("store", "in memory")
            .but("Nothing survives the process; `store.url: sqlite:data` keeps it"),
        Some(folder) => writable("store", Path::new(folder)),
        None => server("store", url, 5432).await,
    }
}

async fn bus(settings: &Settings) -> Vec<Check> {
    if let BusUrl::Embedded { path, .. } = &settings.node.bus.url
        && !path.exists()
    {
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        return vec![writable("bus", folder)];
    }
    let bus = match open_to_read(settings).await {
        Ok(bus) => bus,
        Err(failure) => {
            let todo = failure
                .todo
                .unwrap_or_else(|| "Mend it and look again".to_owned());
            return vec![Check::bad("bus", failure.what, todo)];
        }
    };
    let mut checks = Vec::new();
    match bus.info().await {
        Ok(info) => {
            let found = format!("{} {}; {}", info.kind, info.version, info.durability);
            checks.push(Check::ok("bus", found));
            let warnings = info.warnings.into_iter();
            checks.extend(warnings.map(|warning| Check::bad("bus", "can lose messages", warning)));
        }
        Err(error) => checks.push(Check::bad(
            "bus",
            error.to_string(),
            "Mend it and look again",
        )),
    }
    checks.extend(alive(&bus).await);
    bus.close().await;
    checks
}

/// Which services have a worker, once there is any.
async fn alive(bus: &nexus_bus::Bus) -> Option<Check> {
    let now = Clock::system().now();
    let found = workers::all(bus).await.ok()?;
    let alive: Vec<_> = found
        .into_iter()
        .filter(|worker| workers::is_alive(worker, now))
        .collect();
    if alive.is_empty() {
        return Some(Check::ok("workers", "none runs").but("Start them: nexus up"));
    }
    let runs = |name: &str| {
        alive
            .iter()
            .any(|one| one.services.iter().any(|other| other == name))
    };
    let missing: Vec<&str> = compose::names().filter(|name| !runs(name)).collect();
    let failing = alive.iter().filter(|worker| !worker.ready).count();
    Some(match (missing.is_empty(), failing) {
        (true, 0) => Check::ok(
            "workers",
            format!("{} alive, every service runs", alive.len()),
        ),
        (true, more) => Check::bad(
            "workers",
            format!("{more} not ready"),
            "nexus workers says why",
        ),
        (false, _) => Check::bad(
            "workers",
            format!("nobody runs {}", missing.join(", ")),
            format!("nexus run {}", missing.join(" ")),
        ),
    })
}

async fn port(key: &'static str, address: SocketAddr, holder: Holder) -> Check {
    if address.port() == 0 {
        return Check::ok(key, "any free port");
    }
    match (TcpListener::bind(address).await, holder) {
        (Ok(_), _) => Check::ok(key, format!("{address} is free")),
        (Err(_), Holder::OurNode) => {
            Check::ok(key, format!("{address} is held by the running node"))
        }
        (Err(error), Holder::Stranger) => Check::bad(
            key,
            format!("{address} cannot be used: {error}"),
            format!("Stop what holds it, or change it: --set {key}=127.0.0.1:0"),
        ),
    }
}

/// Whether a folder, or the nearest one above it that exists, can be written. Asked of the system:
/// nothing is written.
fn writable(name: &str, folder: &Path) -> Check {
    let mut existing = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    while !existing.exists() {
        existing = match existing.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
    }
    let shown = folder.display();
    match std::fs::metadata(existing) {
        Ok(about) if about.is_dir() && !about.permissions().readonly() => {
            let made = if folder.exists() {
                ""
            } else {
                ", made at the first start"
            };
            Check::ok(name, format!("folder {shown}{made}"))
        }
        Ok(_) => Check::bad(
            name,
            format!("{} is no folder that can be written", existing.display()),
            "Give write access, or choose another folder with --data",
        ),
        Err(error) => Check::bad(
            name,
            format!("{shown}: {error}"),
            "Give access, or choose another folder with --data",
        ),
    }
}

/// Whether the server of this address takes connections.
async fn server(name: &str, url: &str, port: u16) -> Check {
    let shown = without_password(url);
    let place = url.split_once("://").map_or(url, |(_, rest)| rest);
    let place = place.split(['/', '?']).next().unwrap_or(place);
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    let place = if place.contains(':') {
        place.to_owned()
    } else {
        format!("{place}:{port}")
    };
    match tokio::time::timeout(PATIENCE, TcpStream::connect(&place)).await {
        Ok(Ok(_)) => Check::ok(name, format!("{shown} takes connections")),
        Ok(Err(error)) => Check::bad(
            name,
            format!("{shown}: {error}"),
            "Start the server, or correct store.url",
        ),
        Err(_elapsed) => Check::bad(
            name,
            format!("{shown} did not answer within {} s", PATIENCE.as_secs()),
            "Start the server, or correct store.url",
        ),
    }
}
