//! Jobs that cron itself runs when it starts, held against those that the agent tells of.
//!
//! Every table here has a job for `@reboot`, which touches a file of the table's name. Cron and the
//! agent see the same tables, accounts and `/run` of ours, in one mount namespace each. What is not
//! compared, and why, stands in `docs/oracles.md`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use driftline_tests::process::{Process, run, run_any};
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;
use tempfile::TempDir;

/// Tables by their place below the folder of the test. `JOB` becomes the job that is watched: in
/// tables of the system as root's, in those of users as their own.
const TABLES: [(&str, &str); 28] = [
    ("crontab", "SHELL=/bin/sh\n# a comment\n\n17 * * * * root cd / && true\nJOB\n"),
    ("cron.d/plain", "JOB\n"),
    ("cron.d/variables", "MAILTO=\"\"\nPATH = /usr/bin:/bin\n'X Y'=z\nJOB\nLATE=1\n"),
    ("cron.d/blanks", "  \t# a comment\n \t JOB\n"),
    ("cron.d/times", "*/5 0-23/2 1,15 jan-dec mon-fri root true\n0 0 * * 7 root true\nJOB\n"),
    ("cron.d/nicknames", "@hourly root true\n@midnight root true\n@annually root true\nJOB\n"),
    ("cron.d/percent", "1 1 * * * root echo a%b\\%c\nJOB\n"),
    ("cron.d/with-dash_1", "JOB\n"),
    // Names of which some cron or other reads none.
    ("cron.d/dotted.cron", "JOB\n"),
    ("cron.d/copy~", "JOB\n"),
    ("cron.d/.hidden", "JOB\n"),
    ("cron.d/left.dpkg-old", "JOB\n"),
    ("cron.d/left.rpmsave", "JOB\n"),
    ("cron.d/#edited#", "JOB\n"),
    ("cron.d/below/plain2", "JOB\n"),
    // What cron refuses: the whole table.
    ("cron.d/minute", "61 * * * * root true\nJOB\n"),
    ("cron.d/fields", "* * * * root true\nJOB\n"),
    ("cron.d/month", "1 1 1 13 * root true\nJOB\n"),
    ("cron.d/name", "1 1 1 * monday root true\nJOB\n"),
    ("cron.d/step", "*/0 1 1 * * root true\nJOB\n"),
    ("cron.d/nickname", "@fortnightly root true\nJOB\n"),
    ("cron.d/hour", "1 0-24 * * * root true\nJOB\n"),
    ("cron.d/lists", "1,2-5/2,7 1 1 jan,FEB Mon,tue-fri root true\nJOB\n"),
    ("cron.d/noted", "JOB\nhello\n"),
    ("spool/crontabs/ada", "JOB\n"),
    ("spool/crontabs/john.doe", "X=y\nJOB\n"),
    ("spool/crontabs/.hidden2", "JOB\n"),
    ("spool/crontabs/tmp.ada", "JOB\n"),
];

/// What of ours stands in the place of the machine's.
const BINDS: [(&str, &str); 7] = [
    ("crontab", "/etc/crontab"),
    ("cron.d", "/etc/cron.d"),
    ("spool", "/var/spool/cron"),
    ("passwd", "/etc/passwd"),
    ("shadow", "/etc/shadow"),
    ("pam", "/etc/pam.d/cron"),
    ("run", "/run"),
];

/// A folder with all of it.
fn planted() -> anyhow::Result<TempDir> {
    let folder = TempDir::new()?;
    let path = |name: &str| folder.path().join(name);
    for (name, text) in TABLES {
        let place = path(name);
        let own = place.file_name().context("a table has a name")?.to_string_lossy().into_owned();
        let user = if name.starts_with("spool") { "" } else { "root " };
        let job = format!("@reboot {user}touch '/run/ran/{own}'");
        std::fs::create_dir_all(place.parent().context("a table stands in a folder")?)?;
        std::fs::write(&place, text.replace("JOB", &job))?;
        let mode = if user.is_empty() { 0o600 } else { 0o644 };
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode))?;
    }
    let users = "root:x:0:0::/root:/bin/sh\nada:x:0:0::/root:/bin/sh\n\
                 john.doe:x:0:0::/root:/bin/sh\n";
    std::fs::write(path("passwd"), users)?;
    std::fs::write(path("shadow"), "root:*:1::::::\nada:*:1::::::\njohn.doe:*:1::::::\n")?;
    std::fs::write(
        path("pam"),
        "account required pam_permit.so\nsession required pam_permit.so\n",
    )?;
    std::fs::create_dir_all(path("run/ran"))?;
    Ok(folder)
}

