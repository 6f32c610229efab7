//! What is told of a packet filter, compared with `nft`, and the row of the shared check.

use driftline_protocol::item::ItemValue;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Firewall::new()),
        recast: || Box::new(Firewall { version: VERSION + 1, ..Firewall::new() }),
        tree: vec![
            ("/etc/nftables.conf", 0o755, "table ip t {\n chain c {\n policy drop;\n }\n}\n"),
            ("/etc/iptables/rules.v4", 0o640, "*filter\n:INPUT DROP [1:2]\nCOMMIT\n"),
            ("/etc/ufw/ufw.conf", 0o644, "ENABLED=yes\nAPI_TOKEN=canary-5ee1\n"),
            ("/etc/ufw/user.rules", 0o640, "*filter\n-A ufw-user-input -j DROP\nCOMMIT\n"),
            ("/etc/firewalld/zones/public.xml", 0o644, "<zone><service name=\"ssh\"/></zone>"),
        ],
        malformed: Some(Broken {
            path: "/etc/nftables.conf",
            content: "table ip t {\n",
            part: "/etc/nftables.conf",
        }),
        denied: Denied { path: "/etc/firewalld/zones", part: "/etc/firewalld/zones/public.xml" },
        edit: ("/etc/firewalld/zones/public.xml", "<zone target=\"DROP\"/>"),
        canary: Some("canary-5ee1"),
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len() + 4).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

#[test]
fn a_base_chain_is_told_with_its_hook_and_policy() {
    let hook = [attribute(1, &1_u32.to_be_bytes()), attribute(2, &(-150_i32).to_be_bytes())];
    let named = [vec![1, 0, 0, 0], attribute(1, b"filter\0"), attribute(3, b"input\0")].concat();
    let base = [named.clone(), attribute(4, &hook.concat()), attribute(5, &0_u32.to_be_bytes())];
    let items = chains::items(&[base.concat(), named, vec![]]);
    let shown: Vec<_> = items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect();
    assert_eq!(shown, ["inet filter/input Text(\"hook input priority -150 policy drop\")"]);
}

/// Set where this test program runs again, alone in a network namespace.
const INSIDE: &str = "DRIFTLINE_TEST_IN_NAMESPACE";

const RULESET: &str = "
table inet site {
  set banned { type ipv4_addr; elements = { 203.0.113.7 } }
  chain voice { tcp dport 5061 accept; udp dport { 5060, 5062 } counter accept; }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname \"lo\" accept
    iifname \"veth12ab\" accept
    ip saddr 192.0.2.7 tcp dport 22 accept
    ip saddr @banned drop
    jump voice
    limit rate 10/second log prefix \"drop \" counter drop
  }
  chain DOCKER-USER { accept; }
  chain forward { type filter hook forward priority 0; jump DOCKER-USER; meta l4proto icmp return; }
}
table ip nat {
  chain post { type nat hook postrouting priority 100; oifname \"eth0\" masquerade; }
}
";

/// Runs `test` of this program again, in a namespace of its own with the rules of [`RULESET`], so
/// that the machine's filter stays as it is.
#[allow(clippy::disallowed_types, reason = "a test may start itself in a namespace")]
fn inside(test: &str) -> Option<std::process::Output> {
    let mut folder = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut folder, RULESET.as_bytes()).unwrap();
    let script =
        "command -v nft >/dev/null || exit 77; nft -f \"$1\" && exec \"$2\" --exact \"$3\"";
    let ended = std::process::Command::new("unshare")
        .args(["-n", "sh", "-c", script, "sh"])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(INSIDE, "1")
        .output()
        .ok()?;
    // Not root, or no nft: then nobody can compare.
    let refused = ended.status.code() == Some(77)
        || String::from_utf8_lossy(&ended.stderr).contains("unshare failed");
    (!refused).then_some(ended)
}

#[test]
fn running_rules_are_those_that_nft_lists() {
    if std::env::var_os(INSIDE).is_some() {
        return compare_with_nft();
    }
    let name = "sources::firewall::tests::running_rules_are_those_that_nft_lists";
    let Some(ended) = inside(name) else { return };
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(ended.status.success() && said.contains("1 passed"), "{said}");
}

#[allow(clippy::disallowed_types, reason = "a test may ask nft itself")]
fn compare_with_nft() {
    let listed = std::process::Command::new("nft").args(["-j", "list", "ruleset"]).output();
    let listed: serde_json::Value = serde_json::from_slice(&listed.unwrap().stdout).unwrap();
    let of = |kind: &str| -> Vec<serde_json::Value> {
        let all = listed["nftables"].as_array().unwrap().iter();
        all.filter_map(|entry| entry.get(kind).cloned()).collect()
    };
    let hooked = of("chain").iter().filter(|chain| chain.get("hook").is_some()).count();
    assert_eq!(chains::items(&netlink::ask(Question::Chains).unwrap()).len(), hooked);
    let mut expected: std::collections::BTreeMap<String, Vec<String>> = Default::default();
    for rule in of("rule") {
        let text = |name: &str| rule[name].as_str().unwrap().to_owned();
        let steps = rule["expr"].to_string();
        // What programs keep for themselves is told by nft and not by us.
        if !text("chain").starts_with("DOCKER")
            && !steps.contains("DOCKER")
            && !steps.contains("veth")
        {
            let place = format!("{} {}/{}/rules", text("family"), text("table"), text("chain"));
            let last = rule["expr"].as_array().unwrap().last().unwrap().as_object().unwrap();
            let (word, more) = last.iter().next().unwrap();
            let word = if word == "masquerade" { "masq" } else { word };
            let target = more["target"].as_str().map(|to| format!(" {to}")).unwrap_or_default();
            expected.entry(place).or_default().push(format!("{word}{target}"));
        }
    }
    let told = rules::items(&netlink::ask(Question::Rules).unwrap());
    let told: std::collections::BTreeMap<String, Vec<String>> = told
        .iter()
        .map(|(key, item)| {
            let ItemValue::List(rules) = &item.value else { panic!("{key}") };
            let text = |rule: &ItemValue| {
                let ItemValue::Text(text) = rule else { panic!("{rule:?}") };
                text.clone()
            };
            (key.to_string(), rules.iter().map(text).collect())
        })
        .collect();
    let last = |rules: &Vec<String>| -> Vec<String> {
        rules.iter().map(|rule| rule.rsplit(", ").next().unwrap().to_owned()).collect()
    };
    let verdicts: std::collections::BTreeMap<_, _> =
        told.iter().map(|(key, rules)| (key.clone(), last(rules))).collect();
    assert_eq!(verdicts, expected);
    let input = told["inet site/input/rules"].join("\n");
    for step in ["\"lo\"", "192.0.2.7", "== 22", "in @banned", "jump voice", "counter, drop"] {
        assert!(input.contains(step), "{step} is not in {input}");
    }
}

#[test]
fn a_refusal_of_the_kernel_is_a_reason() {
    for question in [Question::Chains, Question::Rules] {
        if let Err(reason) = netlink::ask(question) {
            assert!(matches!(reason, Reason::Denied | Reason::Unsupported), "{reason}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_rules_or_none(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
    ) {
        rules::items(std::slice::from_ref(&bytes));
        chains::items(&[bytes]);
    }
}
