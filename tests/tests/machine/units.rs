//! Units as systemd itself has loaded them: `systemctl show` on a booted machine is held against
//! what the agent says there.
//!
//! The machine is this one's own `/usr`, booted with an empty `/etc` in which units of ours stand,
//! so every unit that is installed here is compared. Written from systemd.unit(5) and systemctl(1)
//! alone. What is not compared, and why, stands in `docs/oracles.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, ensure};
use driftline_tests::process::{Process, run, run_any};
use driftline_tests::programs;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;
use tempfile::TempDir;

/// Units that have everything which must be put together; a content `-> target` is a link.
const UNITS: [(&str, &str); 11] = [
    (
        "app.service",
        "[Unit]\nDescription=App\nAfter=network.target\nDocumentation=man:a(1) man:b(1)\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true \"first one\"\n\
         User=daemon\nNice=1\nDeviceAllow=/dev/zero r\nDeviceAllow=/dev/null  rw\n\
         Restart=on-failure\nRestartSec=1min 30s\n\
         [Install]\nWantedBy=multi-user.target\n",
    ),
    (
        "app.service.d/10-a.conf",
        "[Service]\nExecStart=\nExecStart=-/bin/true --fast\nNice=2\n\
         [Unit]\nAfter=time-set.target\n",
    ),
    ("app.service.d/20-b.conf", "[Service]\nNice=3\nUMask=0027\nKillMode=process\n"),
    ("app.service.d/30-none.conf", "-> /dev/null"),
    ("app-job.service", "[Service]\nType=oneshot\nExecStart=@/bin/true job --once\nNice=4\n"),
    ("app-.service.d/50-all.conf", "[Service]\nNice=5\nWorkingDirectory=/var\n"),
    ("other.service", "-> app.service"),
    ("cron.service", "-> /dev/null"),
    // The machine has no network that anybody could wait for.
    ("systemd-networkd-wait-online.service", "-> /dev/null"),
    ("multi-user.target.wants/app.service", "-> ../app.service"),
    ("weekly.timer", "[Timer]\nOnCalendar=weekly\nRandomizedDelaySec=2h\nPersistent=yes\n"),
];

/// How a property is written, beside how the setting is.
#[derive(Clone, Copy)]
enum Written {
    /// The same text.
    Text,
    /// `yes` or `no`.
    Flag,
    /// The same words; systemd adds those that it implies.
    Words,
    /// The same lines, in any order; systemd adds those that it implies.
    Lines,
    /// A span of time.
    Span,
    /// The words of commands, a line each.
    Commands,
}

/// Settings with a property that says the same; others have none, or one written by other rules.
const SETTINGS: [(&str, &str, Written); 47] = [
    ("Unit/Description", "Description", Written::Text),
    ("Unit/Documentation", "Documentation", Written::Words),
    ("Unit/After", "After", Written::Words),
    ("Unit/Before", "Before", Written::Words),
    ("Unit/Conflicts", "Conflicts", Written::Words),
    ("Unit/Requires", "Requires", Written::Words),
    ("Unit/Wants", "Wants", Written::Words),
    ("Unit/BindsTo", "BindsTo", Written::Words),
    ("Unit/PartOf", "PartOf", Written::Words),
    ("Unit/OnFailure", "OnFailure", Written::Words),
    ("Unit/RequiresMountsFor", "RequiresMountsFor", Written::Words),
    ("Unit/DefaultDependencies", "DefaultDependencies", Written::Flag),
    ("Unit/RefuseManualStart", "RefuseManualStart", Written::Flag),
    ("Unit/RefuseManualStop", "RefuseManualStop", Written::Flag),
    ("Unit/AllowIsolate", "AllowIsolate", Written::Flag),
    ("Unit/StopWhenUnneeded", "StopWhenUnneeded", Written::Flag),
    ("Unit/IgnoreOnIsolate", "IgnoreOnIsolate", Written::Flag),
    ("Unit/JobTimeoutSec", "JobTimeoutUSec", Written::Span),
    ("Service/Type", "Type", Written::Text),
    ("Service/ExecStart", "ExecStart", Written::Commands),
    ("Service/ExecStartPre", "ExecStartPre", Written::Commands),
    ("Service/ExecStartPost", "ExecStartPost", Written::Commands),
    ("Service/ExecReload", "ExecReload", Written::Commands),
    ("Service/ExecStop", "ExecStop", Written::Commands),
    ("Service/User", "User", Written::Text),
    ("Service/Group", "Group", Written::Text),
    ("Service/Nice", "Nice", Written::Text),
    ("Service/OOMScoreAdjust", "OOMScoreAdjust", Written::Text),
    ("Service/Restart", "Restart", Written::Text),
    ("Service/RestartSec", "RestartUSec", Written::Span),
    ("Service/WatchdogSec", "WatchdogUSec", Written::Span),
    ("Service/RemainAfterExit", "RemainAfterExit", Written::Flag),
    ("Service/UMask", "UMask", Written::Text),
    ("Service/WorkingDirectory", "WorkingDirectory", Written::Text),
    ("Service/KillMode", "KillMode", Written::Text),
    ("Service/DeviceAllow", "DeviceAllow", Written::Lines),
    ("Service/NoNewPrivileges", "NoNewPrivileges", Written::Flag),
    ("Service/PrivateTmp", "PrivateTmp", Written::Flag),
    ("Service/PrivateNetwork", "PrivateNetwork", Written::Flag),
    ("Service/ProtectKernelModules", "ProtectKernelModules", Written::Flag),
    ("Service/ProtectHome", "ProtectHome", Written::Text),
    ("Service/RuntimeDirectory", "RuntimeDirectory", Written::Words),
    ("Service/StateDirectory", "StateDirectory", Written::Words),
    ("Service/SupplementaryGroups", "SupplementaryGroups", Written::Words),
    ("Timer/RandomizedDelaySec", "RandomizedDelayUSec", Written::Span),
    ("Timer/Persistent", "Persistent", Written::Flag),
    ("Mount/Where", "Where", Written::Text),
];

