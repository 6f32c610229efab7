//! YAML, as one item a scalar, keyed by the names on the way to it; see
//! <https://yaml.org/spec/1.2.2>.
//!
//! How names and lists become keys, `tree` says. Scalars are read by the core schema of 1.2 where
//! 1.1 reads them alike: `true`, `null`, `5060`; what programs disagree on (`yes`, `0777`, `1.10`)
//! stays text as written. A tag of the file's own, such as `!secret`, stands before its scalar and
//! as a name above its list or mapping. Documents of a stream are numbered where there are several.
//!
//! An alias is what its anchor names, and `<<` brings in the members that are not there. What that
//! comes to is counted in nodes and bytes as if it were written out, so no file makes more of
//! itself than the bounds of a part. A repeated key is malformed: readers disagree on which one
//! counts.

mod reader;
mod scalar;

use driftline_protocol::redact::RawItems;

use super::lines::{decode, original};
use super::tree::{self, NAMES, Names};
use super::{Format, FormatError};

/// YAML.
pub static FORMAT: Format = Format {
    name: "yaml",
    version: 1,
    ordered: "sequences keep their order; keys of mappings have none",
    claims,
    read: |bytes| read(bytes, NAMES),
};

/// `ejabberd.yml`, whose listeners have no name but their port.
///
/// See <https://docs.ejabberd.im/admin/configuration/file-format/>.
pub static EJABBERD: Format = Format {
    name: "ejabberd",
    version: 1,
    ordered: "sequences keep their order; keys of mappings have none",
    claims: |path, _| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with("ejabberd") && (name.contains(".yml") || name.contains(".yaml"))
    },
    read: |bytes| read(bytes, &[&["id"], &["name"], &["port", "ip", "transport", "module"]]),
};

fn claims(path: &str, _: &[u8]) -> bool {
    let path = original(path);
    [".yaml", ".yml"].iter().any(|end| path.ends_with(end)) || path == "/etc/cloud/cloud.cfg"
}

fn read(bytes: &[u8], names: Names) -> Result<RawItems, FormatError> {
    // Line ends mean nothing, also within a text of several lines.
    let text = decode(bytes).replace("\r\n", "\n");
    tree::items(reader::document(&text)?, names)
}
