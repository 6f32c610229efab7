//! What one path is and says: its attributes as items, its content by the format that claims it.
//!
//! Nothing here remembers anything between two looks. A value that may be a secret leaves in a
//! [`RawObserved`], which only the redactor opens; of a file that holds a private key nothing is
//! kept.

use std::path::Path;

use driftline_protocol::ids::PartName;
use driftline_protocol::item::{Fingerprint, ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawItem, RawObserved, Redactor};
use driftline_protocol::snapshot::{Content, Reason};

use super::scope::Scope;
use crate::content;
use crate::machine::{Machine, same_file};
use crate::platform::{self, FileType, Stat};
use crate::sources::stamp::{self, Print};

/// How often a file that changes while it is read is read.
const READINGS: usize = 2;

/// A path under both its names.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    /// The path on the machine.
    pub(super) path: &'a Path,
    /// The part that stands for it.
    pub(super) part: &'a PartName,
}

/// What a look at a path gave.
pub(super) enum Looked {
    /// It is not there any more.
    Gone,
    /// A file that was read and waits to be understood.
    File { stat: Stat, bytes: Vec<u8> },
    /// All there is to know.
    Done(Look),
}

/// All there is to know of a path.
pub(super) struct Look {
    /// The part.
    pub(super) raw: RawObserved,
    /// The attributes it had then.
    pub(super) stat: Stat,
}

impl Look {
    /// Whether another look at the same state would give the same part. What the operating system
    /// refused today it may grant tomorrow.
    pub(super) fn repeats(&self) -> bool {
        match self.raw.content {
            Content::Read => true,
            Content::Unread(reason) => match reason {
                Reason::Malformed | Reason::Unsupported | Reason::TooLarge | Reason::Withheld => {
                    true
                }
                Reason::Denied | Reason::TimedOut | Reason::Changing | Reason::Failed => false,
            },
        }
    }
}

/// Looks at paths of one machine under one scope.
pub(super) struct Looker<'a> {
    pub(super) machine: &'a Machine,
    pub(super) scope: &'a Scope,
    /// See [`super::VERSION`].
    version: u32,
}

impl<'a> Looker<'a> {
    pub(super) fn new(machine: &'a Machine, scope: &'a Scope, version: u32) -> Self {
        Self { machine, scope, version }
    }

