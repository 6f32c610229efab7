//! The row of the shared check for the files of a Windows host.

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const HOSTS: &str = "/c/Windows/System32/drivers/etc/hosts";

fn files() -> Files {
    Files::new(&Config::of(System::Windows)).unwrap()
}

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(files()),
        recast: || Box::new(Files { version: VERSION + 1, ..files() }),
        tree: vec![
            (HOSTS, 0o644, "127.0.0.1 localhost\r\n"),
            ("/c/ProgramData/ssh/app.json", 0o644, "{\"password\": \"canary-51c1\"}"),
            ("/c/ProgramData/ssh/notes", 0o644, "a line of text\n"),
            ("/c/ProgramData/other", 0o644, "not in scope\n"),
        ],
        malformed: Some(Broken {
            path: "/c/ProgramData/ssh/app.json",
            content: "{",
            part: "/c/ProgramData/ssh/app.json",
        }),
        denied: Denied { path: "/c/ProgramData/ssh/notes", part: "/c/ProgramData/ssh/notes" },
        edit: (HOSTS, "127.0.0.1 localhost\r\n10.0.0.1 pbx\r\n"),
        canary: Some("canary-51c1"),
    }
}
