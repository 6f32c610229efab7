//! Who is asked when somebody logs in: the stacks of PAM, with what they include.
//!
//! For each service through which people come in, and each management group, the steps in the order
//! in which PAM takes them. A substack stays a step of its own before its steps, since it decides
//! for itself; see pam.d(5).

use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Reason;

use crate::formats::pam::{self, Step};
use crate::sources::look::Look;
use crate::sources::table::{Trouble, say};

/// Where the stack of a service is, the first wins.
pub(super) const DIRECTORIES: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];

/// Services through which people come in, or become another.
const SERVICES: [&str; 15] = [
    "cockpit",
    "cron",
    "gdm-password",
    "lightdm",
    "login",
    "other",
    "passwd",
    "polkit-1",
    "sddm",
    "sshd",
    "su",
    "su-l",
    "sudo",
    "sudo-i",
    "xrdp-sesman",
];

/// How deep stacks may nest; libpam stops at 16.
const DEPTH: usize = 16;

/// The most steps of one service; without it, includes could name steps without end.
const STEPS: usize = 4_096;

/// One step: its group and what it does.
type Taken = (&'static str, String);

/// `SERVICE/GROUP`, the steps as a list.
pub(super) fn configured(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    for service in SERVICES {
        let mut taken = Vec::new();
        if !stack(look, (service, None), 0, &mut taken)? {
            continue;
        }
        for group in ["auth", "account", "password", "session"] {
            let steps = taken.iter().filter(|(of, _)| *of == group);
            let steps: Vec<_> = steps.map(|(_, step)| ItemValue::text(step)).collect();
            if !steps.is_empty() {
                say(&mut items, [service, group], ItemValue::List(steps));
            }
        }
    }
    Ok((!items.is_empty()).then_some(items))
}

/// Takes the steps of the file `name`, of one group or of all; says whether there is one.
fn stack(
    look: &mut Look<'_>,
    (name, only): (&str, Option<&str>),
    depth: usize,
    taken: &mut Vec<Taken>,
) -> Result<bool, Trouble> {
    if depth > DEPTH || taken.len() > STEPS {
        return Err(Trouble::Unread(Reason::TooLarge));
    }
    let mut content = None;
    for directory in DIRECTORIES {
        if content.is_none() {
            content = look.read(&Path::new(directory).join(name), limits::FILE_BYTES)?;
        }
    }
    let Some(content) = content else { return Ok(false) };
    for step in pam::steps(&content.bytes)? {
        match step {
            Step::Include(file) => {
                stack(look, (&file, only), depth + 1, taken)?;
            }
            Step::Module { group, control, module, arguments } => {
                if only.is_some_and(|only| only != group) {
                    continue;
                }
                if control != "include" {
                    let words = [control.as_str(), module.as_str()].into_iter();
                    let words = words.chain(arguments.iter().map(String::as_str));
                    taken.push((group, words.collect::<Vec<_>>().join(" ")));
                }
                if control == "include" || control == "substack" {
                    stack(look, (&module, Some(group)), depth + 1, taken)?;
                }
            }
        }
    }
    Ok(true)
}
