use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What one call may use. Every limit is a hard one; [`Limits::check`] refuses values above the ceilings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Wall clock of the code, in milliseconds; waiting for a free process does not count.
    pub time_ms: u64,
    /// Memory above what the empty interpreter needs, in bytes.
    pub memory: u64,
    /// Bytes of standard output, and as many of standard error.
    pub output: u64,
    /// Bytes of the result, as JSON.
    pub value: u64,
    /// Files given, and as many handed back.
    pub files: u32,
    /// Bytes of all files given together, and as many handed back.
    pub file_bytes: u64,
    /// Frames on the code's stack.
    pub recursion: u32,
    /// Calls out of the interpreter (file operations, names it asks for). Only `monty` counts them.
    pub host_calls: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time_ms: 10_000,
            memory: 128 << 20,
            output: 64 << 10,
            value: 64 << 10,
            files: 32,
            file_bytes: 8 << 20,
            recursion: 1_000,
            host_calls: 10_000,
        }
    }
}

impl Limits {
    /// No call may be given more than this, whoever asks: five minutes, a gibibyte of memory, 4 MiB of
    /// output and of result, 256 files with 64 MiB in all.
    pub const CEILING: Self = Self {
        time_ms: 300_000,
        memory: 1 << 30,
        output: 4 << 20,
        value: 4 << 20,
        files: 256,
        file_bytes: 64 << 20,
        recursion: 2_000,
        host_calls: 100_000,
    };

    /// The wall clock as a duration.
    #[must_use]
    pub const fn time(&self) -> Duration {
        Duration::from_millis(self.time_ms)
    }

    /// Says which limit is zero where it may not be, or above [`Limits::CEILING`].
    ///
    /// # Errors
    /// The name of the limit, its value and the range.
    pub fn check(&self) -> Result<(), String> {
        let top = Self::CEILING;
        for (name, value, low, high) in [
            ("time_ms", self.time_ms, 1, top.time_ms),
            ("memory", self.memory, 1 << 20, top.memory),
            ("output", self.output, 0, top.output),
            ("value", self.value, 256, top.value),
            ("files", self.files.into(), 0, top.files.into()),
            ("file_bytes", self.file_bytes, 0, top.file_bytes),
            ("recursion", self.recursion.into(), 10, top.recursion.into()),
            (
                "host_calls",
                self.host_calls.into(),
                0,
                top.host_calls.into(),
            ),
        ] {
            if value < low || value > high {
                return Err(format!(
                    "the limit {name} is {value}; it must be {low} to {high}"
                ));
            }
        }
        Ok(())
    }
}
