//! A change in a template or a define is one change, and says how far it goes.

use std::path::Path;

use driftline_tests::fleet::Fleet;
use driftline_tests::http;
use driftline_tests::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::HOST;

/// Two templates, one of the other, and who takes from them: one says the codecs itself.
const ENDPOINTS: &str = "[desk](!)\ntype=endpoint\nallow=!all,ulaw,alaw\nrtp_timeout=30\n\
    [hall](!,desk)\nmedia_encryption=sdes\n[alice](desk)\n[bob](desk)\nrtp_timeout=60\n\
    [door](hall)\n[gate](hall)\n";

const PROXY: &str = "#!KAMAILIO\ninclude_file \"defines.cfg\"\n\
    modparam(\"dispatcher\", \"ds_ping_from\", \"sip:DOMAIN\")\nalias=\"DOMAIN\"\n\
    request_route { if (uri == \"sip:DOMAIN\") { drop; } }\n";

/// What a change must say of its reach: the words of its key, the places, and their names.
const PROMISED: &[(&str, &str, &str, u64, &[&str])] = &[
    ("etc/asterisk/pjsip.conf", "rtp_timeout=30", "rtp_timeout=45", 3, &["alice", "door", "gate"]),
    ("etc/asterisk/pjsip.conf", "ulaw,alaw", "alaw,ulaw", 4, &["alice", "bob", "door", "gate"]),
    ("etc/kamailio/defines.cfg", "one.example", "two.example", 3, &["ds_ping_from", "alias"]),
];

/// The changes of this host that say what they reach, newest first.
fn reaching(fleet: &Fleet) -> anyhow::Result<Vec<Value>> {
    let ids = fleet.changes(HOST, 100)?.into_iter().map(|row| row["id"].clone());
    let ask = |id: Value| http::get_ok(fleet.address(), &format!("/api/v1/changes/{id}"))?.json();
    let all = ids.map(ask).collect::<anyhow::Result<Vec<Value>>>()?;
    Ok(all.into_iter().filter(|change| change.get("reach").is_some()).collect())
}

fn write(root: &Path, file: &str, text: &str) -> anyhow::Result<()> {
    let file = root.join(file);
    std::fs::create_dir_all(file.parent().unwrap_or(root))?;
    Ok(std::fs::write(file, text)?)
}

#[test]
fn a_change_in_a_template_or_define_says_where_it_is_felt() -> anyhow::Result<()> {
    let mut fleet = Fleet::start()?;
    let root = fleet.folder().join("root");
    write(&root, "etc/asterisk/pjsip.conf", ENDPOINTS)?;
    write(&root, "etc/kamailio/kamailio.cfg", PROXY)?;
    write(&root, "etc/kamailio/defines.cfg", "#!define DOMAIN \"one.example\"\n")?;
    write(&root, "etc/last.conf", "first = marker-first\n")?;
    fleet.add_agent(HOST, &root, &["/etc/**"])?;
    fleet.wait_for(HOST, "marker-first")?;
    for (number, (file, old, new, places, names)) in PROMISED.iter().enumerate() {
        let text = std::fs::read_to_string(root.join(file))?;
        write(&root, file, &text.replace(old, new))?;
        let change = wait::until("a change that says its reach", PATIENCE, || {
            let all = reaching(&fleet)?;
            Ok(if all.len() > number { all.into_iter().next() } else { None })
        })?;
        let reach = &change["reach"];
        assert_eq!(reach["places"], json!(places), "{change}");
        assert_eq!(reach["whole"], json!(true), "{change}");
        let first = reach["first"].to_string();
        for name in *names {
            assert!(first.contains(name), "{name} is missing in {first}");
        }
        let page = fleet.page(&format!("/changes/{}", change["id"]))?;
        assert!(page.contains(&format!("Felt in {places} places")), "{page}");
    }
    Ok(())
}
