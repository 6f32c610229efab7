//! A laptop's day: it starts, leases, roams, sleeps, dials in, is used and updated, and its clock
//! jumps. Nobody changes anything, so nothing is said to have changed.
//!
//! The nine things that a host's life is made of: boot (`starts`), renewal of a lease (`joins`),
//! networks it roams through (`joins`), suspend and resume (`sleeps`), a VPN up and down
//! (`dials_in`, `hangs_up`), people who log in (`is_used`), unattended upgrades (`updates`), a
//! clock that jumps (`jumps`) and containers that come and go (`containers`).
//!
//! The test runs itself again in a network namespace of its own, in which collector and agent live
//! and interfaces come and go; the machine's network is left alone. What programs do to files, it
//! does to the tree the agent sees, in the way those programs do it.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use driftline_tests::process::{Process, run, run_any};
use driftline_tests::wait;

use super::pair::{Pair, Who};
use super::quiet::{copy_machine, nightly, silent_for};

/// Where the kernel shows which interface is hardware. In the namespace a folder of ours is over it
/// in which `wlan0` is, or nothing of what a network gives would count to begin with.
const INTERFACES: &str = "/sys/class/net";

/// Set in the namespace.
const INSIDE: &str = "DRIFTLINE_TESTS_OWN_NETWORK";

/// Much more than an agent needs to tell of a change.
const SILENCE: Duration = Duration::from_secs(3);

/// Every source that what follows could mislead.
const SOURCES: &str = "\"files\", \"network\", \"listeners\", \"packages\", \"services\", \
    \"transactions\", \"accounts\", \"login_policy\", \"kernel_policy\", \"time_sync\", \
    \"cron\", \"certificates\", \"browser_policy\", \"firewall\", \"directory\", \
    \"containers\", \"desktop_uc_client\", \"audio\", \"os\"";

/// One thing that befalls the laptop.
type Event = (&'static str, fn(&mut Pair) -> anyhow::Result<()>);

const DAY: [Event; 12] = [
    ("it starts", starts),
    ("its lease is renewed", |pair| joins(pair, "192.0.2", "office")),
    ("it is carried home", |pair| joins(pair, "198.51.100", "home")),
    ("it goes through a cafe", |pair| joins(pair, "203.0.113", "cafe")),
    ("it dials in", dials_in),
    ("it hangs up", hangs_up),
    ("it sleeps, and wakes elsewhere", sleeps),
    ("people log in and print", is_used),
    ("it updates itself", updates),
    ("its clock jumps", jumps),
    ("containers come and go", containers),
    ("it goes back to the office", |pair| joins(pair, "192.0.2", "office")),
];

#[test]
fn a_day_changes_nothing() -> anyhow::Result<()> {
    if !super::is_root("day")? {
        return Ok(());
    }
    if std::env::var_os(INSIDE).is_none() {
        return inside();
    }
    let mut pair = Pair::new()?;
    copy_machine(&pair.tree())?;
    pair.binds = vec!["etc", "var/lib", "var/log"];
    pair.configure_agent(SOURCES)?;
    air(&pair)?;
    std::fs::write(pair.tree().join("etc/first.conf"), "first = marker-first\n")?;
    std::fs::write(pair.tree().join("etc/cups/printers.conf"), printers("Idle", ""))?;
    std::fs::write(pair.tree().join("etc/openvpn/openvpn-status.log"), "Updated,today\n")?;
    container(&pair, ("0a", "turn"), "always")?;
    joins(&mut pair, "192.0.2", "office")?;
    filter(
        &pair,
        "table inet site { chain input { type filter hook input priority 0; \
                   tcp dport 5061 accept; jump calls; }; chain calls { accept; }; }",
    )?;
    pair.start(Who::Collector)?;
    pair.start(Who::Agent)?;
    pair.wait_for("marker-first")?;
    pair.wait_for("wlan0/mtu")?;
    pair.wait_for("docker/turn")?;
    wait::while_quiet(Duration::from_secs(7), || Ok(None))?;
    for (what, befalls) in DAY {
        befalls(&mut pair).with_context(|| what)?;
        silent_for(SILENCE, &mut pair, what)?;
        // Not every change wakes a source: a start reads all of them.
        pair.stop(Who::Agent)?;
        pair.start(Who::Agent)?;
        silent_for(SILENCE, &mut pair, &format!("{what}, and the agent starts"))?;
    }
    eprintln!("0 changes in a day of {} events", DAY.len());
    hears_a_person(&mut pair)
}

/// Deafness would pass as silence: what a person does in the same places is told.
fn hears_a_person(pair: &mut Pair) -> anyhow::Result<()> {
    let etc = pair.tree().join("etc");
    std::fs::write(etc.join("first.conf"), "first = marker-heard\n")?;
    pair.wait_for("marker-heard")?;
    ensure!((pair.semantic()? - 1.0).abs() < 0.5, "one edit is one change");
    replace(&etc.join("resolv.conf"), "# by hand\nnameserver 192.0.2.66\n")?;
    pair.wait_for_change("resolv.conf")?;
    std::fs::write(etc.join("cups/printers.conf"), printers("Idle", "Option sides one-sided\n"))?;
    pair.wait_for_change("sides")?;
    container(pair, ("0c", "turn"), "on-failure")?;
    pair.wait_for_change("on-failure")?;
    // Nobody tells of a rule: the next pass sees it, and a start is one.
    filter(pair, "table inet site { chain input { tcp dport 5071 drop; }; }")?;
    pair.stop(Who::Agent)?;
    pair.start(Who::Agent)?;
    pair.wait_for_change("== 5071")
}

/// Runs this very test in its own network, with its own view of the interfaces.
fn inside() -> anyhow::Result<()> {
    let program = std::env::current_exe()?.display().to_string();
    let script = format!(
        "mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs {INTERFACES} && \
         mkdir -p {INTERFACES}/wlan0/device && \
         ln -s /sys/bus/pci {INTERFACES}/wlan0/device/subsystem && \
         ip link set lo up && \
         exec env {INSIDE}=1 '{program}' day::a_day_changes_nothing --exact --nocapture"
    );
    let output = run_any("unshare", &["-n", "-m", "sh", "-c", &script])?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    ensure!(output.status.success(), "{said}");
    ensure!(said.contains("0 changes in a day"), "the day was not lived: {said}");
    eprintln!("{said}");
    Ok(())
}

fn ip(words: &str) -> anyhow::Result<()> {
    run("ip", &words.split(' ').collect::<Vec<_>>()).map(drop)
}

/// A wireless interface, as far as a machine without one can have it.
fn air(pair: &Pair) -> anyhow::Result<()> {
    ip("link add wlan0 type veth peer name air0")?;
    ip("link set wlan0 up")?;
    ip("link set air0 up")?;
    let etc = pair.tree().join("etc");
    for place in ["cups", "openvpn", "NetworkManager/system-connections", "ppp"] {
        std::fs::create_dir_all(etc.join(place))?;
    }
    Ok(())
}

/// Writes as programs do that never leave half a file: beside it, then over it.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    let name = path.file_name().context("a file has a name")?.to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.NetworkManager"));
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path).context("putting a file in its place")
}

