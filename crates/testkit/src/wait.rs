//! Waiting for a condition, with a limit.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

/// First pause between two looks; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Asks `check` again and again until it says `Ok(true)`.
///
/// An `Err` counts as "not yet": a server that is being restarted refuses connections for a while.
///
/// # Errors
/// When `timeout` passes first; the message names `what` and the last error `check` gave.
pub async fn wait_until(
    timeout: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<bool>,
) -> Result<()> {
    wait_for(timeout, what, async || Ok(check().await?.then_some(()))).await
}

/// Asks `check` again and again until it has something, and gives that.
///
/// # Errors
/// As [`wait_until`].
pub async fn wait_for<T>(
    timeout: Duration,
    what: &str,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + timeout;
    let mut pause = FIRST_PAUSE;
    let mut last_error = None;
    loop {
        // One look that hangs must not outlive the limit either.
        match tokio::time::timeout_at(deadline, check()).await {
            Ok(Ok(Some(value))) => return Ok(value),
            Ok(Ok(None)) => last_error = None,
            Ok(Err(error)) => last_error = Some(error),
            Err(_) => {}
        }
        if Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    match last_error {
        Some(error) => bail!("waited {timeout:?} for {what}; the last look failed: {error:#}"),
        None => bail!("waited {timeout:?} for {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_what_the_check_found_after_errors() {
        let mut looks = 0;
        let found = wait_for(Duration::from_secs(5), "the third look", async || {
            looks += 1;
            match looks {
                1 => bail!("not up"),
                2 => Ok(None),
                n => Ok(Some(n)),
            }
        })
        .await
        .unwrap();
        assert_eq!(found, 3);
    }

    #[tokio::test]
    async fn says_what_it_waited_for_and_the_last_error() {
        let error = wait_until(Duration::from_millis(10), "the moon", async || {
            bail!("cloudy")
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("the moon") && error.contains("cloudy"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_cut_off() {
        let hangs = wait_until(Duration::from_millis(10), "nothing", async || {
            std::future::pending::<()>().await;
            Ok(true)
        });
        assert!(hangs.await.is_err());
    }
}
