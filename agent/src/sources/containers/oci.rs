//! What a runtime is told of a container (config.md and config-linux.md of the OCI runtime
//! specification), as far as it matters here. Podman and containerd keep it whole.

use std::collections::BTreeSet;

use driftline_protocol::item::ItemValue;
use driftline_protocol::mutant::{self, Mutant};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The folder of an engine's volumes, below which each namespace has one.
const VOLUMES: &str = "volumes";

/// The document.
#[derive(Default, Deserialize)]
pub(super) struct Spec {
    #[serde(default)]
    pub(super) process: Process,
    #[serde(default)]
    pub(super) root: Root,
    #[serde(default)]
    pub(super) mounts: Vec<Mount>,
    #[serde(default)]
    pub(super) linux: Linux,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Process {
    #[serde(default)]
    pub(super) args: Vec<String>,
    #[serde(default)]
    pub(super) env: Vec<String>,
    #[serde(default)]
    pub(super) user: User,
    #[serde(default)]
    pub(super) capabilities: Capabilities,
    #[serde(default)]
    pub(super) apparmor_profile: String,
    #[serde(default)]
    pub(super) no_new_privileges: bool,
}

#[derive(Default, Deserialize)]
pub(super) struct User {
    #[serde(default)]
    pub(super) uid: u32,
    #[serde(default)]
    pub(super) gid: u32,
}

/// The most that any process of it may have is what bounds it.
#[derive(Default, Deserialize)]
pub(super) struct Capabilities {
    #[serde(default)]
    pub(super) bounding: Vec<String>,
}

#[derive(Default, Deserialize)]
pub(super) struct Root {
    #[serde(default)]
    pub(super) readonly: bool,
}

#[derive(Deserialize)]
pub(super) struct Mount {
    destination: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    options: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Linux {
    #[serde(default)]
    pub(super) namespaces: Vec<Namespace>,
    #[serde(default)]
    pub(super) resources: Resources,
    pub(super) seccomp: Option<IgnoredAny>,
    #[serde(default)]
    pub(super) masked_paths: Vec<String>,
    #[serde(default)]
    pub(super) readonly_paths: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Namespace {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) path: String,
}

#[derive(Default, Deserialize)]
pub(super) struct Resources {
    #[serde(default)]
    pub(super) memory: Memory,
}

#[derive(Default, Deserialize)]
pub(super) struct Memory {
    /// In bytes; none where it is 0 or less.
    #[serde(default)]
    pub(super) limit: i64,
}

impl Spec {
    /// What of the host it sees, as `SOURCE:DESTINATION` with `:ro` where it may not write; but
    /// for what an engine makes for each container: what stands below a folder that is called by
    /// the `id` that it made up, and volumes whose name it did (`VOLUMES/NAMESPACE/NAME/_data`).
    pub(super) fn binds(&self, id: &str, made_up: &BTreeSet<String>) -> BTreeSet<ItemValue> {
        let is_of_the_engine = |mount: &&Mount| {
            let mut steps = mount.source.rsplit('/');
            let is_volume = matches!(
                (steps.next(), steps.next(), steps.next(), steps.next()),
                (Some("_data"), Some(name), Some(_), Some(VOLUMES)) if made_up.contains(name)
            );
            is_volume || (!id.is_empty() && mount.source.split('/').any(|step| step == id))
        };
        let binds = self.mounts.iter().filter(|mount| mount.is_bind());
        let binds = binds.filter(|mount| !is_of_the_engine(mount)).map(|mount| {
            let is_read_only = mount.options.iter().any(|option| option == "ro")
                && !mutant::active(Mutant::BindsAreWritable);
            let access = if is_read_only { ":ro" } else { "" };
            ItemValue::Text(format!("{}:{}{access}", mount.source, mount.destination))
        });
        binds.collect()
    }
}

impl Mount {
    /// Whatever its type says (config.md, "Linux Example"), an option makes it one.
    fn is_bind(&self) -> bool {
        let is_option = |option: &String| option == "bind" || option == "rbind";
        self.kind == "bind" || self.options.iter().any(is_option)
    }
}