    pub(super) fn redactor(&self) -> &'a Redactor {
        self.machine.redactor()
    }

    pub(super) fn print(&self, path: &Path) -> Print {
        Print::of_path(self.redactor(), &platform::path_bytes(path))
    }

    /// Looks at the path, whose attributes were `stat` a moment ago.
    ///
    /// # Errors
    /// The reason why nothing at all is known of it.
    pub(super) fn look(&self, named: Named<'_>, stat: &Stat) -> Result<Looked, Reason> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Symlink {
            return self.link(named, stat);
        }
        if kind != FileType::RegularFile && !mutant::active(Mutant::OpenWhateverIsThere) {
            return Ok(Looked::Done(self.attributes(stat, Content::Read)));
        }
        if self.scope.withholds(named.part.as_str()) {
            return Ok(Looked::Done(self.attributes(stat, Content::Unread(Reason::Withheld))));
        }
        let size = stat.st_size.unsigned_abs();
        if mutant::active(Mutant::TooLargeIsAbsent) && size > limits::FILE_BYTES {
            return Ok(Looked::Gone);
        }
        match size {
            size if size > limits::HASHED_FILE_BYTES => {
                let mut look = self.attributes(stat, Content::Unread(Reason::TooLarge));
                look.raw.size = Some(size);
                Ok(Looked::Done(look))
            }
            size if size > limits::FILE_BYTES => Ok(self.hashed(named, stat)),
            _ => Ok(self.read(named, stat)),
        }
    }

    fn link(&self, named: Named<'_>, stat: &Stat) -> Result<Looked, Reason> {
        let Some(target) = self.machine.link_target(named.path)? else { return Ok(Looked::Gone) };
        let mut look = self.attributes(stat, Content::Read);
        let target = ItemValue::text(PartName::from_bytes(&target).as_str());
        look.raw.items.insert(ItemKey::attribute("target"), RawItem::plain(target));
        Ok(Looked::Done(look))
    }

    /// The whole file, in one state; only its attributes where that cannot be had.
    fn read(&self, named: Named<'_>, stat: &Stat) -> Looked {
        let mut stat = *stat;
        let mut reason = Reason::Changing;
        for _ in 0..READINGS {
            match self.machine.read_found(named.path, limits::FILE_BYTES) {
                // Another file, or a link to one, may stand there since we looked.
                Ok(Some(content)) if same_file(&content.stat, &stat) => {
                    return Looked::File { stat: content.stat, bytes: content.bytes };
                }
                Ok(Some(_)) => reason = Reason::Changing,
                Ok(None) => return Looked::Gone,
                Err(Reason::Denied) if mutant::active(Mutant::DeniedIsEmpty) => {
                    return Looked::File { stat, bytes: Vec::new() };
                }
                Err(refused) => reason = refused,
            }
            match self.machine.stat(named.path) {
                Ok(Some(now)) if FileType::from_raw_mode(now.st_mode) == FileType::RegularFile => {
                    stat = now;
                }
                Ok(Some(_)) => break,
                Ok(None) => return Looked::Gone,
                Err(refused) => {
                    reason = refused;
                    break;
                }
            }
            if reason != Reason::Changing {
                break;
            }
        }
        Looked::Done(self.attributes(&stat, Content::Unread(reason)))
    }

    /// A file too large to be understood: its digest, piece by piece.
    fn hashed(&self, named: Named<'_>, stat: &Stat) -> Looked {
        let mut hasher = self.redactor().raw_hasher();
        let mut head: Option<bool> = None;
        let read = self.machine.read_pieces(named.path, limits::HASHED_FILE_BYTES, &mut |piece| {
            head.get_or_insert_with(|| content::holds_private_key(piece));
            hasher.update(piece);
        });
        let reason = match read {
            Ok(None) => return Looked::Gone,
            Ok(Some(_)) if head == Some(true) => Reason::Withheld,
            Ok(Some(after)) if same_file(&after, stat) => Reason::TooLarge,
            Ok(Some(_)) => Reason::Changing,
            Err(reason) => reason,
        };
        let raw = if reason == Reason::TooLarge {
            content::too_large(hasher.finish(), stat.st_size.unsigned_abs())
        } else {
            content::unread(reason)
        };
        Looked::Done(self.with_attributes(raw, stat))
    }

    /// What a file that was read says.
    pub(super) fn file(
        &self,
        named: Named<'_>,
        stat: &Stat,
        (bytes, raw): (&[u8], Fingerprint),
    ) -> Look {
        let format = content::claiming(named.part.as_str(), bytes);
        self.with_attributes(content::said(format, bytes, raw), stat)
    }

    fn with_attributes(&self, mut raw: RawObserved, stat: &Stat) -> Look {
        raw.reading.version += self.version;
        raw.items.extend(stamp::attributes(stat));
        Look { raw, stat: *stat }
    }

    /// What `stat` alone says.
    pub(super) fn attributes(&self, stat: &Stat, content: Content) -> Look {
        let items = stamp::attributes(stat);
        let reading = content::reading("attributes", 1 + self.version);
        Look { raw: RawObserved { reading, raw: None, size: None, content, items }, stat: *stat }
    }

    /// What a directory says on which another file system is mounted.
    pub(super) fn mount_point(&self, stat: &Stat) -> Look {
        let mut look = self.attributes(stat, Content::Unread(Reason::Unsupported));
        let mount = RawItem::plain(ItemValue::Flag(true));
        look.raw.items.insert(ItemKey::attribute("mount"), mount);
        look
    }
}
