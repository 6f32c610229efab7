//! What is told of a person's client, and the row of the shared check.

use driftline_protocol::snapshot::Part;

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
    let linphone = SETTINGS.iter().find(|settings| settings.client == "linphone").unwrap();
    let items = told((ini::FORMAT.read)(LINPHONERC.as_bytes()).unwrap(), linphone);
    let shown: Vec<_> = items.keys().map(|key| key.as_str().to_owned()).collect();
    assert_eq!(shown, ["proxy_0/reg_proxy", "sip/media_encryption", "sip/sip_tcp_port"]);
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
