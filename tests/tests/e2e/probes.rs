//! What a host depends on, asked for real: Kamailio, sipp and a name server of Debian.

use std::collections::BTreeMap;

use driftline_tests::dnsmasq::Dnsmasq;
use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::kamailio::Kamailio;
use driftline_tests::programs::{self, AgentSettings};
use driftline_tests::sipp::{Answers, Over, Sipp};
use driftline_tests::wait::{self, PATIENCE};
use serde_json::Value;

use super::{HOST, small_tree};

/// A host that probes, every five seconds.
struct Prober {
    fleet: Fleet,
}

/// What is asked: a hop of its own, the kind, and where.
type Target<'a> = (&'a str, &'a str, String);

impl Prober {
    fn start(mut fleet: Fleet, more: &str, targets: &[Target<'_>]) -> anyhow::Result<Self> {
        let root = small_tree(fleet.folder())?;
        let targets: Vec<String> = targets
            .iter()
            .map(|(hop, kind, address)| {
                format!(
                    "{{ service = \"voice\", hop = \"{hop}\", kind = \"{kind}\", \
                     address = \"{address}\" }}"
                )
            })
            .collect();
        fleet.add_agent_with(AgentSettings {
            root,
            include: vec!["/etc/**".to_owned()],
            spool_bytes: 64 * 1024 * 1024,
            host: HOST.to_owned(),
            kamailio: None,
            probes: format!("every_seconds = 5\n{more}\ntargets = [{}]\n", targets.join(", ")),
        })?;
        Ok(Self { fleet })
    }

    /// The items of each hop that was asked, as `key` and value.
    fn hops(&self) -> anyhow::Result<BTreeMap<String, BTreeMap<String, Value>>> {
        let page = http::get_ok(self.fleet.address(), &programs::snapshot(HOST))?.json()?;
        let mut hops = BTreeMap::new();
        collect(&page, &mut hops);
        Ok(hops)
    }

    /// Waits until `hop` says this of `key`, and gives all it says.
    fn expect(
        &mut self,
        hop: &str,
        key: &str,
        wanted: &Value,
    ) -> anyhow::Result<BTreeMap<String, Value>> {
        let mut last = BTreeMap::new();
        let done = wait::until(&format!("{hop} says {key} {wanted}"), PATIENCE, || {
            self.fleet.check_alive()?;
            last = self.hops()?;
            let found = last.get(hop).filter(|items| items.get(key) == Some(wanted));
            Ok(found.cloned())
        });
        done.map_err(|error| error.context(format!("known is {last:#?}")))
    }

    /// The rules about hops that are broken now.
    fn broken(&self) -> anyhow::Result<Vec<String>> {
        let page = format!("/api/v1/findings?host={HOST}&open=true");
        let answer = http::get_ok(self.fleet.address(), &page)?.json()?;
        let findings = answer["findings"].as_array().cloned().unwrap_or_default();
        let mut broken: Vec<String> = findings
            .iter()
            .map(|finding| {
                let text = |name: &str| finding["id"][name].as_str().unwrap_or("-").to_owned();
                let part = text("part");
                format!("{} {}", text("rule"), part.split('/').nth(1).unwrap_or(&part))
            })
            .filter(|row| row.starts_with("voice-hop"))
            .collect();
        broken.sort();
        Ok(broken)
    }

    fn expect_broken(&mut self, wanted: &[&str]) -> anyhow::Result<()> {
        let mut last = Vec::new();
        let done = wait::until("these rules are broken", PATIENCE, || {
            last = self.broken()?;
            Ok((last == wanted).then_some(()))
        });
        done.map_err(|error| error.context(format!("broken are {last:?}, not {wanted:?}")))
    }
}

/// Each part `voice/HOP/…` below `value`, by its hop.
fn collect(value: &Value, hops: &mut BTreeMap<String, BTreeMap<String, Value>>) {
    for (name, below) in value.as_object().into_iter().flatten() {
        if let Some(hop) = name.strip_prefix("voice/").and_then(|rest| rest.split('/').next()) {
            let items = items(below).into_iter().flatten();
            let plain = |value: &Value| {
                let value = value.get("value").unwrap_or(value);
                let only = value.as_object().and_then(|object| object.values().next());
                only.unwrap_or(value).clone()
            };
            let items = items.map(|(key, value)| (key.clone(), plain(value))).collect();
            hops.insert(hop.to_owned(), items);
        } else {
            collect(below, hops);
        }
    }
    for each in value.as_array().into_iter().flatten() {
        collect(each, hops);
    }
}

/// The first table of items below `value`.
fn items(value: &Value) -> Option<&serde_json::Map<String, Value>> {
    let object = value.as_object()?;
    match object.get("items") {
        Some(items) => items.as_object(),
        None => object.values().find_map(items),
    }
}

fn number(items: &BTreeMap<String, Value>, key: &str) -> i64 {
    items.get(key).and_then(Value::as_i64).unwrap_or(-1)
}

fn voice() -> anyhow::Result<Fleet> {
    Fleet::start_with("[rules]\npacks = [\"voice\"]\n")
}

#[test]
fn options_tell_code_loss_and_round_trip() -> anyhow::Result<()> {
    let fleet = voice()?;
    let run = fleet.folder().join("run");
    let proxy = Kamailio::start(&fleet.folder().join("kamailio"), &run, "")?;
    let sipp = |over, answers| Sipp::start(&run, over, answers);
    let busy = sipp(Over::Udp, Answers::With(503, "Busy"))?;
    let stream = sipp(Over::Tcp, Answers::With(404, "Nobody"))?;
    let late = sipp(Over::Udp, Answers::Late(300))?;
    let too_late = sipp(Over::Udp, Answers::Late(1_600))?;
    let lossy = sipp(Over::Udp, Answers::AllBut(3))?;
    let targets = [
        ("proxy-udp", "sip_udp", proxy.address.to_string()),
        ("proxy-tcp", "sip_tcp", proxy.address.to_string()),
        ("proxy-tls", "sip_tls", proxy.tls.to_string()),
        ("busy", "sip_udp", busy.address.to_string()),
        ("stream", "sip_tcp", stream.address.to_string()),
        ("late", "sip_udp", late.address.to_string()),
        ("too-late", "sip_udp", too_late.address.to_string()),
        ("lossy", "sip_udp", lossy.address.to_string()),
    ];
    let mut prober = Prober::start(fleet, "", &targets)?;
    for (hop, code) in [
        ("proxy-udp", 200),
        ("proxy-tcp", 200),
        ("proxy-tls", 200),
        ("busy", 503),
        ("stream", 404),
        ("late", 200),
        ("lossy", 200),
    ] {
        let items = prober.expect(hop, "code", &code.into())?;
        assert_eq!(items["answer"], "answered", "{hop}: {items:?}");
        let lost = if hop == "lossy" { 33 } else { 0 };
        assert_eq!(number(&items, "@now/loss_percent"), lost, "{hop}: {items:?}");
        let took = number(&items, "@now/round_trip_us");
        let within = if hop == "late" { 300_000..600_000 } else { 1..300_000 };
        assert!(within.contains(&took), "{hop} took {took} us");
    }
    let items = prober.expect("too-late", "answer", &"silent".into())?;
    assert_eq!(number(&items, "@now/loss_percent"), 100, "{items:?}");
    assert!(!items.contains_key("code"), "{items:?}");
    prober.expect_broken(&["voice-hop-answers too-late"])?;

    prober.expect("proxy-tls", "certificate", &"valid".into())?;
    proxy.certify(-1)?;
    proxy.command(&["tls.reload"])?;
    prober.expect_broken(&["voice-hop-answers too-late", "voice-hop-certificate proxy-tls"])?;
    proxy.certify(90)?;
    proxy.command(&["tls.reload"])?;
    prober.expect_broken(&["voice-hop-answers too-late"])
}

#[test]
fn the_servers_of_a_domain_are_those_that_dns_names() -> anyhow::Result<()> {
    let fleet = voice()?;
    let run = fleet.folder().join("run");
    std::fs::create_dir_all(&run)?;
    let first = Sipp::start(&run, Over::Udp, Answers::With(200, "OK"))?;
    let second = Sipp::start(&run, Over::Udp, Answers::With(404, "Nobody"))?;
    let (one, two) = (first.address.port(), second.address.port());
    let service = |port: u16, priority: u16| {
        format!("srv-host=_calls._udp.example.test,localhost,{port},{priority},10")
    };
    let rule = |order: u16, flags: &str, service: &str, name: &str| {
        format!("naptr-record=example.test,{order},50,{flags},{service},,{name}")
    };
    // The rule that counts is not the first: that one is for another way of asking.
    let rules = [
        rule(10, "s", "SIPS+D2T", "_sips._tcp.example.test"),
        rule(20, "s", "SIP+D2U", "_calls._udp.example.test"),
    ];
    let known = |services: &[String]| [rules.as_slice(), services].concat();
    let mut names = Dnsmasq::start(&run, &known(&[service(two, 20), service(one, 10)]))?;
    let server = format!("name_server = \"{}\"", names.address);
    let targets = [
        ("domain", "sip_udp", "example.test".to_owned()),
        ("services", "dns_srv", "_calls._udp.example.test".to_owned()),
        ("rules", "dns_naptr", "example.test".to_owned()),
        ("nothing", "dns_srv", "_sip._udp.elsewhere.test".to_owned()),
    ];
    let mut prober = Prober::start(fleet, &server, &targets)?;
    let (one, two) = (format!("localhost:{one}"), format!("localhost:{two}"));
    let items = prober.expect("domain", "reached", &one.clone().into())?;
    assert_eq!(items["servers"].to_string(), list(&[&one, &two]));
    assert_eq!(items["code"], 200);
    let items = prober.expect("rules", "answer", &"answered".into())?;
    assert!(items["records"].to_string().contains("SIP+D2U"), "{items:?}");
    let items = prober.expect("services", "answer", &"answered".into())?;
    assert!(items["records"].to_string().contains("10 10 "), "{items:?}");
    prober.expect("nothing", "answer", &"name_unknown".into())?;
    prober.expect_broken(&["voice-hop-answers nothing"])?;

    // The first server is gone, and the next in DNS is asked.
    let gone = first.address.port();
    drop(first);
    let items = prober.expect("domain", "reached", &two.clone().into())?;
    assert_eq!(items["code"], 404, "{items:?}");

    names.knows(&known(&[service(second.address.port(), 5), service(gone, 30)]))?;
    let items = prober.expect("domain", "servers", &serde_json::from_str(&list(&[&two, &one]))?)?;
    assert_eq!(items["reached"], Value::from(two));
    drop(names);
    prober.expect_broken(&[
        "voice-hop-answers domain",
        "voice-hop-answers nothing",
        "voice-hop-answers rules",
        "voice-hop-answers services",
    ])
}

/// A list of texts as the API has it.
fn list(texts: &[&String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| format!("{{\"text\":{text:?}}}")).collect();
    format!("[{}]", texts.join(","))
}
