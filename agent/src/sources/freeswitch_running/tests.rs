//! An event socket that follows a transcript of ours, and one that misbehaves.

use super::*;
use crate::sources::running::scripted::{Fault, Heard, Transcript, read};

const fn transcript(struck: &'static str) -> Transcript {
    Transcript { hello: "Content-Type: auth/request\n\n", answers, struck }
}

fn answers(request: &str) -> String {
    let body = |body: &str| {
        format!("Content-Type: api/response\nContent-Length: {}\n\n{body}", body.len())
    };
    match request.trim_end() {
        "auth right" => "Content-Type: command/reply\nReply-Text: +OK accepted\n\n".into(),
        "api version short" => body("1.10.11\n"),
        "api uptime s" => body("3600\n"),
        "api show modules as json" => body(
            "{\"row_count\": 2, \"rows\": [{\"ikey\": \"mod_sofia\"},\
             {\"ikey\": \"mod_dptools\"}]}",
        ),
        "api sofia xmlstatus" => body(
            "<?xml version=\"1.0\"?>\n<profiles>\n<profile><name>internal</name>\
             <type>profile</type>\
             <data>sip:mod_sofia@192.0.2.1:5060</data><state>RUNNING (3)</state></profile>\n\
             <alias><name>192.0.2.1</name><type>alias</type></alias>\n</profiles>\n",
        ),
        "api sofia xmlstatus gateway" => body(
            "<?xml version=\"1.0\"?>\n<gateways>\n<gateway><name>carrier</name>\
             <state>FAIL_WAIT</state><status>DOWN</status>\
             <password>canary-Fs2</password></gateway>\n\
             <gateway><name>second</name><state>TRYING</state><status>UP</status></gateway>\n\
             </gateways>\n",
        ),
        "api global_getvar" => body(
            "core_uuid=0d1c\nconf_dir=/etc/freeswitch\ndefault_password=canary-Fs3\n\
             global_codec_prefs=PCMA\n",
        ),
        "api callcenter_config queue list" => body(
            "name|strategy|max_wait_time|calls_answered\n\
             sales@default|longest-idle-agent|60|91\n+OK\n",
        ),
        other if other.starts_with("auth ") => {
            "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n".into()
        }
        _ => body("-ERR nothing Command not found!\n"),
    }
}

fn run(struck: &'static str, fault: Fault, secret: &str) -> (Result<(), Reason>, Heard) {
    read(transcript(struck), fault, secret, |login| {
        Box::new(FreeSwitchRunning::new(login, Duration::from_secs(30)))
    })
}

#[test]
fn an_answer_becomes_items_that_hold_still() {
    let (result, heard) = run("-", Fault::None, "right");
    assert_eq!(result, Ok(()));
    assert_eq!(heard.shown("profiles"), ["internal Text(\"running\")"]);
    // The second registers at this moment, and nobody knows what it was before.
    assert_eq!(heard.shown("gateways"), ["changing"]);
    assert_eq!(
        heard.shown("queues"),
        [
            "sales@default Nothing",
            "sales@default/max_wait_time Integer(60)",
            "sales@default/strategy Text(\"longest-idle-agent\")",
        ]
    );
    let variables = heard.shown("variables");
    assert_eq!(variables[0], "@now/file Text(\"/etc/freeswitch/vars.xml\")");
    assert!(variables.contains(&"X-PRE-PROCESS/set/global_codec_prefs Text(\"PCMA\")".to_owned()));
    let all: String =
        ["process", "gateways", "variables"].map(|p| heard.shown(p).join("\n")).join("\n");
    assert!(!all.contains("canary") && !all.contains("core_uuid"), "{all}");
    assert!(all.contains("mod_sofia") && all.contains("@now/started"), "{all}");
}

#[test]
fn a_gateway_that_registers_anew_keeps_its_state() {
    let address = "127.0.0.1:8021".parse().unwrap();
    let login = Login { address, user: String::new(), secret_file: "/none".into() };
    let mut source = FreeSwitchRunning::new(&login, Duration::from_secs(30));
    let mut state = |state: &str| {
        let xml = format!("<g><gateway><name>a</name><state>{state}</state></gateway></g>");
        let items = source.gateways(&xml)?;
        Ok(items.values().next().map(|item| item.value.clone()))
    };
    let registered = Ok(Some(ItemValue::text("reged")));
    for _ in 0..4 {
        assert_eq!(state("TRYING"), Err(Reason::Changing), "what it was before is not known");
    }
    assert_eq!(state("TRYING"), Ok(Some(ItemValue::text("trying"))), "it never ends");
    assert_eq!(state("REGED"), registered);
    assert_eq!(state("TRYING"), registered);
    assert_eq!(state("FAILED"), Ok(Some(ItemValue::text("failed"))));
}

#[test]
fn a_wrong_password_is_denied_and_a_dumb_server_waited_for_no_longer_than_patience() {
    let (result, heard) = run("-", Fault::None, "wrong");
    assert_eq!((result, heard.parts.len()), (Err(Reason::Denied), 0));
    let (result, heard) = run("-", Fault::Dumb, "right");
    assert_eq!((result, heard.parts.len()), (Err(Reason::TimedOut), 0));
}

#[test]
fn a_fault_in_one_answer_leaves_what_follows_unobserved() {
    for (fault, reason) in
        [(Fault::Stalls, "timed_out"), (Fault::Trickles, "timed_out"), (Fault::HangsUp, "failed")]
    {
        let (result, heard) = run("xmlstatus gateway", fault, "right");
        assert_eq!(result, Ok(()), "{fault:?}");
        assert_eq!(heard.shown("profiles").len(), 1, "{fault:?}");
        for part in ["gateways", "variables", "queues"] {
            let shown = heard.shown(part);
            assert!(shown == [reason] || (part != "gateways" && shown.len() == 1), "{shown:?}");
        }
    }
}

#[test]
fn an_answer_that_says_it_has_64_megabytes_is_not_taken() {
    let transcript = Transcript {
        hello: "Content-Type: auth/request\n\n",
        answers: |request| match request.contains("xmlstatus gateway") {
            true => "Content-Type: api/response\nContent-Length: 67108864\n\n<gateways>".into(),
            false => answers(request),
        },
        struck: "xmlstatus gateway",
    };
    let (_, heard) = read(transcript, Fault::Floods, "right", |login| {
        Box::new(FreeSwitchRunning::new(login, Duration::from_secs(30)))
    });
    assert_eq!(heard.shown("gateways"), ["too_large"]);
    assert_eq!(heard.shown("profiles").len(), 1);
}
