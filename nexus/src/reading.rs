//! Opens the bus for commands that only look.

use std::time::Duration;

use nexus_bus::{Bus, BusError, BusUrl};

use crate::exit::Failure;
use crate::settings::Settings;

/// How long a server has to answer before the command gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// The bus, read beside whoever owns it.
///
/// # Errors
/// When there is none, with what to do.
pub async fn open_to_read(settings: &Settings) -> Result<Bus, Failure> {
    let config = settings.bus_to_read();
    if let BusUrl::Embedded { path, .. } = &config.url
        && !path.exists()
    {
        return Err(
            Failure::unreachable(format!("there is no bus at {}", path.display()))
                .todo("Start one with `nexus up`, or say where it is: --data DIR or --bus URL"),
        );
    }
    let bus = Bus::connect(&config)
        .await
        .map_err(|error| explain(&error))?;
    match tokio::time::timeout(PATIENCE, bus.ping()).await {
        Ok(Ok(())) => Ok(bus),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_elapsed) => Err(Failure::unreachable(format!(
            "the bus did not answer within {} s",
            PATIENCE.as_secs()
        ))
        .todo("Check that the server runs and that `bus.url` or --bus names it")),
    }
}

fn explain(error: &BusError) -> Failure {
    let failure = Failure::unreachable(error);
    if error.is_transient() {
        failure.todo("Check that the server runs and that `bus.url` or --bus names it")
    } else {
        failure
    }
}
