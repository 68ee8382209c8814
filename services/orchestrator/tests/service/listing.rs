//! The list of tools, and who starts before it.

use std::time::Duration;

use anyhow::{Result, ensure};
use nexus_contracts::events::{Event, InferenceRequested};
use nexus_contracts::tool::ToolList;
use nexus_contracts::{channels, tables};
use nexus_orchestrator::NAME;
use nexus_service_kit::put_table;
use nexus_testkit::wait_until;
use serde_json::json;

use crate::world::World;

impl World {
    /// Lists `math_solver`, as the tool executor does.
    pub(crate) async fn list_tools(&self) -> Result<()> {
        let (name, parameters) = ("math_solver", json!({ "type": "object" }));
        let tool = json!({ "name": name, "description": "Calculates.", "parameters": parameters });
        let list: ToolList = serde_json::from_value(json!({ "tools": [tool] }))?;
        put_table(self.bus(), tables::TOOLS, "nexus", &list).await?;
        Ok(())
    }
}

#[tokio::test]
async fn a_message_that_comes_before_the_list_is_answered_with_tools() -> Result<()> {
    let world = World::without_tools().await?;
    world.submit("early", "What is 6 * 7?").await?;
    wait_until(
        Duration::from_secs(20),
        "the orchestrator to have it",
        async || {
            let channel = channels::incoming("");
            Ok(world.bus().backlog(&channel, NAME).await?.undelivered == 0)
        },
    )
    .await?;
    world.list_tools().await?;
    let request = world
        .next(channels::INFERENCE_REQUEST, InferenceRequested::TYPE)
        .await?;
    let request: InferenceRequested = request.decode()?;
    ensure!(
        request.tools.iter().any(|tool| tool.name == "math_solver"),
        "{:?}",
        request.tools
    );
    Ok(())
}
