//! What is told of a packet filter, compared with `nft`, and the row of the shared check.

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
        malformed: Broken {
            path: "/etc/nftables.conf",
            content: "table ip t {\n",
            part: "/etc/nftables.conf",
        },
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

/// In a namespace of its own, so that the machine's filter stays as it is.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask nft itself")]
fn a_refusal_is_a_reason_and_an_answer_is_what_nft_lists() {
    let listed = std::process::Command::new("nft").args(["-a", "list", "chains"]).output();
    match netlink::ask(Question::Chains) {
        Err(reason) => {
            assert!(matches!(reason, Reason::Denied | Reason::Unsupported), "{reason}");
        }
        Ok(messages) => {
            let Ok(listed) = listed else { return };
            let hooks = String::from_utf8_lossy(&listed.stdout).matches("hook ").count();
            assert_eq!(chains::items(&messages).len(), hooks);
        }
    }
}
