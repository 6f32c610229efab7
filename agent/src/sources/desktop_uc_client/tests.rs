//! What is told of a person's client, and the row of the shared check.

mod by_clients;

#[cfg(debug_assertions)]
use driftline_protocol::item::key_bytes;
use driftline_protocol::snapshot::Part;
use proptest::prelude::*;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};

const PASSWD_FILE: &str = "\
root:x:0:0::/root:/bin/sh
alice:x:1000:1000::/home/alice:/bin/bash
nobody:x:65534:65534::/nonexistent:/bin/false
";

const LINPHONERC: &str = "\
[sip]
sip_tcp_port=5060
media_encryption=srtp
contact=\"Alice\" <sip:alice@example.org>
[proxy_0]
reg_proxy=<sip:sip.example.org;transport=tls>
reg_identity=sip:alice@example.org
[auth_info_0]
username=alice
passwd=canary-4c4c
[sound]
playback_dev_id=PulseAudio: headset
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(DesktopUcClient::new()),
        recast: || Box::new(DesktopUcClient { version: VERSION + 1, ..DesktopUcClient::new() }),
        tree: vec![
            ("/etc/passwd", 0o644, PASSWD_FILE),
            ("/etc/teams-for-linux/config.json", 0o644, "{\"proxyServer\": \"p:3128\"}"),
            ("/snap/zoom-client/current", 0o777, "-> 225"),
            ("/home/alice/.config/linphone/linphonerc", 0o600, LINPHONERC),
            ("/home/alice/.config/zoomus.conf", 0o600, "[General]\nxwayland=true\nwindow=1\n"),
            ("/home/alice/snap/zoom-client/current", 0o777, "-> 225"),
            (
                "/home/alice/snap/zoom-client/225/.config/zoomus.conf",
                0o600,
                "[General]\nsso_domain=.example.org\n",
            ),
            (
                "/home/alice/.var/app/com.github.IsmaelMartinez.teams_for_linux/config/\
                    teams-for-linux/config.json",
                0o600,
                "{\"url\": \"https://teams.example.org\", \"appTitle\": \"x\"}",
            ),
        ],
        malformed: Some(Broken {
            path: "/etc/teams-for-linux/config.json",
            content: "{",
            part: "teams_for_linux",
        }),
        denied: Denied { path: "/home/alice/.config/zoomus.conf", part: "zoom/alice" },
        edit: ("/home/alice/.config/zoomus.conf", "[General]\nxwayland=false\n"),
        canary: Some("canary-4c4c"),
    }
}

#[test]
fn of_a_persons_settings_only_the_way_of_a_call_is_told() {
    let items = linphone::read(LINPHONERC.as_bytes(), linphone::tells).unwrap();
    let shown: Vec<_> = items.keys().map(|key| key.as_str().to_owned()).collect();
    assert_eq!(shown, ["proxy_0/reg_proxy", "sip/media_encryption", "sip/sip_tcp_port"]);
}

#[test]
fn a_client_that_came_as_a_snap_or_flatpak_has_its_own_settings() {
    let tree: Vec<_> = fixture().tree;
    let parts = Planted::new(&tree).parts(&mut DesktopUcClient::new());
    let names: Vec<String> = parts.keys().map(ToString::to_string).collect();
    let of_alice: Vec<_> = names.iter().filter(|name| name.contains("alice")).collect();
    let expected =
        ["linphone/alice", "teams_for_linux/alice/flatpak", "zoom/alice", "zoom/alice/snap"];
    assert_eq!(of_alice, expected);
}

#[test]
fn what_linphone_would_read_as_several_lines_is_too_large() {
    let long = |length: usize| {
        let text = format!("[sip]\nx={}", "v".repeat(length));
        linphone::read(text.as_bytes(), |_, _| true).map(|items| items.len())
    };
    assert!(matches!(long(16_381), Ok(1)));
    assert!(matches!(long(16_382), Err(FormatError::TooLarge)));
}

#[test]
fn more_than_a_part_may_have_is_too_large() {
    let tells = |_: &str, _: &str| true;
    let many = |most: usize| (0..most).map(|n| format!("x{n}=1\n")).collect::<String>();
    let values = |most: usize| format!("x={}", ",".repeat(most - 1));
    let qt = |text: String| qsettings::read(format!("[sip]\n{text}").as_bytes(), tells).is_ok();
    let linphone =
        |text: String| linphone::read(format!("[sip]\n{text}").as_bytes(), tells).is_ok();
    // Some are kept free for attributes of the file.
    let (items, list) = (limits::ITEMS_PER_PART, limits::VALUES_PER_ITEM);
    assert!(qt(many(items - 100)) && linphone(many(items - 100)) && qt(values(list)));
    assert!(!qt(many(items + 1)) && !linphone(many(items + 1)) && !qt(values(list + 1)));
}

/// Work is counted in bytes of keys, not in time.
#[test]
#[cfg(debug_assertions)]
fn a_long_name_above_many_settings_is_no_work() {
    let settings: String = (0..2_000).map(|number| format!("sip_tcp_port{number}=1\n")).collect();
    for (name, readable) in [("s", true), (&"s".repeat(16_000), false)] {
        let text = format!("[{name}]\n{settings}");
        let before = key_bytes();
        for read in [
            linphone::read(text.as_bytes(), |_, _| true),
            qsettings::read(text.as_bytes(), |_, _| true),
        ] {
            assert_eq!(read.is_ok(), readable, "below a name of {} bytes", name.len());
        }
        let work = key_bytes() - before;
        assert!(work < 100 * text.len() as u64, "{work} bytes of keys of {}", text.len());
    }
}

proptest! {
    #[test]
    fn any_bytes_give_settings_that_are_wanted(
        bytes: Vec<u8>,
        text in "[\\[\\]=;#\"\\\\%,\n\rxU2@ ]{0,80}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let tells = |_: &str, name: &str| name == "x";
            let linphone = linphone::read(bytes, tells).unwrap_or_default();
            let qt = qsettings::read(bytes, tells).unwrap_or_default();
            for items in [qt, linphone] {
                prop_assert!(items.keys().all(|key| key.segments().last().unwrap() == "x"));
            }
        }
    }
}

#[test]
fn no_link_out_of_a_home_is_told_as_its_owners() {
    let planted = Planted::new(&[
        ("/etc/passwd", 0o644, PASSWD_FILE),
        ("/root/zoom.conf", 0o600, "[General]\nconf.webserver=https://only.root\n"),
        ("/home/alice/.config/zoomus.conf", 0o777, "-> /root/zoom.conf"),
        ("/home/alice/.config/linphone", 0o777, "-> kept"),
        ("/home/alice/.config/kept/linphonerc", 0o600, LINPHONERC),
    ]);
    let parts = planted.parts(&mut DesktopUcClient::new());
    let at = |name: &str| &parts[&PartName::from_bytes(name.as_bytes())];
    assert!(matches!(at("zoom/alice"), Part::Unobserved(Reason::Unsupported)), "{parts:?}");
    assert!(
        matches!(at("linphone/alice"), Part::Observed(_)),
        "a link within the home is followed"
    );
}
