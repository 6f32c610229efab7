//! Which rules decide who may do what without being root; see polkit(8).
//!
//! Rules are programs in JavaScript, so each is told by a digest; of two with one name the one in
//! `/etc` counts. Names give their order.

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;

use crate::sources::look::Look;
use crate::sources::precedence::named;
use crate::sources::table::{Trouble, say};

/// Where rules stand, the first wins.
pub(super) const DIRECTORIES: [&str; 4] = [
    "/etc/polkit-1/rules.d",
    "/run/polkit-1/rules.d",
    "/usr/local/share/polkit-1/rules.d",
    "/usr/share/polkit-1/rules.d",
];

/// The digest of each rule under its name.
pub(super) fn rules(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    // Unlike others it reads hidden files too.
    for file in named(look, &DIRECTORIES, |name| name.ends_with(b".rules"))? {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let digest = look.machine().redactor().raw_digest(&file.bytes);
        say(&mut items, ["rules", &name], ItemValue::Fingerprint(digest));
    }
    Ok((!items.is_empty()).then_some(items))
}