fn printers(state: &str, option: &str) -> String {
    let found = if state == "Idle" {
        "<Printer cafe>\nDeviceURI implicitclass://cafe/\nState Idle\n</Printer>\n"
    } else {
        ""
    };
    format!(
        "# Printer configuration file for CUPS v2.4.2\n<DefaultPrinter desk>\nInfo Desk\n\
         DeviceURI ipp://192.0.2.9/ipp\nState {state}\nStateTime {}\n{option}</DefaultPrinter>\n\
         {found}",
        state.len()
    )
}

fn starts(pair: &mut Pair) -> anyhow::Result<()> {
    pair.stop(Who::Agent)?;
    let etc = pair.tree().join("etc");
    std::fs::write(etc.join("adjtime"), "0.000000 1700000000 0.000000\n0\nUTC\n")?;
    std::fs::write(etc.join(".pwd.lock"), "")?;
    std::fs::write(etc.join("ld.so.cache"), "glibc-ld.so.cache1.1\0again")?;
    pair.start(Who::Agent)
}

/// A network hands out an address, a route, name servers and printers.
fn joins(pair: &mut Pair, net: &str, name: &str) -> anyhow::Result<()> {
    let etc = pair.tree().join("etc");
    ip("addr flush dev wlan0")?;
    ip(&format!("addr add {net}.17/24 dev wlan0 valid_lft 3600 preferred_lft 3600"))?;
    ip(&format!("route replace default via {net}.1 dev wlan0 proto dhcp metric 600"))?;
    let servers =
        format!("# Generated by NetworkManager\nsearch {name}.example\nnameserver {net}.53\n");
    replace(&etc.join("resolv.conf"), &servers)?;
    std::fs::write(etc.join("resolv.conf.dhclient-new.812"), "nameserver ::1\n")?;
    std::fs::write(etc.join("ppp/resolv.conf"), format!("nameserver {net}.54\n"))?;
    std::fs::remove_file(etc.join("resolv.conf.dhclient-new.812"))?;
    let profile = format!(
        "[connection]\nid={name}\npermissions=user:alice:;\ntimestamp={}\n[wifi]\nssid={name}\n",
        name.len()
    );
    let profiles = etc.join("NetworkManager/system-connections");
    std::fs::write(profiles.join(format!("{name}.nmconnection")), profile)?;
    let state = if name == "office" { "Idle" } else { "Stopped" };
    std::fs::write(etc.join("cups/printers.conf"), printers(state, "")).map_err(Into::into)
}

