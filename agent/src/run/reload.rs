//! When the configuration is read again, and which one comes out.
//!
//! On request and once its files were saved: it is read and checked as a whole, and handed on only
//! if all of it can be used. It does not know how an agent is put together again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

use super::{Vitals, check};
use crate::config::Config;

/// How often the files are looked at. Looking costs a few calls; inotify would have to follow
/// renames and a folder that comes and goes.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Waits for the next configuration.
pub(super) struct Configs {
    file: PathBuf,
    asked: Arc<Notify>,
    vitals: Vitals,
    seen: Saved,
    every: Duration,
}

/// The state of the files: path, size, and time of change of each.
type Saved = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// Why the files are read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Asked,
    Saved,
}

impl Configs {
    pub(super) fn new(file: &Path, asked: Arc<Notify>, vitals: Vitals) -> Self {
        Self { file: file.to_owned(), asked, vitals, seen: look(file), every: LOOK_EVERY }
    }

    /// The next configuration that can be used. One that was saved and says what `current` says is
    /// none; one that was asked for is, since the files it names may say something else.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self, current: &Config) -> Config {
        loop {
            let cause = self.cause().await;
            let file = self.file.clone();
            let read = tokio::task::spawn_blocking(move || load(&file)).await;
            match read.map_err(anyhow::Error::from).and_then(|loaded| loaded) {
                Ok(next) => {
                    self.vitals.set_config_refused(false);
                    if cause == Cause::Asked || next != *current {
                        return next;
                    }
                }
                Err(error) => {
                    self.vitals.set_config_refused(true);
                    let error = format!("{error:#}");
                    tracing::error!(error, "configuration is refused; the one before runs on");
                }
            }
        }
    }

    async fn cause(&mut self) -> Cause {
        let asked = Arc::clone(&self.asked);
        tokio::select! {
            () = asked.notified() => Cause::Asked,
            () = self.saved() => Cause::Saved,
        }
    }

    /// Waits until the files differ from what was seen and have come to rest.
    async fn saved(&mut self) {
        let mut before = self.seen.clone();
        loop {
            tokio::time::sleep(self.every).await;
            let now = look(&self.file);
            if now != self.seen && now == before {
                self.seen = now;
                return;
            }
            before = now;
        }
    }
}

fn load(file: &Path) -> anyhow::Result<Config> {
    let config = Config::load(file)?;
    check(&config)?;
    Ok(config)
}

/// What cannot be looked at is missing here; reading it will say why.
fn look(file: &Path) -> Saved {
    let mut paths = vec![file.to_owned()];
    paths.extend(Config::drop_ins(file).unwrap_or_default());
    let state = |path: PathBuf| {
        let found = std::fs::metadata(&path).ok()?;
        Some((path, found.len(), found.modified().ok()))
    };
    paths.into_iter().filter_map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// How long a test waits for what must happen.
    const LIMIT: Duration = Duration::from_secs(20);

    fn configs(text: &str) -> (tempfile::TempDir, Config, Configs) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("agent.toml");
        fs::write(&file, text).unwrap();
        let current = Config::load(&file).unwrap();
        let mut configs = Configs::new(&file, Arc::default(), Vitals::default());
        configs.every = Duration::from_millis(5);
        (folder, current, configs)
    }

    async fn refused(vitals: Vitals) {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while !vitals.config_refused() {
            look.tick().await;
        }
    }

    #[tokio::test]
    async fn a_saved_configuration_is_taken_and_a_bad_one_is_not() {
        let (folder, current, mut configs) = configs("heartbeat_seconds = 10\n");
        let file = folder.path().join("agent.toml");
        fs::write(&file, "heartbeat_seconds = 'never'\n").unwrap();
        let vitals = configs.vitals.clone();
        let none = async {
            tokio::select! {
                next = configs.next(&current) => panic!("took {next:?}"),
                () = refused(vitals.clone()) => (),
            }
        };
        tokio::time::timeout(LIMIT, none).await.unwrap();
        fs::create_dir(folder.path().join("conf.d")).unwrap();
        fs::write(&file, "heartbeat_seconds = 20\n").unwrap();
        fs::write(folder.path().join("conf.d/1.toml"), "kind = 'uc'\n").unwrap();
        let next = tokio::time::timeout(LIMIT, configs.next(&current)).await.unwrap();
        assert_eq!(next.heartbeat_seconds, 20);
        assert!(!vitals.config_refused());
    }

    #[tokio::test]
    async fn who_asks_gets_the_configuration_though_it_says_the_same() {
        let (_folder, current, mut configs) = configs("heartbeat_seconds = 10\n");
        configs.asked.notify_one();
        let next = tokio::time::timeout(LIMIT, configs.next(&current)).await.unwrap();
        assert_eq!(next, current);
    }
}
