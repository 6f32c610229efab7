//! What tools write down of their runs, held against what changed on the host: through the real
//! programs, with logs as the tools write them and, where it is installed, with Puppet itself.

use std::path::Path;

use driftline_tests::process::run;
use driftline_tests::wait::{self, PATIENCE};
use jiff::Timestamp;
use serde_json::Value;

use super::pair::{Pair, Who};

const REPORT: &str = "var/cache/puppet/state/last_run_report.yaml";
const HISTORY: &str = "var/log/apt/history.log";
const STATUS: &str = "var/lib/dpkg/status";

/// A host with these tools' folders, of a site that tells of its intent.
fn host() -> anyhow::Result<Pair> {
    let mut pair = Pair::new()?;
    let tree = pair.tree();
    for path in [REPORT, HISTORY, STATUS] {
        std::fs::create_dir_all(tree.join(path).parent().unwrap())?;
    }
    std::fs::write(tree.join(STATUS), stanza("marker-base"))?;
    std::fs::write(tree.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
    std::fs::write(tree.join("etc/group"), "root:x:0:\n")?;
    std::fs::write(tree.join("etc/first.conf"), "first = marker-first\n")?;
    std::fs::write(tree.join("etc/app.conf"), "level = 1\n")?;
    pair.binds = vec!["etc", "var/lib/dpkg", "var/log", "var/cache"];
    let listen = format!("listen = \"{}\"\n", pair.address);
    pair.configure_collector(&listen, "[[change_source]]\nname = \"itsm\"\n")?;
    pair.configure_agent("\"files\", \"packages\", \"transactions\"")?;
    pair.start(Who::Collector)?;
    pair.start(Who::Agent)?;
    pair.wait_for("marker-first")?;
    pair.wait_for("marker-base")?;
    Ok(pair)
}

/// A package as dpkg's table has it.
fn stanza(name: &str) -> String {
    format!("Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: 1.2-3\n\n")
}

/// Why the newest change that holds `word` is of this class, once it is and `why` is in the
/// sentence.
fn expect(pair: &mut Pair, word: &str, [class, rule, why]: [&str; 3]) -> anyhow::Result<()> {
    wait::until(&format!("{word} is {class} by {rule}: {why}"), PATIENCE, || {
        pair.check_alive()?;
        let changes = pair.changes()?;
        let of = |change: &&Value| change["change"].to_string().contains(word);
        let Some(change) = changes.iter().rev().find(of) else { return Ok(None) };
        let classified = &change["classified"];
        let says = classified["says"].as_str().unwrap_or_default();
        let is = classified["class"] == class && classified["rule"] == rule && says.contains(why);
        Ok(is.then_some(()))
    })
}

/// A report of a run that left `text` in `/etc/app.conf`.
fn report(tree: &Path, text: &str) -> anyhow::Result<String> {
    let file = tree.join("sum");
    std::fs::write(&file, text)?;
    let sum = run("sha256sum", &[&file.display().to_string()])?;
    let sum = sum.split(' ').next().unwrap();
    let now = Timestamp::now();
    Ok(format!(
        "--- !ruby/object:Puppet::Transaction::Report\nhost: second\ntime: '{now}'\n\
         transaction_uuid: first-run\nreport_format: 12\nstatus: changed\nnoop: false\n\
         environment: production\nlogs:\n- level: notice\n  message: changed\n  \
         time: '{now}'\nresource_statuses:\n  File[/etc/app.conf]:\n    \
         title: \"/etc/app.conf\"\n    resource_type: File\n    failed: false\n    \
         changed: true\n    events:\n    - audited: false\n      property: content\n      \
         message: content changed '{{sha256}}00' to '{{sha256}}{sum}'\n      \
         status: success\n      time: '{now}'\n    corrective_change: false\n"
    ))
}

#[test]
fn what_a_run_left_is_expected_and_an_edit_beside_it_is_not() -> anyhow::Result<()> {
    if !super::is_root("runs")? {
        return Ok(());
    }
    let mut pair = host()?;
    let tree = pair.tree();
    let text = "level = marker-run\n";
    std::fs::write(tree.join("etc/app.conf"), text)?;
    // The change is told at once, and the run when it has ended.
    expect(&mut pair, "marker-run", ["unauthorised", "nothing", "no change request"])?;
    std::fs::write(tree.join(REPORT), report(&tree, text)?)?;
    expect(&mut pair, "marker-run", ["expected", "run", "puppet, "])?;
    std::fs::write(tree.join("etc/app.conf"), "level = marker-hand\n")?;
    expect(&mut pair, "marker-hand", ["unauthorised", "nothing", "not what it left"])?;
    // A log is no change of its own.
    let told = pair.changes()?.iter().any(|change| change["source"] == "transactions");
    assert!(!told, "a run is told as a change");
    pair.balanced()
}

#[test]
fn a_package_that_was_asked_for_names_who_and_one_that_it_needed_is_expected() -> anyhow::Result<()>
{
    if !super::is_root("runs")? {
        return Ok(());
    }
    let mut pair = host()?;
    let tree = pair.tree();
    // apt names what is for all architectures by the host's own.
    let now = Timestamp::now().strftime("%Y-%m-%d  %H:%M:%S");
    let log = format!(
        "\nStart-Date: {now}\nCommandline: apt install marker-asked\nRequested-By: ada (1000)\n\
         Install: marker-needed:amd64 (1.2-3, automatic), marker-asked:amd64 (1.2-3)\n\
         End-Date: {now}\n"
    );
    let all: String = ["marker-base", "marker-asked", "marker-needed"].map(stanza).concat();
    std::fs::write(tree.join(STATUS), all)?;
    std::fs::write(tree.join(HISTORY), log)?;
    let who = "ada by `apt install marker-asked`";
    expect(&mut pair, "marker-asked", ["unauthorised", "nothing", who])?;
    expect(&mut pair, "marker-needed", ["expected", "package", who])?;
    pair.balanced()
}

/// Puppet itself, in the agent's namespace.
#[test]
fn what_puppet_writes_is_expected() -> anyhow::Result<()> {
    if !super::is_root("runs")? {
        return Ok(());
    }
    if run("puppet", &["--version"]).is_err() {
        eprintln!("runs: puppet is not installed; nothing was tried");
        return Ok(());
    }
    let mut pair = host()?;
    let tree = pair.tree();
    let manifest = "file { '/etc/app.conf': content => \"level = marker-puppet\\n\" } \
        file { '/etc/new.conf': content => \"level = marker-new\\n\", mode => '0640' } \
        file { '/etc/first.conf': mode => '0600' }";
    std::fs::write(tree.join("site.pp"), manifest)?;
    let binds: String = ["etc", "var/log", "var/cache"]
        .iter()
        .map(|place| format!("mount --bind '{}' '/{place}' && ", tree.join(place).display()))
        .collect();
    let script = format!("{binds}exec puppet apply '{}'", tree.join("site.pp").display());
    run("unshare", &["-m", "sh", "-c", &script])?;
    expect(&mut pair, "marker-puppet", ["expected", "run", "environment production"])?;
    expect(&mut pair, "marker-new", ["expected", "run", "environment production"])?;
    expect(&mut pair, "0600", ["expected", "run", "environment production"])?;
    std::fs::write(tree.join("etc/new.conf"), "level = marker-edit\n")?;
    expect(&mut pair, "marker-edit", ["unauthorised", "nothing", "not what it left"])?;
    pair.balanced()
}
