//! What models are told there is.

use anyhow::{Context, Result};
use nexus_bus::Expect;
use nexus_contracts::chat::ToolSpec;
use nexus_contracts::tables::TOOLS;
use nexus_contracts::tool::{ListedTool, ToolList};
use nexus_service_kit::put_table;
use nexus_testkit::wait_until;

use crate::fixtures::{PATIENCE, World, kill};

impl World {
    async fn listed(&self) -> Result<Vec<String>> {
        let entries = self.bus.table_list(TOOLS).await?;
        let mut names = Vec::new();
        for entry in entries {
            let list: ToolList = serde_json::from_slice(&entry.value)?;
            names.extend(list.tools.into_iter().map(|tool| tool.name));
        }
        Ok(names)
    }

    async fn lists(&self, names: &[&str]) -> Result<()> {
        wait_until(PATIENCE, "the table of tools", async || {
            Ok(self.listed().await? == names)
        })
        .await
    }
}

#[tokio::test]
async fn tools_are_listed_and_stay_listed_when_the_worker_ends() -> Result<()> {
    let world = World::new().await?;
    let worker = world.worker(&[]).await?;
    let all = [
        "add_document",
        "ask_model",
        "away",
        "current_time",
        "execute_code",
        "forget",
        "gated",
        "http_request",
        "load_web_page",
        "long",
        "math_solver",
        "once",
        "panics",
        "perplexity_search",
        "read_result",
        "recall",
        "remember",
        "search_documents",
        "web_search",
    ];
    world.lists(&all).await?;
    let entry = world
        .bus
        .table_get(TOOLS, "nexus")
        .await?
        .context("they are listed")?;
    let list: ToolList = serde_json::from_slice(&entry.value)?;
    let is_it = |tool: &&ListedTool| tool.name == "math_solver";
    let listed = list.tools.iter().find(is_it).context("it is listed")?;
    assert_eq!(
        listed.parameters["properties"]["expression"]["type"],
        "string"
    );
    assert_eq!(listed.source, "nexus");
    kill(worker).await;
    assert_eq!(world.listed().await?, all);
    Ok(())
}

#[tokio::test]
async fn a_lost_list_comes_back_and_those_of_others_are_left_alone() -> Result<()> {
    let world = World::new().await?;
    let foreign = ToolSpec {
        name: "zz_foreign".to_owned(),
        description: "Belongs to another service.".to_owned(),
        parameters: serde_json::json!({ "type": "object" }),
        extra: [].into(),
    };
    let theirs = ToolList {
        tools: vec![foreign.into()],
        ..ToolList::default()
    };
    put_table(&world.bus, TOOLS, "others", &theirs).await?;
    let worker = world
        .worker(&[("enabled", "[current_time, math_solver]")])
        .await?;
    let listed = ["current_time", "math_solver", "zz_foreign"];
    world.lists(&listed).await?;
    world.bus.table_delete(TOOLS, "nexus", Expect::Any).await?;
    world.lists(&listed).await?;
    kill(worker).await;
    Ok(())
}

#[tokio::test]
async fn a_tool_switched_off_is_no_longer_offered() -> Result<()> {
    let world = World::new().await?;
    let first = world
        .worker(&[("enabled", "[current_time, math_solver]")])
        .await?;
    world.lists(&["current_time", "math_solver"]).await?;
    kill(first).await;
    let second = world.worker(&[("enabled", "[current_time]")]).await?;
    world.lists(&["current_time"]).await?;
    kill(second).await;
    Ok(())
}
