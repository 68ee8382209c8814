//! `nexus schema`: prints the contracts.

use std::io::Write;

use nexus_contracts::schema::{asyncapi, json_schemas};
use serde_json::Value;

use crate::cli::SchemaArgs;
use crate::exit::Failure;
use crate::near::nearest;

/// Prints what was asked for.
///
/// # Errors
/// An unknown name, with the nearest known one.
pub fn schema(args: &SchemaArgs, out: &mut impl Write) -> Result<(), Failure> {
    if args.asyncapi {
        return print(out, &asyncapi());
    }
    if args.openapi {
        return print(out, &crate::openapi::document()?);
    }
    if args.providers {
        return print(out, &nexus_provider_router::registry::schema::schema());
    }
    let schemas = json_schemas();
    let names = || schemas.keys().map(|name| short(name));
    match &args.name {
        None => {
            for name in names() {
                writeln!(out, "{name}")?;
            }
            Ok(())
        }
        Some(wanted) => {
            let found = schemas
                .iter()
                .find(|(name, _)| short(name) == wanted || *name == wanted);
            match found {
                Some((_, schema)) => print(out, schema),
                None => Err(Failure::usage(format!("no event is called `{wanted}`"))
                    .todo(nearest(wanted, names()))),
            }
        }
    }
}

/// The name without its version.
fn short(name: &str) -> &str {
    name.rsplit_once(".v").map_or(name, |(name, _)| name)
}

fn print(out: &mut impl Write, value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::failed)?;
    Ok(writeln!(out, "{text}")?)
}