/// A tunnel comes up, and its client puts its own name servers in the place of the network's.
fn dials_in(pair: &mut Pair) -> anyhow::Result<()> {
    let etc = pair.tree().join("etc");
    ip("tuntap add dev tun0 mode tun")?;
    ip("addr add 10.99.0.2/24 dev tun0")?;
    ip("link set tun0 up")?;
    ip("route add 10.0.0.0/8 via 10.99.0.1 dev tun0 proto static")?;
    std::fs::copy(etc.join("resolv.conf"), etc.join("resolv.pre-tailscale-backup.conf"))?;
    let text = "# resolv.conf(5) file generated by tailscale\nnameserver 100.100.100.100\n";
    replace(&etc.join("resolv.conf"), text)?;
    std::fs::write(etc.join("openvpn/openvpn-status.log"), "Updated,now\n").map_err(Into::into)
}

fn hangs_up(pair: &mut Pair) -> anyhow::Result<()> {
    let etc = pair.tree().join("etc");
    ip("link del tun0")?;
    std::fs::rename(etc.join("resolv.pre-tailscale-backup.conf"), etc.join("resolv.conf"))
        .map_err(Into::into)
}

/// As near as a test comes to a lid that is closed: the agent stands still, and so does its clock.
fn sleeps(pair: &mut Pair) -> anyhow::Result<()> {
    let agent = pair.pid(Who::Agent)?;
    run("kill", &["-STOP", &agent])?;
    joins(pair, "198.51.100", "home")?;
    wait::while_quiet(SILENCE, || Ok(None))?;
    run("kill", &["-CONT", &agent]).map(drop)
}

/// Sessions lock the tables of accounts, open ports of chance, and print.
fn is_used(pair: &mut Pair) -> anyhow::Result<()> {
    let etc = pair.tree().join("etc");
    for table in ["passwd", "group", "subuid"] {
        std::fs::write(etc.join(format!("{table}.lock")), "812\n")?;
        std::fs::copy(etc.join(table), etc.join(format!("{table}-")))?;
    }
    let chance = TcpListener::bind("0.0.0.0:0")?;
    let call = UdpSocket::bind("0.0.0.0:16400")?;
    let names = UdpSocket::bind("198.51.100.17:5353")?;
    std::fs::write(etc.join("cups/printers.conf"), printers("Processing", ""))?;
    std::fs::write(etc.join("cups/printers.conf.O"), printers("Idle", ""))?;
    std::fs::write(etc.join(".motd.swp"), "typing")?;
    // As long as the ports are open, and nobody tells of those: a start looks, which takes its time
    // on a busy machine. How long it took is never the same twice, and nothing at first. The agent
    // before has said its last word, or that would pass for the look.
    let looked =
        |pair: &Pair| pair.metric("driftline_source_read_seconds", &["source=\"listeners\""]);
    pair.stop(Who::Agent)?;
    let before = looked(pair)?;
    pair.start(Who::Agent)?;
    wait::until("ports were looked at", wait::PATIENCE, || {
        let took = looked(pair)?;
        Ok((took > 0.0 && (took - before).abs() > f64::EPSILON).then_some(()))
    })?;
    silent_for(SILENCE, pair, "people are logged in")?;
    drop((chance, call, names));
    for table in ["passwd", "group", "subuid"] {
        std::fs::remove_file(etc.join(format!("{table}.lock")))?;
    }
    std::fs::remove_file(etc.join(".motd.swp")).map_err(Into::into)
}

/// Locks a file as dpkg and apt do (fcntl(2)), and says so in a file beside it.
const HOLDS: &str = "import fcntl,signal,sys
f = open(sys.argv[1], 'r+')
fcntl.lockf(f, fcntl.LOCK_EX)
open(sys.argv[2], 'w').close()
signal.pause()";

/// A package is half configured for as long as the package manager is at work.
fn updates(pair: &mut Pair) -> anyhow::Result<()> {
    let dpkg = pair.tree().join("var/lib/dpkg");
    let (lock, status) = (dpkg.join("lock-frontend").display().to_string(), dpkg.join("status"));
    let before = std::fs::read_to_string(&status)?;
    let (log, held) = (pair.path("manager.log"), pair.path("lock.held"));
    let works = ["-c", HOLDS, &lock, &held.display().to_string()].map(ToOwned::to_owned);
    let manager = Process::start(Path::new("/usr/bin/python3"), &works, &log)?;
    wait::until("the lock is held", wait::PATIENCE, || Ok(held.exists().then_some(())))?;
    let half = before.replacen("install ok installed", "install ok half-configured", 1);
    ensure!(half != before, "no package is installed");
    replace(&status, &half)?;
    silent_for(SILENCE, pair, "a package is half configured")?;
    replace(&status, &before)?;
    manager.kill9()?;
    drop(nightly(pair)?);
    Ok(())
}

