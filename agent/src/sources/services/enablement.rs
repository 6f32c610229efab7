//! Whether a unit is enabled, as `systemctl is-enabled` says it (systemctl(1), table 1;
//! `unit_file_lookup_state`).

use driftline_protocol::mutant::{self, Mutant};

use crate::formats::systemd::Settings;

use super::index::{Index, PERSISTENT, Unit};

/// The state of a unit whose fragment is empty or a link to `/dev/null`.
pub(super) fn masked(unit: &Unit) -> &'static str {
    if is_runtime(unit.folder) { "masked-runtime" } else { "masked" }
}

/// The state of any other unit.
pub(super) fn state(index: &Index, unit: &Unit, settings: &Settings) -> &'static str {
    let aliases = settings.words("Install", "Alias");
    // A template is enabled by the link of its default instance; other instances only make it
    // `indirect`.
    let default = settings.text("Install", "DefaultInstance");
    let default = default.map(|instance| unit.name.replacen('@', &format!("@{instance}"), 1));
    let is_own = |name: &String| *name == unit.name || default.as_ref() == Some(name);
    let links = index.links_of(unit).filter(|link| is_own(&link.name)).map(|link| link.folder);
    let named = index.top_links_to(unit).filter(|link| aliases.contains(&link.name));
    let folders: Vec<&str> = links.chain(named.map(|link| link.folder)).collect();
    if folders.contains(&PERSISTENT) && !mutant::active(Mutant::LinksEnableNothing) {
        return "enabled";
    }
    if folders.iter().any(|folder| is_runtime(folder)) {
        return "enabled-runtime";
    }
    if unit.target.is_some() && is_configured(unit.folder) {
        return if is_runtime(unit.folder) { "linked-runtime" } else { "linked" };
    }
    let has = |key| !settings.words("Install", key).is_empty();
    let has_rules =
        !aliases.is_empty() || ["WantedBy", "RequiredBy", "UpheldBy"].into_iter().any(has);
    match (is_known_otherwise(index, unit), has_rules) {
        (true, _) => "indirect",
        (false, true) => "disabled",
        (false, false) if has("Also") => "indirect",
        (false, false) => "static",
    }
}

/// Whether somebody made a link to the unit by a name that enabling it would not give.
fn is_known_otherwise(index: &Index, unit: &Unit) -> bool {
    let elsewhere = |name: &str, folder| name != unit.name && is_configured(folder);
    let instance = index.links_of(unit).any(|link| elsewhere(&link.name, link.folder));
    let alias = index.top_links_to(unit).any(|link| elsewhere(&link.name, link.folder));
    instance || alias
}

/// The folders that pull the unit in, such as `multi-user.target.wants`.
pub(super) fn wanted_by(index: &Index, unit: &Unit) -> Vec<String> {
    index.links_of(unit).map(|link| link.from.clone()).collect()
}

/// The instances of a template that something pulls in.
pub(super) fn instances(index: &Index, unit: &Unit) -> Vec<String> {
    let links = index.links_of(unit).filter(|link| link.name != unit.name);
    links.map(|link| link.name.clone()).collect()
}

fn is_runtime(folder: &str) -> bool {
    folder.starts_with("/run/")
}

/// Whether links there are somebody's decision rather than a package's content.
fn is_configured(folder: &str) -> bool {
    folder == PERSISTENT || is_runtime(folder)
}
