//! Settings and policies that are told as they stand: the release, what runs at login, what
//! browsers and clients of unified communications are told by administrators.

use std::path::Path;

use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Domain;

use super::{Look, Manual, Product, Trouble, chosen, kept, key, manual, trees};
use crate::formats::properties;

pub(super) const OS: Product = Product {
    name: "os",
    domain: Domain::Config,
    manual: manual("`release`, `identity`"),
    tables: &[kept("release", release), kept("identity", identity)],
};

const RELEASE: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";

const TOLD_OF_RELEASE: [&str; 9] = [
    "ProductName",
    "EditionID",
    "DisplayVersion",
    "ReleaseId",
    "CurrentVersion",
    "CurrentBuildNumber",
    "UBR",
    "InstallationType",
    "BuildLabEx",
];

fn release(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    picked(look, RELEASE, &TOLD_OF_RELEASE)
}

fn identity(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    picked(look, r"SYSTEM\CurrentControlSet\Control\ComputerName\ComputerName", &["ComputerName"])
}

/// Those of a key's own values that `names` lists. Its bytes hold more, which changes by itself.
fn picked(look: &mut Look<'_>, path: &str, names: &[&str]) -> Result<Option<RawItems>, Trouble> {
    let Some(key) = key(look, path, 0)? else { return Ok(None) };
    let mut items = RawItems::new();
    chosen(&mut items, &[], &key, names);
    look.without_bytes();
    Ok(Some(items))
}

pub(super) const REGISTRY: Product = Product {
    name: "registry",
    domain: Domain::Policy,
    manual: manual(
        "`run` (what starts when somebody logs in), `winlogon`, `policies/system`, \
         `policies/windows`, `lsa`",
    ),
    tables: &[
        kept("run", |look| trees(look, &RUN)),
        kept("winlogon", winlogon),
        kept("policies/system", |look| trees(look, &[("", SYSTEM)])),
        kept("policies/windows", |look| {
            trees(look, &[("", r"SOFTWARE\Policies\Microsoft\Windows")])
        }),
        kept("lsa", lsa),
    ],
};

/// What runs once is told for as long as it waits.
const RUN: [(&str, &str); 4] = [
    ("run", r"SOFTWARE\Microsoft\Windows\CurrentVersion\Run"),
    ("run_once", r"SOFTWARE\Microsoft\Windows\CurrentVersion\RunOnce"),
    ("run_32", r"SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Run"),
    ("run_once_32", r"SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\RunOnce"),
];

const SYSTEM: &str = r"SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System";

fn winlogon(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    const NAMES: [&str; 7] = [
        "Shell",
        "Userinit",
        "AutoAdminLogon",
        "DefaultPassword",
        "DefaultDomainName",
        "CachedLogonsCount",
        "DisableCAD",
    ];
    picked(look, r"SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon", &NAMES)
}

fn lsa(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    const NAMES: [&str; 9] = [
        "RunAsPPL",
        "LmCompatibilityLevel",
        "LimitBlankPasswordUse",
        "NoLMHash",
        "RestrictAnonymous",
        "RestrictAnonymousSAM",
        "EveryoneIncludesAnonymous",
        "DisableRestrictedAdmin",
        "Security Packages",
    ];
    picked(look, r"SYSTEM\CurrentControlSet\Control\Lsa", &NAMES)
}

pub(super) const BROWSER_POLICY: Product = Product {
    name: "browser_policy",
    domain: Domain::Policy,
    manual: manual(
        "`chrome`, `chromium`, `edge`, `edge_update`, `brave`, `firefox`, where there is \
         a policy; recommended ones begin with `Recommended`",
    ),
    tables: &[
        kept("chrome", |look| trees(look, &[("", r"SOFTWARE\Policies\Google\Chrome")])),
        kept("chromium", |look| trees(look, &[("", r"SOFTWARE\Policies\Chromium")])),
        kept("edge", |look| trees(look, &[("", r"SOFTWARE\Policies\Microsoft\Edge")])),
        kept("edge_update", |look| trees(look, &[("", r"SOFTWARE\Policies\Microsoft\EdgeUpdate")])),
        kept("brave", |look| trees(look, &[("", r"SOFTWARE\Policies\BraveSoftware\Brave")])),
        kept("firefox", |look| trees(look, &[("", r"SOFTWARE\Policies\Mozilla\Firefox")])),
    ],
};

pub(super) const DESKTOP_UC_CLIENT: Product = Product {
    name: "desktop_uc_client",
    domain: Domain::Config,
    manual: Manual {
        version: 3,
        ..manual(
            "`teams`, `zoom`, `webex`, `jabber`: what administrators set for the whole host; \
             `jabber_bootstrap`: how Jabber finds its service, as it was installed",
        )
    },
    tables: &[
        kept("teams", |look| trees(look, &TEAMS)),
        kept("zoom", |look| trees(look, &ZOOM)),
        kept("webex", |look| trees(look, &WEBEX)),
        kept("jabber", |look| trees(look, &[("", r"SOFTWARE\Policies\Cisco Systems, Inc.")])),
        kept("jabber_bootstrap", jabber_bootstrap),
    ],
};

/// Where Jabber's installer keeps what it was told (Cisco's deployment guides for Jabber).
pub(super) const BOOTSTRAP: &str =
    "/c/ProgramData/Cisco Systems/Cisco Jabber/jabber-bootstrap.properties";

fn jabber_bootstrap(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let content = look.read(Path::new(BOOTSTRAP), limits::FILE_BYTES)?;
    let Some(content) = content else { return Ok(None) };
    Ok(Some((properties::FORMAT.read)(&content.bytes)?))
}

const TEAMS: [(&str, &str); 3] = [
    ("policy", r"SOFTWARE\Policies\Microsoft\Teams"),
    ("host", r"SOFTWARE\Microsoft\Teams"),
    ("host_32", r"SOFTWARE\WOW6432Node\Microsoft\Teams"),
];

const ZOOM: [(&str, &str); 2] = [("policy", r"SOFTWARE\Policies\Zoom"), ("host", r"SOFTWARE\Zoom")];

/// The program's name of old is that of its keys.
const WEBEX: [(&str, &str); 3] = [
    ("policy", r"SOFTWARE\Policies\Cisco\Webex"),
    ("host", r"SOFTWARE\Cisco Spark Native"),
    ("host_32", r"SOFTWARE\WOW6432Node\Cisco Spark Native"),
];