/// Targets that are reached, so that systemd has read who wants what.
const REACHED: [&str; 5] =
    ["sysinit.target", "basic.target", "sockets.target", "timers.target", "multi-user.target"];

/// A machine that was booted; it ends with this.
struct Booted {
    folder: TempDir,
    leader: String,
    _nspawn: Process,
}

impl Drop for Booted {
    fn drop(&mut self) {
        // A machine whose nspawn alone is killed lives on.
        drop(run_any("kill", &["-KILL", &self.leader]));
    }
}

impl Booted {
    fn start() -> anyhow::Result<Self> {
        let folder = TempDir::new()?;
        let units = folder.path().join("units");
        for (name, text) in UNITS {
            let path = units.join(name);
            std::fs::create_dir_all(path.parent().context("a unit stands in a folder")?)?;
            match text.strip_prefix("-> ") {
                Some(target) => symlink(target, path)?,
                None => std::fs::write(path, text)?,
            }
        }
        let program = programs::program(programs::AGENT)?.canonicalize()?;
        let own = std::process::id();
        let script = format!(
            "echo $$ >'{0}/pid'; exec systemd-nspawn -D / --volatile=yes -b --register=no \
             --keep-unit --private-network --console=pipe --machine=units-{own} \
             --bind='{1}:/etc/systemd/system' --bind-ro='{2}:/mnt/agent'",
            folder.path().display(),
            units.display(),
            program.display(),
        );
        let arguments = ["-c".to_owned(), script];
        let nspawn = Process::start(Path::new("/bin/sh"), &arguments, &folder.path().join("boot"))?;
        let leader = wait::until("the first process is there", PATIENCE, || {
            let nspawn = std::fs::read_to_string(folder.path().join("pid"))?;
            let found = run_any("pgrep", &["-P", nspawn.trim(), "-x", "systemd"])?;
            let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
            Ok((!found.is_empty()).then_some(found))
        })?;
        let booted = Self { folder, leader, _nspawn: nspawn };
        wait::until("the machine is up", PATIENCE, || {
            let asked = booted.inside(&["systemctl", "is-active", "multi-user.target"])?;
            Ok((asked.trim() == "active").then_some(()))
        })?;
        Ok(booted)
    }

