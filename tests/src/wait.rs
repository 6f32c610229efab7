//! Waiting for a condition with a limit: the only place in all tests where time passes on purpose.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How long anything may take on a busy two-core machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(20);

/// Asks `condition` until it gives a value, at most for `limit`; `what` is for the error.
///
/// # Errors
/// When the limit is reached, with the last error of `condition`; errors before that are waited
/// out.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let began = Instant::now();
    loop {
        let answer = condition();
        if let Ok(Some(value)) = answer {
            return Ok(value);
        }
        if began.elapsed() > limit {
            match answer {
                Err(error) => return Err(error.context(format!("{what}: not within {limit:?}"))),
                _ => bail!("{what}: not within {limit:?}"),
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Lets `span` pass, for a promise that something does *not* happen while it lasts.
///
/// # Errors
/// As soon as `broken` says what happened.
pub fn while_quiet(
    span: Duration,
    mut broken: impl FnMut() -> anyhow::Result<Option<String>>,
) -> anyhow::Result<()> {
    let began = Instant::now();
    while began.elapsed() < span {
        if let Some(what) = broken()? {
            bail!("{what} after {:?} of {span:?}", began.elapsed());
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
