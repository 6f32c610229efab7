//! From what git keeps of a file to the part an agent would have reported.
//!
//! Formats, bounds, withheld files and redaction are the agent's own. Git knows no owner and only
//! one permission, so the attributes are `@type`, `@mode` and, of a link or submodule, `@target`.

use driftline_agent::content;
use driftline_agent::formats::{self, Format};
use driftline_agent::sources::files::scope::Scope;
use driftline_agent::sources::glob::Glob;
use driftline_protocol::ids::PartName;
use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems, RawObserved, RawPart, Redactor};
use driftline_protocol::snapshot::{Content, Part, Reason};

use super::git::{Blob, Blobs};
use super::log::{Kind, Version};

/// The longest target of a link that is kept, in bytes: more than any file system follows.
const TARGET_BYTES: u64 = 16 * 1024;

/// A format that a person says files are in.
#[derive(Clone)]
pub(crate) struct Claim {
    glob: Glob,
    format: &'static Format,
}

impl std::str::FromStr for Claim {
    type Err = String;

    /// Reads `GLOB=NAME`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (glob, name) = text.rsplit_once('=').ok_or("must be GLOB=NAME")?;
        let format = formats::named(name).ok_or_else(|| {
            let names: Vec<&str> = formats::ALL.iter().map(|format| format.name).collect();
            format!("{name:?} is no format; there are {}", names.join(", "))
        })?;
        Ok(Self { glob: Glob::new(glob).map_err(|error| error.to_string())?, format })
    }
}

/// Reads files of one history.
pub(crate) struct Parts {
    redactor: Redactor,
    scope: Scope,
    claims: Vec<Claim>,
    blobs: Blobs,
}

impl Parts {
    /// A reader of `blobs` in which `claims` come before what formats say themselves.
    ///
    /// # Errors
    /// Never in practice: the patterns of what is withheld are constant.
    pub(crate) fn new(
        redactor: Redactor,
        claims: Vec<Claim>,
        blobs: Blobs,
    ) -> anyhow::Result<Self> {
        Ok(Self { redactor, scope: Scope::new::<&str>(&[], &[], &[])?, claims, blobs })
    }

    /// The part that stands for the file `name` in this version.
    ///
    /// # Errors
    /// When git ends.
    pub(crate) fn read(&mut self, name: &PartName, version: &Version) -> anyhow::Result<Part> {
        let mut said = match version.kind() {
            Kind::File => self.file(name, &version.id)?,
            Kind::Link => self.link(&version.id)?,
            Kind::Submodule => pointer(ItemValue::text(&version.id)),
        };
        said.items.extend(attributes(version));
        Ok(self.redactor.redact(RawPart::Observed(said)).into_inner())
    }

    fn file(&mut self, name: &PartName, id: &str) -> anyhow::Result<RawObserved> {
        let place = place(name.as_str());
        if self.scope.withholds(&place) {
            return Ok(content::unread(Reason::Withheld));
        }
        let mut hasher = self.redactor.raw_hasher();
        let mut head: Option<bool> = None;
        let blob = self.blobs.get(id, limits::FILE_BYTES, &mut |piece| {
            head.get_or_insert_with(|| content::holds_private_key(piece));
            hasher.update(piece);
        })?;
        Ok(match blob {
            Blob::Missing => content::unread(Reason::Failed),
            Blob::Pieces { .. } if head == Some(true) => content::unread(Reason::Withheld),
            Blob::Pieces { size } if size > limits::HASHED_FILE_BYTES => {
                RawObserved { size: Some(size), ..content::unread(Reason::TooLarge) }
            }
            Blob::Pieces { size } => content::too_large(hasher.finish(), size),
            Blob::Whole(bytes) => {
                let claim = self.claims.iter().find(|claim| claim.glob.matches(name.as_str()));
                let format =
                    claim.map(|claim| claim.format).or_else(|| content::claiming(&place, &bytes));
                content::said(format, &bytes, self.redactor.raw_digest(&bytes))
            }
        })
    }

    fn link(&mut self, id: &str) -> anyhow::Result<RawObserved> {
        Ok(match self.blobs.get(id, TARGET_BYTES, &mut |_| {})? {
            Blob::Missing => content::unread(Reason::Failed),
            Blob::Pieces { .. } => content::unread(Reason::TooLarge),
            Blob::Whole(target) => pointer(ItemValue::text(PartName::from_bytes(&target).as_str())),
        })
    }
}

/// Where a file of the history would stand on its host: a history that is not of `/` is taken for
/// one of `/etc`, as etckeeper keeps it.
fn place(name: &str) -> String {
    match name.find("etc/") {
        Some(0) => format!("/{name}"),
        Some(at) if name.get(..at).is_some_and(|above| above.ends_with('/')) => {
            format!("/{}", name.get(at..).unwrap_or_default())
        }
        Some(_) | None => format!("/etc/{name}"),
    }
}

/// What points elsewhere and says nothing itself.
fn pointer(target: ItemValue) -> RawObserved {
    let items = RawItems::from([(ItemKey::attribute("target"), RawItem::plain(target))]);
    RawObserved { content: Content::Read, items, ..content::unread(Reason::Unsupported) }
}

fn attributes(version: &Version) -> RawItems {
    let (kind, mode) = match version.kind() {
        Kind::File => ("file", version.mode & 0o7777),
        Kind::Link => ("link", 0o777),
        Kind::Submodule => ("submodule", 0o755),
    };
    [("type", ItemValue::text(kind)), ("mode", ItemValue::Text(format!("{mode:04o}")))]
        .map(|(name, value)| (ItemKey::attribute(name), RawItem::plain(value)))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_history_has_a_place_on_its_host() {
        for (name, expected) in [
            ("etc/hosts", "/etc/hosts"),
            ("hosts", "/etc/hosts"),
            ("asterisk/pjsip.conf", "/etc/asterisk/pjsip.conf"),
            ("hosts/a/etc/fstab", "/etc/fstab"),
            ("fetc/x", "/etc/fetc/x"),
        ] {
            assert_eq!(place(name), expected);
        }
    }

    #[test]
    fn a_claim_names_a_pattern_and_a_format() {
        let claim: Claim = "odd=*.cfg=ini".parse().unwrap();
        assert!(claim.glob.matches("x/odd=1.cfg") && claim.format.name == "ini");
        let refused = |text: &str| text.parse::<Claim>().err().unwrap();
        assert!(refused("*.cfg").contains("GLOB=NAME"));
        assert!(refused("*.cfg=elf").contains("json"));
        assert!(refused("[a=ini").contains("pattern"));
    }
}
