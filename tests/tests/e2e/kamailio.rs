//! A real Kamailio: what it runs with is held against what is written, and both ways round.

use std::time::{Duration, Instant};

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::kamailio::{Answering, Kamailio};
use driftline_tests::programs::AgentSettings;
use driftline_tests::wait::{self, PATIENCE};

use super::HOST;

/// A host whose Kamailio is asked every second.
struct Proxy {
    fleet: Fleet,
    server: Kamailio,
    /// Answers the pings of the first destination.
    first: Answering,
    /// Answers those of the second.
    second: Answering,
}

impl Proxy {
    fn start() -> anyhow::Result<Self> {
        let mut fleet = Fleet::start_with("[rules]\npacks = [\"voice\"]\n")?;
        let (first, second) = (Answering::start()?, Answering::start()?);
        let root = fleet.folder().join("root");
        let etc = root.join("etc/kamailio");
        let list = list(&first, &second, 50);
        let server = Kamailio::start(&etc, &fleet.folder().join("run"), &list)?;
        fleet.add_agent_with(AgentSettings {
            root,
            include: vec!["/etc/**".to_owned()],
            spool_bytes: 64 * 1024 * 1024,
            host: HOST.to_owned(),
            kamailio: Some(server.socket()),
            probes: String::new(),
        })?;
        fleet.wait_for(HOST, "udp:127.0.0.1")?;
        fleet.wait_for(HOST, "weight")?;
        Ok(Self { fleet, server, first, second })
    }

    /// The open findings of these kinds, as rule, key, desired and current.
    fn found(&self) -> anyhow::Result<Vec<String>> {
        let page = format!("/api/v1/findings?host={HOST}&open=true");
        let answer = http::get_ok(self.fleet.address(), &page)?.json()?;
        let findings = answer["findings"].as_array().cloned().unwrap_or_default();
        let watched = [
            "edited-not-reloaded",
            "changed-at-runtime",
            "voice-destination-answers",
            "voice-proxy-certificate",
        ];
        let mut rows = Vec::new();
        for finding in findings {
            let rule = finding["id"]["rule"].as_str().unwrap_or("-").to_owned();
            if watched.contains(&rule.as_str()) {
                let key = finding["id"]["key"].as_str().unwrap_or("-").to_owned();
                let value = |side: &str| finding[side]["value"].to_string();
                rows.push(format!("{rule} {key} {} {}", value("desired"), value("current")));
            }
        }
        rows.sort();
        Ok(rows)
    }

    /// Waits until exactly these are open, and says how long it took.
    fn expect(&mut self, what: &str, wanted: &[&str]) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut last = Vec::new();
        let done = wait::until(what, PATIENCE, || {
            self.fleet.check_alive()?;
            last = self.found()?;
            let same = last.len() == wanted.len()
                && last.iter().zip(wanted).all(|(row, wanted)| row == wanted);
            Ok(same.then_some(()))
        });
        eprintln!("{what}: {:.1} s", began.elapsed().as_secs_f64());
        done.map_err(|error| error.context(format!("open are {last:#?}, not {wanted:#?}")))
    }

    /// The name of a destination, as keys have it.
    fn key(set: u8, destination: &Answering) -> String {
        format!("{set}/sip:{}", destination.address)
    }

    fn edit(&self, from: &str, to: &str) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(self.server.script())?;
        anyhow::ensure!(text.contains(from), "the script has no {from}");
        Ok(std::fs::write(self.server.script(), text.replacen(from, to, 1))?)
    }
}

fn list(first: &Answering, second: &Answering, weight: u8) -> String {
    format!(
        "# set destination flags priority attributes\n\
         1 sip:{} 0 0 weight={weight};duid=a\n2 sip:{} 0 10\n",
        first.address, second.address
    )
}

