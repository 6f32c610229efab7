//! The rules about voice fire over files as people write them, read as an agent reads them.

use std::collections::BTreeSet;

use driftline_agent::content;
use driftline_collector::analysis::drift::{Desired, PartView};
use driftline_collector::analysis::rules::judge::judge;
use driftline_collector::analysis::rules::{About, RuleSet, shipped};
use driftline_protocol::redact::{RawPart, Redactor};
use driftline_protocol::snapshot::Domain;
use jiff::Timestamp;

/// A file, what is wrong with it, and the same without that.
const FILES: &[(&str, &str, &[&str], &str)] = &[
    (
        "/etc/asterisk/pjsip.conf",
        "[tls]\ntype=transport\nmethod=tlsv1\nverify_server=no\n\
         [desk](!)\ntype=endpoint\nallow=all\ntos_audio=0\ncos_audio=0\ntimers=no\n\
         [trunk](desk)\ntrust_id_inbound=yes\ndirect_media=yes\ntimers_sess_expires=60\n\
         timers_min_se=30\n[trunk]\ntype=aor\nqualify_frequency=0\n",
        &[
            "voice-codec-all",
            "voice-cos-audio",
            "voice-direct-media",
            "voice-dscp-audio",
            "voice-min-se",
            "voice-qualify",
            "voice-session-expires",
            "voice-session-timers",
            "voice-tls-method",
            "voice-tls-verify",
            "voice-trust-identity",
        ],
        "[tls]\ntype=transport\nmethod=tlsv1_2\nverify_server=yes\n\
         [desk](!)\ntype=endpoint\ndisallow=all\nallow=alaw,ulaw\ntos_audio=ef\ncos_audio=5\n\
         timers=yes\n[trunk](desk)\ntrust_id_inbound=no\ndirect_media=no\n\
         timers_sess_expires=1800\ntimers_min_se=90\n[trunk]\ntype=aor\nqualify_frequency=60\n",
    ),
    (
        "/etc/asterisk/queues.conf",
        "[sales]\nstrategy=ringal\ntimeout=2\nmember => PJSIP/alice\n",
        &["voice-queue-strategy", "voice-queue-timeout"],
        "[sales]\nstrategy=rrmemory\ntimeout=15\nmember => PJSIP/alice\n",
    ),
    (
        "/etc/asterisk/sip.conf",
        "[general]\nudpbindaddr=0.0.0.0\n",
        &["voice-sip-guests"],
        "[general]\nallowguest=no\n",
    ),
    (
        "/etc/asterisk/rtp.conf",
        "[general]\nstrictrtp=no\n",
        &["voice-strict-rtp"],
        "[general]\nstrictrtp=yes\n",
    ),
    (
        "/etc/asterisk/manager.conf",
        "[general]\nenabled=yes\nbindaddr=0.0.0.0\n",
        &["voice-manager-address"],
        "[general]\nenabled=yes\nbindaddr=127.0.0.1\n",
    ),
    (
        "/etc/asterisk/asterisk.conf",
        "[options]\nexecincludes=yes\nlive_dangerously=yes\n",
        &["voice-exec-includes", "voice-live-dangerously"],
        "[options]\nexecincludes=no\n",
    ),
    (
        "/etc/kamailio/kamailio.cfg",
        "#!KAMAILIO\nmodparam(\"tm\", \"fr_timer\", 120000)\n\
         modparam(\"dispatcher\", \"ds_ping_interval\", 0)\n",
        &["voice-dispatcher-ping", "voice-proxy-answer-time"],
        "#!KAMAILIO\nmodparam(\"tm\", \"fr_timer\", 5000)\n\
         modparam(\"dispatcher\", \"ds_ping_interval\", 30)\n",
    ),
    (
        "/etc/freeswitch/autoload_configs/event_socket.conf.xml",
        "<configuration name=\"event_socket.conf\"><settings>\
         <param name=\"listen-ip\" value=\"::\"/></settings></configuration>",
        &["voice-event-socket-address"],
        "<configuration name=\"event_socket.conf\"><settings>\
         <param name=\"listen-ip\" value=\"127.0.0.1\"/></settings></configuration>",
    ),
    (
        "/etc/freeswitch/sip_profiles/internal.xml",
        "<profile name=\"internal\"><settings><param name=\"auth-calls\" value=\"false\"/>\
         <param name=\"accept-blind-reg\" value=\"true\"/>\
         <param name=\"tls-version\" value=\"tlsv1,tlsv1.2\"/></settings></profile>",
        &["voice-profile-auth", "voice-profile-blind-registration", "voice-profile-tls"],
        "<profile name=\"internal\"><settings><param name=\"auth-calls\" value=\"true\"/>\
         <param name=\"tls-version\" value=\"tlsv1.2\"/></settings></profile>",
    ),
    (
        "/etc/turnserver.conf",
        "listening-port=3478\n",
        &["voice-relay-peers"],
        "listening-port=3478\ndenied-peer-ip=10.0.0.0-10.255.255.255\n",
    ),
    (
        "/etc/rtpengine/rtpengine.conf",
        "[rtpengine]\ntos = 0\n",
        &["voice-relay-dscp"],
        "[rtpengine]\ntos = 184\n",
    ),
];

/// The rules that `text` breaks, where it stands at `path`.
fn broken(rules: &RuleSet, path: &str, text: &str) -> BTreeSet<String> {
    let redactor = Redactor::new([7; 32]);
    let format = content::claiming(path, text.as_bytes());
    let raw = redactor.raw_digest(text.as_bytes());
    let part = redactor.redact(RawPart::Observed(content::said(format, text.as_bytes(), raw)));
    let part = part.into_inner();
    let view = PartView {
        host: &"pbx".parse().unwrap(),
        source: &"files".parse().unwrap(),
        domain: Domain::Config,
        part: &path.parse().unwrap(),
        desired: Desired::Unknown,
        current: Some(&part),
        exempt: &[],
        now: Timestamp::UNIX_EPOCH,
    };
    let judged = judge(rules, &About::default(), &view, []);
    judged.findings.iter().filter_map(|f| Some(f.id.rule.as_ref()?.to_string())).collect()
}

#[test]
fn every_rule_about_voice_fires_over_a_file_and_not_over_its_cure() {
    let (name, text) = shipped::PACKS.iter().find(|(name, _)| *name == "voice").unwrap();
    let pack = shipped::pack(name, text).unwrap();
    // What is running is asked of real servers: see `kamailio`.
    let of_files = pack.rules.iter().filter(|rule| rule.target.source.as_str() == "files");
    let all: BTreeSet<String> = of_files.map(|rule| rule.name.to_string()).collect();
    let rules = RuleSet::new(vec![pack], &[], Vec::new());
    let mut fired = BTreeSet::new();
    for (path, bad, expected, good) in FILES {
        let found = broken(&rules, path, bad);
        let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{path}: {bad}");
        assert_eq!(broken(&rules, path, good), BTreeSet::new(), "{path}: {good}");
        fired.extend(found);
    }
    assert_eq!(fired, all, "a rule about voice fires over nothing here");
}