    fn inside(&self, words: &[&str]) -> anyhow::Result<String> {
        let enter = ["-t", &self.leader, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"];
        let path = ["env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"];
        run("nsenter", &[&enter, path.as_slice(), words].concat())
    }

    /// What the agent says of each unit that it could read.
    fn told(&self) -> anyhow::Result<BTreeMap<String, Items>> {
        let config = "collector = \"http://127.0.0.1:9\"\nhost_name = \"units\"\n\
                      state_dir = \"/run/agent\"\n[sources]\nenable = [\"services\"]\n";
        std::fs::write(self.folder.path().join("units/agent.toml"), config)?;
        let mutant = programs::mutant_of(programs::AGENT);
        let mutant = format!("{}={}", programs::MUTANT, mutant.unwrap_or_default());
        let chosen: &[&str] = if mutant.ends_with('=') { &[] } else { &["env", &mutant] };
        let ask = ["/mnt/agent", "snapshot", "--config", "/etc/systemd/system/agent.toml"];
        let snapshot: Value = serde_json::from_str(&self.inside(&[chosen, &ask].concat())?)?;
        let parts = snapshot["sections"]["services"]["parts"].as_object().context("parts")?;
        let told = parts.iter().map(|(name, part)| {
            let items = part["observed"]["items"].as_object();
            let items = items.with_context(|| format!("{name} was not read"))?;
            let items = items.iter().map(|(key, item)| (key.clone(), item["value"].clone()));
            // A name of a part has no backslash of its own.
            Ok((name.replace("\\x5c", "\\"), items.collect()))
        });
        Ok(without_aliases(told.collect::<anyhow::Result<_>>()?))
    }

    /// What systemd says of each of `units`: its properties, those with several lines joined.
    fn shown(&self, units: &[&str]) -> anyhow::Result<BTreeMap<String, Properties>> {
        let said = self.inside(&[&["systemctl", "show", "--no-pager", "--"], units].concat())?;
        let blocks: Vec<Properties> = said.split("\n\n").map(properties).collect();
        ensure!(blocks.len() == units.len(), "{} answers of {}", blocks.len(), units.len());
        Ok(units.iter().map(|unit| (*unit).to_owned()).zip(blocks).collect())
    }
}

/// What was told, but for aliases among dependencies: systemd shows the names they lead to.
fn without_aliases(mut told: BTreeMap<String, Items>) -> BTreeMap<String, Items> {
    let is_alias = |(name, items): (&String, &Items)| items.get("alias").map(|_| name.clone());
    let aliases: BTreeSet<String> = told.iter().filter_map(is_alias).collect();
    for value in told.values_mut().flat_map(BTreeMap::values_mut) {
        if let Some(Value::Array(set)) = value.get_mut("set") {
            set.retain(|text| text["text"].as_str().is_none_or(|text| !aliases.contains(text)));
        }
    }
    told
}

type Items = BTreeMap<String, Value>;
type Properties = BTreeMap<String, String>;

fn properties(block: &str) -> Properties {
    let mut all = Properties::new();
    for (key, value) in block.lines().filter_map(|line| line.split_once('=')) {
        all.entry(key.to_owned())
            .and_modify(|before| *before = format!("{before}\n{value}"))
            .or_insert_with(|| value.to_owned());
    }
    all
}

#[test]
fn units_are_those_that_systemctl_shows() -> anyhow::Result<()> {
    if !super::is_root("units")? {
        return Ok(());
    }
    let machine = Booted::start()?;
    let told = machine.told()?;
    // A template is no unit until it has an instance.
    let names: Vec<&str> =
        told.keys().map(String::as_str).filter(|name| !name.contains("@.")).collect();
    let shown = machine.shown(&names)?;
    let (mut differing, mut compared) = (Vec::new(), 0);
    for name in &names {
        for (what, ours, theirs) in differences(&told[*name], &shown[*name], &mut compared) {
            differing.push(format!("{name} {what}: ours {ours}, systemd's {theirs}"));
        }
    }
    eprintln!("{compared} facts of {} units compared", names.len());
    ensure!(differing.is_empty(), "{}", differing.join("\n"));
    ensure!(compared > 500 && told.contains_key("app.service"), "{compared} facts compared");
    Ok(())
}

/// What the two say otherwise of one unit.
fn differences(
    ours: &Items,
    theirs: &Properties,
    compared: &mut usize,
) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: String, theirs: String| {
        *compared += 1;
        if ours != theirs {
            found.push((what.to_owned(), ours, theirs));
        }
    };
    let property = |key: &str| theirs.get(key).cloned().unwrap_or_default();
    let texts = |key: &str| ours.get(key).map(words).unwrap_or_default();
    let enablement = texts("enablement").concat();
    if let Some(alias) = ours.get("alias") {
        compare("alias", words(alias).concat(), property("Id"));
        return found;
    }
    // Generators enable units for this boot alone; what they write follows from other files.
    if property("UnitFileState") != "enabled-runtime" {
        compare("enablement", enablement.clone(), property("UnitFileState"));
    }
    if enablement.starts_with("masked") {
        compare("masked", "masked".to_owned(), property("LoadState"));
        return found;
    }
    compare("fragment", texts("fragment").concat(), merged(&property("FragmentPath")));
    let drop_ins: Vec<String> = property("DropInPaths")
        .split_whitespace()
        .map(merged)
        .filter(|path| !path.starts_with("/run/systemd/generator"))
        // One that is masked is listed, and adds nothing.
        .filter(|path| !path.ends_with("/30-none.conf"))
        .collect();
    compare("drop_ins", texts("drop_ins").join(" "), drop_ins.join(" "));
    let wanted = [property("WantedBy"), property("RequiredBy")].join(" ");
    for by in texts("wanted_by") {
        let by = by.trim_end_matches(".wants").trim_end_matches(".requires").to_owned();
        let is_there = wanted.split_whitespace().any(|unit| unit == by);
        if REACHED.contains(&by.as_str()) {
            compare("wanted_by", by.clone(), if is_there { by } else { wanted.clone() });
        }
    }
    for (key, name, written) in SETTINGS {
        // The watchdog of a service that does not run is shown as none.
        if key == "Service/WatchdogSec" && property("ActiveState") != "active" {
            continue;
        }
        // What stands for something else is told as it is written, and shown as what it stands for.
        if let Some(value) = ours.get(key).filter(|value| !value.to_string().contains('%')) {
            let (ours, theirs) = alike(value, &property(name), written);
            compare(key, ours, theirs);
        }
    }
    found
}

