//! Asking a server for its tools, page by page and with an end.

use std::collections::BTreeMap;

use rmcp::model::{ClientRequest, ListToolsRequest, PaginatedRequestParams, ServerResult, Tool};
use rmcp::service::{Peer, RoleClient};

use crate::config::Server;
use crate::definition::Definition;
use crate::schema::prose;
use crate::text;

/// Pages of one listing.
pub(crate) const MOST_PAGES: usize = 64;
/// Tools of one listing before the filter.
const MOST_LISTED: usize = 4096;
/// Problems that are told one by one.
const MOST_SET_ASIDE: usize = 50;

/// Definitions that pass the filter, and what is said of those that cannot be offered.
pub(super) type Listed = (Vec<Definition>, Vec<String>);

/// Lists all tools. A request of our own: the library's answers from a cache whose life the
/// server decides.
pub(super) async fn tools(peer: &Peer<RoleClient>, config: &Server) -> Result<Listed, String> {
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let params = PaginatedRequestParams::default().with_cursor(cursor.clone());
        let request = ClientRequest::ListToolsRequest(ListToolsRequest::with_param(params));
        let answer = peer.send_request(request).await;
        let answer = answer
            .map_err(|error| text::line(&format!("its tools could not be listed: {error}"), 500))?;
        let ServerResult::ListToolsResult(page) = answer else {
            return Err("it answered the listing with something else".to_owned());
        };
        all.extend(page.tools);
        if all.len() > MOST_LISTED {
            return Err(format!("it lists more than {MOST_LISTED} tools"));
        }
        match page.next_cursor {
            None => return select(all, config),
            next if next == cursor => break,
            next => cursor = next,
        }
    }
    Err("its listing does not end".to_owned())
}

fn select(all: Vec<Tool>, config: &Server) -> Result<Listed, String> {
    let mut set_aside = Vec::new();
    let mut seen: BTreeMap<String, Option<Definition>> = BTreeMap::new();
    for tool in all {
        if !config.tools.passes(&tool.name) {
            continue;
        }
        let definition = Definition::of(tool);
        let name = text::line(&definition.name, 100);
        if definition.size() > config.limits.tool_bytes {
            set_aside.push(format!(
                "{name}: its definition is larger than `limits.tool_bytes`"
            ));
            continue;
        }
        if let Some(why) = deceives(&definition) {
            set_aside.push(format!("{name}: {why}"));
            continue;
        }
        // Which of two would be called under one name is the server's choice, so neither is.
        seen.entry(definition.name.clone())
            .and_modify(|earlier| {
                *earlier = None;
                set_aside.push(format!("{name}: listed more than once"));
            })
            .or_insert(Some(definition));
    }
    let definitions: Vec<Definition> = seen.into_values().flatten().collect();
    if definitions.len() > config.limits.tools {
        return Err(format!(
            "it lists {} tools, more than `limits.tools` ({}); name the wanted ones in `tools.allow`",
            definitions.len(),
            config.limits.tools
        ));
    }
    set_aside.truncate(MOST_SET_ASIDE);
    Ok((definitions, set_aside))
}

/// Why a tool's names cannot be shown to a person as a model reads them.
fn deceives(tool: &Definition) -> Option<String> {
    if text::deceives(&tool.name) || tool.name.chars().any(char::is_control) {
        return Some("its name holds characters that nobody sees".to_owned());
    }
    let schemas = [Some(&tool.input), tool.output.as_ref()];
    let place = schemas.into_iter().flatten().find_map(prose::deceiving)?;
    Some(format!(
        "a name or value of its schema holds characters that nobody sees: {place}"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn tool(name: &str, description: &str) -> Tool {
        Tool::new(
            name.to_owned(),
            description.to_owned(),
            Arc::new(serde_json::Map::new()),
        )
    }

    #[test]
    fn a_name_listed_twice_is_offered_not_at_all() {
        let all = vec![
            tool("a", "1"),
            tool("a", "2"),
            tool("b", "1"),
            tool("a", "3"),
        ];
        let (seen, set_aside) = select(all, &Server::default()).unwrap();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].name, "b");
        assert!(set_aside[0].contains("a: listed more than once"));
    }

    #[test]
    fn large_definitions_are_set_aside_and_too_many_refused() {
        let mut config = Server::default();
        config.limits.tools = 2;
        let long = "x".repeat(40_000);
        let (seen, set_aside) = select(vec![tool("a", &long), tool("b", "ok")], &config).unwrap();
        assert_eq!((seen.len(), set_aside.len()), (1, 1));
        let many = vec![tool("a", ""), tool("b", ""), tool("c", "")];
        assert!(
            select(many.clone(), &config)
                .unwrap_err()
                .contains("limits.tools")
        );
        config.tools.allow = vec!["c".to_owned()];
        assert_eq!(select(many, &config).unwrap().0.len(), 1);
    }
}
