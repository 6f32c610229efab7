//! The agent as a whole: what a new configuration does, and what a bad one does not.

use std::fs;

use driftline_protocol::ids::Generation;
use driftline_protocol::snapshot::Reason;

use super::*;
use crate::spool::{Deliver, Keep};

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(20);

/// A folder with two files to read and a place for the state.
fn world() -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("read")).unwrap();
    for name in ["a.conf", "b.conf"] {
        fs::write(folder.path().join("read").join(name), "key = 1\n").unwrap();
    }
    let mut config = Config { state_dir: folder.path().join("state"), ..Config::default() };
    config.sources.enable = Some(vec!["files".parse().unwrap()]);
    config.files.include = Some(vec![format!("{}/read/**", folder.path().display())]);
    (folder, config)
}

fn pass(config: &Config) -> (assemble::Outcome, Parts) {
    let mut parts = open(config).unwrap();
    let now = Now { wall: clock::wall(), monotonic_ms: clock::monotonic_ms() };
    let Parts { sources, machine, spool, .. } = &mut parts;
    (assemble::pass(sources[0].as_mut(), machine, spool, now).unwrap(), parts)
}

#[test]
fn a_narrower_scope_withholds_parts_and_removes_none() {
    let (_folder, mut config) = world();
    let (before, mut parts) = pass(&config);
    assert!(before.unobserved.is_empty(), "{before:?}");
    let files = "files".parse().unwrap();
    let first = parts.spool.begin(&files).unwrap();
    drop(parts);
    config.files.exclude = Some(vec!["/**/b.conf".into()]);
    let (after, mut parts) = pass(&config);
    assert_eq!(after.unobserved, [(Reason::Withheld, 1)].into());
    let second = parts.spool.begin(&files).unwrap();
    assert!(first.0.keys().eq(second.0.keys()), "a part is gone");
    drop(parts);
    config.files.exclude = None;
    let (again, mut parts) = pass(&config);
    assert!(again.unobserved.is_empty(), "{again:?}");
    let third = parts.spool.begin(&files).unwrap();
    assert_eq!(first, third, "what was withheld came back as something else");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_opened_leaves_the_old_one_in_force() {
    let (folder, config) = world();
    let vitals = Vitals::default();
    fs::write(folder.path().join("no-folder"), "").unwrap();
    let bad = Config { state_dir: folder.path().join("no-folder"), ..config.clone() };
    let (kept, parts) = swap(config.clone(), bad, &vitals).await.unwrap();
    assert_eq!((&kept, vitals.config_refused()), (&config, true));
    drop(parts);
    let good = Config { heartbeat_seconds: 30, ..config };
    let (kept, _parts) = swap(kept, good.clone(), &vitals).await.unwrap();
    assert_eq!(kept, good);
}

async fn until(what: impl Fn() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while !what() {
        look.tick().await;
    }
}

#[tokio::test]
async fn an_agent_lives_through_bad_and_good_configurations_and_stops() {
    let (folder, config) = world();
    let file = folder.path().join("agent.toml");
    let good = toml::to_string(&config).unwrap();
    fs::write(&file, &good).unwrap();
    let controls = Controls::default();
    let (stop, mut stopped) = signal::channel(false);
    let shutdown = async move {
        assert!(stopped.wait_for(|stop| *stop).await.is_ok());
    };
    let served = tokio::spawn({
        let (file, controls) = (file.clone(), controls.clone());
        async move { serve(&file, controls, shutdown).await }
    });
    let story = async {
        until(|| controls.vitals.turned_ms() > 0).await;
        fs::write(&file, "nonsense").unwrap();
        controls.reload.notify_one();
        until(|| controls.vitals.config_refused()).await;
        assert!(controls.vitals.turned_ms() > 0, "the old configuration does not run on");
        fs::write(&file, good.replace("heartbeat_seconds = 60", "heartbeat_seconds = 30")).unwrap();
        controls.reload.notify_one();
        until(|| !controls.vitals.config_refused()).await;
        until(|| controls.vitals.turned_ms() > 0).await;
        stop.send(true).unwrap();
    };
    tokio::time::timeout(LIMIT, story).await.unwrap();
    tokio::time::timeout(LIMIT, served).await.unwrap().unwrap().unwrap();
}

/// Waits until the spool has another version than `before`, and gives it.
async fn another(spool: &mut Spool, before: Generation) -> Generation {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    loop {
        look.tick().await;
        let now = spool.status().unwrap().generation;
        if now != before {
            return now;
        }
    }
}

#[tokio::test]
async fn a_key_in_a_home_that_a_reading_found_is_seen_without_a_rescan() {
    let (folder, mut config) = world();
    config.sources.enable = Some(vec!["accounts".parse().unwrap()]);
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::create_dir_all(root.join("home/ada")).unwrap();
    fs::write(root.join("etc/passwd"), "ada:x:1000:1000::/home/ada:/bin/sh\n").unwrap();
    let mut parts = open(&config).unwrap();
    parts.machine = Arc::new(Machine::open(&root, parts.redactor.clone()).unwrap());
    let mut spool = parts.spool.clone();
    let story = async {
        let before = spool.status().unwrap().generation;
        let until_seen = async {
            let first = another(&mut spool, before).await;
            // Its folder comes as late as the key.
            fs::create_dir(root.join("home/ada/.ssh")).unwrap();
            let blob = "AAAAC3NzaC1lZDI1NTE5AAAAIGnGQyhDqmnF5SfVqZ7Kk7d2ySLTZ5ySnwtDs8Kn8x1a";
            let key = format!("ssh-ed25519 {blob} ada");
            fs::write(root.join("home/ada/.ssh/authorized_keys"), key).unwrap();
            another(&mut spool, first).await;
        };
        live(&config, parts, &Vitals::default(), until_seen).await.unwrap();
    };
    let seen = tokio::time::timeout(LIMIT, story).await;
    assert!(seen.is_ok(), "the key waits for the rescan");
    let known = spool.begin(&"accounts".parse().unwrap()).unwrap().0;
    assert!(known.contains_key(&"authorized_keys/ada".parse().unwrap()), "{known:?}");
}