/// Where the path stands once `/lib` is followed.
fn merged(path: &str) -> String {
    path.strip_prefix("/lib/").map_or_else(|| path.to_owned(), |rest| format!("/usr/lib/{rest}"))
}

/// The texts of a value.
fn words(value: &Value) -> Vec<String> {
    let (kind, inner) = value.as_object().and_then(|map| map.iter().next()).unzip();
    match (kind.map(String::as_str), inner) {
        (Some("list" | "set"), Some(Value::Array(all))) => all.iter().flat_map(words).collect(),
        (_, Some(Value::String(text))) => vec![text.clone()],
        (_, Some(other)) => vec![other.to_string()],
        (_, None) => vec![value.to_string()],
    }
}

/// Both sides in one writing.
fn alike(ours: &Value, theirs: &str, written: Written) -> (String, String) {
    let texts = words(ours);
    match written {
        Written::Text => {
            let plain = |text: &str| match text {
                "yes" => "true".to_owned(),
                "no" => "false".to_owned(),
                // A folder that may be missing.
                other => other.replacen("!/", "-/", 1),
            };
            (plain(&texts.join(" ")), plain(theirs))
        }
        Written::Flag => (texts.concat(), (theirs == "yes").to_string()),
        Written::Words => {
            let theirs = theirs.replace('"', "");
            let theirs: BTreeSet<&str> = theirs.split_whitespace().collect();
            let ours = texts.iter().flat_map(|text| text.split_whitespace());
            let (there, not): (Vec<&str>, Vec<&str>) = ours.partition(|word| theirs.contains(word));
            ([&there[..], &not].concat().join(" "), there.join(" "))
        }
        Written::Lines => {
            let theirs = theirs.lines().filter(|line| texts.iter().any(|text| text == line));
            let theirs: BTreeSet<&str> = theirs.collect();
            (texts.join("\n"), theirs.into_iter().collect::<Vec<_>>().join("\n"))
        }
        Written::Span => (seconds(&texts.concat()), seconds(theirs)),
        Written::Commands => {
            let ours: Vec<String> = texts.iter().map(|text| command(text)).collect();
            let theirs: Vec<String> = theirs.lines().map(shown_command).collect();
            (ours.join("\n"), theirs.join("\n"))
        }
    }
}

/// `1min 30s` as seconds; a number alone is one of seconds.
fn seconds(span: &str) -> String {
    let split = span.replace(char::is_whitespace, "");
    let (mut total, mut rest) = (0.0, split.as_str());
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, more) = rest.split_at(end);
        let end = more.find(|c: char| c.is_ascii_digit()).unwrap_or(more.len());
        let (unit, more) = more.split_at(end);
        let factor = match unit {
            "us" => 1e-6,
            "ms" => 1e-3,
            "" | "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" | "hr" => 3_600.0,
            "d" => 86_400.0,
            _ => return span.to_owned(),
        };
        let Ok(number) = number.parse::<f64>() else { return span.to_owned() };
        total += number * factor;
        rest = more;
    }
    total.to_string()
}

/// A command without quotes and prefixes, and whether its failure counts.
fn command(text: &str) -> String {
    let plain = text.trim_start_matches(['-', '@', ':', '+', '!']);
    let prefixes = &text[..text.len() - plain.len()];
    let words: Vec<String> =
        plain.split_whitespace().map(|word| word.replace(['"', '\'', '\\'], "")).collect();
    // The program's own name comes after the program.
    let first = usize::from(prefixes.contains('@'));
    let failure = if prefixes.contains('-') { "yes" } else { "no" };
    format!("{} {failure}", words.get(first..).unwrap_or_default().join(" "))
}

fn shown_command(line: &str) -> String {
    let field = |name: &str| {
        let rest = line.split_once(name).map_or("", |(_, rest)| rest);
        rest.split(" ; ").next().unwrap_or_default().replace(['"', '\'', '\\'], "")
    };
    let words: Vec<String> = field("argv[]=").split_whitespace().map(ToOwned::to_owned).collect();
    format!("{} {}", words.join(" "), field("ignore_errors="))
}