/// A script that goes on as `last` where ours stands in the place of the machine's.
fn script(folder: &Path, last: &str) -> String {
    let bind = |(ours, place): (&str, &str)| {
        format!("mount --bind '{}' {place} || exit 1\n", folder.join(ours).display())
    };
    let binds: String = BINDS.into_iter().map(bind).collect();
    format!("{binds}exec {last}")
}

#[test]
fn cron_runs_the_jobs_that_we_tell() -> anyhow::Result<()> {
    if !super::is_root("jobs")? {
        return Ok(());
    }
    if run("which", &["cron"]).is_err() {
        eprintln!("jobs: cron is not installed; nothing was tried");
        return Ok(());
    }
    let folder = planted()?;
    let told = told(folder.path())?;
    let unshare = run("which", &["unshare"])?;
    let arguments = ["-m", "sh", "-c", &script(folder.path(), "cron -f")].map(ToOwned::to_owned);
    let log = folder.path().join("cron.log");
    let mut cron = Process::start(Path::new(unshare.trim()), &arguments, &log)?;
    let ran = || -> anyhow::Result<BTreeSet<String>> {
        let entries = std::fs::read_dir(folder.path().join("run/ran"))?;
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            Ok(entry?.file_name().to_string_lossy().into_owned())
        };
        entries.map(name).collect()
    };
    // All jobs begin together, so that those nobody tells of have run when cron waits for none.
    let pid = cron.id().to_string();
    wait::until("cron has run its jobs", PATIENCE, || {
        cron.check_alive()?;
        let waits = run_any("pgrep", &["-P", &pid])?.stdout.is_empty();
        Ok((waits && ran()?.contains("plain")).then_some(()))
    })?;
    let ran = ran()?;
    eprintln!("{} jobs of {} tables compared", ran.len(), TABLES.len());
    assert_eq!(told, ran);
    ensure!(ran.len() > 8, "{ran:?}");
    Ok(())
}

/// The jobs at `@reboot` that the agent tells of, by what they touch.
fn told(folder: &Path) -> anyhow::Result<BTreeSet<String>> {
    let config = folder.join("run/agent.toml");
    let text = "collector = \"http://127.0.0.1:9\"\nhost_name = \"jobs\"\n\
        state_dir = \"/run/agent\"\n[sources]\nenable = [\"cron\"]\n";
    std::fs::write(&config, text)?;
    let program = programs::program(programs::AGENT)?.canonicalize()?;
    let chosen = programs::mutant_of(programs::AGENT)
        .map(|mutant| format!("env {}={mutant} ", programs::MUTANT))
        .unwrap_or_default();
    let agent = format!("{chosen}'{}' snapshot --config /run/agent.toml", program.display());
    let said = run("unshare", &["-m", "sh", "-c", &script(folder, &agent)])?;
    let snapshot: Value = serde_json::from_str(&said)?;
    let parts = snapshot["sections"]["cron"]["parts"].as_object().context("parts")?;
    let mut told = BTreeSet::new();
    for part in parts.values() {
        let items = part["observed"]["items"].as_object().context("items")?;
        for (key, item) in items {
            let touched = key.split_once("touch ").map(|(_, path)| path.replace("~1", "/"));
            let name = touched.as_deref().and_then(|path| path.rsplit('/').next());
            if let Some(name) = name.filter(|_| item["value"].to_string().contains("@reboot")) {
                told.insert(name.trim_end_matches('\'').replace("~0", "~"));
            }
        }
    }
    Ok(told)
}