/// Times of files lie in the future, and the past; their words are what they were. Then the agent's
/// own clock goes there.
fn jumps(pair: &mut Pair) -> anyhow::Result<()> {
    let etc = pair.tree().join("etc").display().to_string();
    for when in ["+1 day", "-400 days", "+30 years"] {
        run(
            "find",
            &[&etc, "-maxdepth", "2", "-type", "f", "-exec", "touch", "-d", when, "{}", "+"],
        )?;
        silent_for(SILENCE, pair, when)?;
    }
    clock_jumps(pair)
}

/// What stands between a program and its clock, from Debian's `libfaketime`.
const FAKE_CLOCK: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

/// The wall clock of the agent alone: the machine's is left to others.
fn clock_jumps(pair: &mut Pair) -> anyhow::Result<()> {
    if !Path::new(FAKE_CLOCK).exists() {
        eprintln!("no clock jumps: libfaketime is not installed");
        return Ok(());
    }
    let clock = pair.path("clock");
    std::fs::write(&clock, "+0\n")?;
    let variables = [
        format!("LD_PRELOAD={FAKE_CLOCK}"),
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
    ];
    pair.environment.insert(Who::Agent, variables.into());
    let first = pair.tree().join("etc/first.conf");
    for jump in ["+0", "+1d", "-400d", "+30y", "-5m"] {
        std::fs::write(&clock, format!("{jump}\n"))?;
        // The same words once more wake the source under the new clock; a start wakes all.
        std::fs::write(&first, std::fs::read(&first)?)?;
        silent_for(SILENCE, pair, jump)?;
        pair.stop(Who::Agent)?;
        pair.start(Who::Agent)?;
        silent_for(SILENCE, pair, &format!("{jump}, and the agent starts"))?;
    }
    pair.environment.remove(&Who::Agent);
    pair.stop(Who::Agent)?;
    pair.start(Who::Agent)
}

/// What Docker keeps of a container.
fn container(pair: &Pair, (id, name): (&str, &str), restart: &str) -> anyhow::Result<()> {
    let folder = pair.tree().join("var/lib/docker/containers").join(id);
    std::fs::create_dir_all(&folder)?;
    let state = format!(
        "{{\"ID\":{id:?},\"Name\":\"/{name}\",\"State\":{{\"Pid\":8}},\"Image\":\"sha256:1\",\
         \"Config\":{{\"Hostname\":{id:?},\"Image\":\"coturn:4.6\"}}}}"
    );
    let host = format!("{{\"RestartPolicy\":{{\"Name\":{restart:?}}},\"NetworkMode\":\"host\"}}");
    std::fs::write(folder.join("hostconfig.json"), host)?;
    std::fs::write(folder.join("config.v2.json"), state).context("keeping a container")
}

/// Each has an interface, a port published for it and files below the engine's folder.
fn containers(pair: &mut Pair) -> anyhow::Result<()> {
    ip("link add docker0 type bridge")?;
    ip("addr add 172.17.0.1/16 dev docker0")?;
    ip("link set docker0 up")?;
    let engine = pair.tree().join("var/lib/docker/containers");
    for number in 0..3 {
        let id = format!("b{number}");
        container(pair, (&id, "job"), "no")?;
        ip(&format!("link add veth{number} type veth peer name inner{number}"))?;
        ip(&format!("link set veth{number} master docker0 up"))?;
        silent_for(Duration::from_secs(1), pair, "a container starts")?;
        ip(&format!("link del veth{number}"))?;
        std::fs::remove_dir_all(engine.join(id))?;
    }
    // One that stays is made anew from the same words.
    container(pair, ("0c", "turn"), "always")?;
    std::fs::remove_dir_all(engine.join("0a"))?;
    // Rules in a chain of the engine's own, and gone again.
    filter(pair, "table ip filter { chain DOCKER { ip daddr 172.17.0.2 tcp dport 80 accept; }; }")?;
    pair.stop(Who::Agent)?;
    pair.start(Who::Agent)?;
    silent_for(SILENCE, pair, "a port is published")?;
    filter(pair, "delete table ip filter")?;
    ip("link del docker0")
}

/// Changes the packet filter of the namespace.
fn filter(pair: &Pair, rules: &str) -> anyhow::Result<()> {
    let file = pair.path("rules.nft");
    std::fs::write(&file, format!("{rules}\n"))?;
    run("nft", &["-f", &file.display().to_string()]).map(drop)
}
