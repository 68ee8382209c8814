#!/usr/bin/env bash
# Builds and tests the inference worker: its own workspace, its own lockfile, its own target folder, so
# that five hundred crates are compiled once and kept. 10 minutes cold on two cores, 2 minutes warm.
set -euo pipefail
cd "$(dirname "$0")"

say() { printf '\n==> %s\n' "$*"; }

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/nexus-inference-target}"
# Nothing here is built twice in a row by hand, and the folder is half as large.
export CARGO_INCREMENTAL=0
# Loading a model takes four times the memory with it.
unset RUST_BACKTRACE

say "Format"
cargo fmt --check

say "Build, of exactly what Cargo.lock says"
cargo build --locked --all-targets

say "Lints"
cargo clippy --locked --all-targets -- -D warnings

say "Documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

if command -v nvcc >/dev/null 2>&1; then
    say "CUDA"
    cargo check --locked --features cuda
else
    echo "ci.sh: no nvcc here: the features cuda and flash-attn are not verified"
fi
[ "$(uname -s)" = Darwin ] || echo "ci.sh: not a Mac: the feature metal is not verified"

say "The program nexus, for the tests of both"
# Built with the workspace beside this one, into its own target folder.
if [ -z "${NEXUS_PROGRAM:-}" ]; then
    beside="${NEXUS_TARGET_DIR:-$PWD/../../target}"
    CARGO_TARGET_DIR="$beside" cargo build --locked --manifest-path ../../Cargo.toml -p nexus
    NEXUS_PROGRAM="$beside/debug/nexus"
fi
export NEXUS_PROGRAM

say "Tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --locked --profile ci
else
    cargo test --locked
fi
