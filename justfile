# What is done often. `just` lists it.
_default:
    @just --list

# Format everything.
fmt:
    cargo fmt --all

# Lints, as CI sees them.
lint:
    cargo clippy --workspace --all-targets -- -D warnings

# Everything CI runs; `just test -p nexus-bus` runs the tests of one crate.
test *ARGS:
    {{ if ARGS == "" { "./scripts/test" } else { "cargo nextest run " + ARGS } }}

# The documentation, without dependencies.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, advisories and who may depend on whom.
deny:
    cargo deny check

# Nexus on this machine.
up *ARGS:
    cargo run --release -- up {{ARGS}}

# Figures: `just bench turns --bus redis --in-flight 256`.
bench *ARGS:
    cargo run --release -p nexus-bench -- {{ARGS}}

# Write the committed schemas anew, after a change of the contracts or of providers.yaml that is meant.
schemas:
    UPDATE_SCHEMAS=1 cargo nextest run -p nexus-contracts -p nexus-provider-router committed_schema