#[test]
fn what_runs_is_held_against_what_is_written() -> anyhow::Result<()> {
    let mut proxy = Proxy::start()?;
    let (one, two) = (Proxy::key(1, &proxy.first), Proxy::key(2, &proxy.second));
    let second = format!("sip:{}", proxy.second.address);
    proxy.expect("all is as it is written", &[])?;

    std::fs::write(proxy.server.list(), list(&proxy.first, &proxy.second, 5))?;
    let edited = format!("edited-not-reloaded {one}/weight {} {}", n(5), n(50));
    proxy.expect("an edit that was not loaded", &[&edited])?;
    proxy.server.command(&["dispatcher.reload"])?;
    proxy.expect("a reload", &[])?;

    proxy.server.command(&["dispatcher.set_state", "d", "2", &second])?;
    let changed = format!("changed-at-runtime {two}/flags {} {}", n(0), n(4));
    proxy.expect("a destination taken out at the console", &[&changed])?;

    // A file nobody can read moves nothing, neither what is open nor anything else.
    std::fs::write(proxy.server.list(), "this is no list\n")?;
    proxy.fleet.wait_for(HOST, "malformed")?;
    let open = [changed.clone()];
    wait::while_quiet(Duration::from_secs(3), || {
        let found = proxy.found()?;
        Ok((found != open).then(|| format!("{found:?} with a list that cannot be read")))
    })?;
    std::fs::write(proxy.server.list(), list(&proxy.first, &proxy.second, 5))?;
    proxy.server.command(&["dispatcher.set_state", "a", "2", &second])?;
    proxy.expect("the destination is back", &[])?;

    proxy.server.command(&["cfg.set_now_int", "registrar", "max_contacts", "9"])?;
    let key = "modparam/registrar/max_contacts";
    let changed = format!("changed-at-runtime {key} {} {}", n(4), n(9));
    proxy.expect("a value set at the console", &[&changed])?;
    proxy.server.command(&["cfg.set_now_int", "registrar", "max_contacts", "4"])?;
    proxy.expect("the value is set back", &[])
}

#[test]
fn a_destination_that_does_not_answer_is_told_until_it_does() -> anyhow::Result<()> {
    let mut proxy = Proxy::start()?;
    let one = Proxy::key(1, &proxy.first);
    proxy.expect("every destination answers", &[])?;
    proxy.first.answers(false);
    let wanted = format!(
        "voice-destination-answers {one} {} {}",
        text("not not_answering"),
        text("not_answering")
    );
    proxy.expect("a dead destination", &[&wanted])?;
    proxy.first.answers(true);
    proxy.expect("it answers again", &[])
}

#[test]
fn a_script_is_loaded_or_it_is_not() -> anyhow::Result<()> {
    let mut proxy = Proxy::start()?;
    proxy.expect("all is as it is written", &[])?;
    // Two seconds are one moment to a server that tells whole seconds; an edit comes later.
    wait::while_quiet(Duration::from_secs(3), || Ok(None))?;
    proxy.edit("request_route {\n", "request_route { # a comment\n")?;
    wait::while_quiet(Duration::from_secs(3), || {
        let found = proxy.found()?;
        Ok((!found.is_empty()).then(|| format!("{found:?} after a comment")))
    })?;
    proxy.edit("\"404\", \"Not here\"", "\"404\", \"Nobody\"")?;
    let wanted = format!(
        "edited-not-reloaded {} {} {}",
        proxy.server.script().display().to_string().replace('/', "~1"),
        "{\"set\":[{\"text\":\"request_route\"}]}",
        text("not loaded")
    );
    proxy.expect("an edit of a route", &[&wanted])?;

    // A server that is down says nothing, so nothing ends.
    proxy.server.stop()?;
    wait::while_quiet(Duration::from_secs(3), || {
        let found = proxy.found()?;
        Ok((found != [wanted.clone()]).then(|| format!("{found:?} while nobody answers")))
    })?;
    proxy.server.start_again()?;
    proxy.expect("a restart", &[])
}

#[test]
fn a_certificate_that_has_ended_is_told_until_a_renewed_one_is_in_force() -> anyhow::Result<()> {
    let mut proxy = Proxy::start()?;
    proxy.expect("the certificate is valid", &[])?;
    let file = proxy.server.certificate().display().to_string().replace('/', "~1");
    let staged = format!(
        "edited-not-reloaded {file} {} {}",
        "{\"set\":[{\"text\":\"certificate\"}]}",
        text("not loaded")
    );
    proxy.server.certify(-1)?;
    proxy.expect("a certificate that is not in force yet", &[&staged])?;
    proxy.server.command(&["tls.reload"])?;
    let ended =
        format!("voice-proxy-certificate certificate {} {}", text("valid"), text("expired"));
    proxy.expect("a certificate that has ended", &[&ended])?;

    // Renewed on disk is not renewed for callers.
    proxy.server.certify(90)?;
    proxy.expect("a renewed certificate nobody has loaded", &[&staged, &ended])?;
    proxy.server.command(&["tls.reload"])?;
    proxy.expect("the renewed certificate in force", &[])
}

fn n(number: i64) -> String {
    format!("{{\"integer\":{number}}}")
}

fn text(text: &str) -> String {
    format!("{{\"text\":{text:?}}}")
}
