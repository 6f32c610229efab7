//! What is told of sound, and the row of the shared check.

mod by_pipewire;

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const PROC: &str = "\
 0 [PCH            ]: HDA-Intel - HDA Intel PCH
                      HDA Intel PCH at 0xf7e30000 irq 31
 1 [Headset        ]: USB-Audio - Jabra Evolve
                      GN Netcom at usb-0000:00:14.0-2, full speed
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Audio::new()),
        recast: || Box::new(Audio { version: VERSION + 1, ..Audio::new() }),
        tree: vec![
            ("/proc/asound/cards", 0o444, PROC),
            ("/etc/pulse/daemon.conf", 0o644, "default-sample-rate = 48000\n"),
            ("/etc/pulse/default.pa", 0o644, "load-module module-native-protocol-unix\n"),
            (
                "/etc/pipewire/pipewire.conf.d/10.conf",
                0o644,
                "context.properties = { default.clock.rate = 48000 password = canary-88d2 }\n",
            ),
        ],
        malformed: Some(Broken {
            path: "/etc/pipewire/pipewire.conf.d/10.conf",
            content: "a = {\n",
            part: "/etc/pipewire/pipewire.conf.d/10.conf",
        }),
        denied: Denied {
            path: "/etc/pipewire/pipewire.conf.d",
            part: "/etc/pipewire/pipewire.conf.d/10.conf",
        },
        edit: ("/etc/pulse/default.pa", "load-module module-udev-detect\n"),
        canary: Some("canary-88d2"),
    }
}

#[test]
fn a_headset_that_is_plugged_in_is_no_change() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("proc/asound");
    std::fs::create_dir_all(&folder).unwrap();
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let shown = |text: &str| {
        std::fs::write(folder.join("cards"), text).unwrap();
        let items = cards(&mut Look::new(&machine)).unwrap().unwrap();
        items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect::<Vec<_>>()
    };
    assert_eq!(shown(PROC), ["PCH Text(\"HDA-Intel\")"]);
    let first_two: String = PROC.lines().take(2).map(|line| format!("{line}\n")).collect();
    assert_eq!(shown(&first_two), shown(PROC));
    assert_eq!(shown("--- no soundcards ---\n"), Vec::<String>::new());
}
