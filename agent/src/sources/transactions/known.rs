//! Whether what a run says it changed is as the run left it.
//!
//! The tool knows files by digests without a key, the collector by keyed ones; only here can both
//! be made.

use std::cell::OnceCell;
use std::path::Path;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;
use ring::digest;

use crate::content::holds_private_key;
use crate::machine::Machine;
use crate::platform::{FileType, Stat};
use crate::sources::files::scope::Scope;
use crate::sources::local_accounts::Accounts;

/// A digest as a tool writes it: `{sha256}` and hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    method: Method,
    digits: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Md5,
    Sha256,
    Sha384,
    Sha512,
}

const METHODS: [(&str, Method, usize); 4] = [
    ("{md5}", Method::Md5, 32),
    ("{sha256}", Method::Sha256, 64),
    ("{sha384}", Method::Sha384, 96),
    ("{sha512}", Method::Sha512, 128),
];

impl Sum {
    /// The last digest that `text` names; `None` where it names none that can be made here.
    pub fn last_of(text: &str) -> Option<Self> {
        let found = METHODS.iter().filter_map(|(mark, method, length)| {
            let at = text.rfind(mark)?;
            let digits = text.get(at + mark.len()..)?.get(..*length)?;
            let all = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            Some((at, Self { method: *method, digits: digits.to_ascii_lowercase() }))
                .filter(|_| all)
        });
        found.max_by_key(|(at, _)| *at).map(|(_, sum)| sum)
    }

    /// Whether these are its bytes.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        let made = match self.method {
            Method::Md5 => return format!("{:x}", md5::compute(bytes)) == self.digits,
            Method::Sha256 => digest::digest(&digest::SHA256, bytes),
            Method::Sha384 => digest::digest(&digest::SHA384, bytes),
            Method::Sha512 => digest::digest(&digest::SHA512, bytes),
        };
        made.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>() == self.digits
    }
}

/// Something else than a package that a run says it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What a file says, with the digest of it where the tool tells.
    Content(String, Option<Sum>),
    /// A file is not there any more.
    Gone(String),
    /// Who may do what with it; octal.
    Mode(String, u32),
    /// Whose it is: name or number.
    Owner(String, String),
    /// Of which group.
    Group(String, String),
    /// A thing of this kind and name.
    Named(&'static str, String),
}

impl Effect {
    /// What names it below its run.
    pub(super) fn names(&self) -> [&str; 2] {
        match self {
            Self::Content(path, _) => ["file", path],
            Self::Gone(path) => ["gone", path],
            Self::Mode(path, _) => ["mode", path],
            Self::Owner(path, _) => ["owner", path],
            Self::Group(path, _) => ["group_of", path],
            Self::Named(kind, name) => [kind, name],
        }
    }
}

/// The host as it is now.
pub(super) struct Known<'a> {
    machine: &'a Machine,
    /// What is a secret as a whole, or is not looked at.
    secret: &'a Scope,
    /// Accounts and groups, read once somebody asks for one.
    accounts: OnceCell<Table>,
    groups: OnceCell<Table>,
}

type Table = Result<Option<Accounts>, Reason>;

impl<'a> Known<'a> {
    /// `machine` as it is now, but for what is `secret`.
    pub(super) fn new(machine: &'a Machine, secret: &'a Scope) -> Self {
        Self { machine, secret, accounts: OnceCell::new(), groups: OnceCell::new() }
    }

    /// What is told of an effect; nothing where it cannot be compared.
    pub(super) fn is_so(&self, effect: &Effect) -> Option<ItemValue> {
        if let Effect::Content(path, _)
        | Effect::Gone(path)
        | Effect::Mode(path, _)
        | Effect::Owner(path, _)
        | Effect::Group(path, _) = effect
            && !self.may_look(path)
        {
            return None;
        }
        let said = |is: bool, value| if is { value } else { ItemValue::Flag(false) };
        Some(match effect {
            Effect::Content(path, sum) => return self.content(path, sum.as_ref()),
            Effect::Gone(path) => {
                ItemValue::Flag(self.machine.stat(Path::new(path)).ok()?.is_none())
            }
            Effect::Mode(path, mode) => {
                let stat = self.machine.stat(Path::new(path)).ok()??;
                said(stat.st_mode & 0o7777 == *mode, ItemValue::text(format!("{mode:04o}")))
            }
            Effect::Owner(path, who) => {
                let stat = self.machine.stat(Path::new(path)).ok()??;
                let is = self.account(who)? == Some(stat.st_uid);
                said(is, ItemValue::Integer(i64::from(stat.st_uid)))
            }
            Effect::Group(path, who) => {
                let stat = self.machine.stat(Path::new(path)).ok()??;
                let is = self.group(who)? == Some(stat.st_gid);
                said(is, ItemValue::Integer(i64::from(stat.st_gid)))
            }
            Effect::Named(_, _) => ItemValue::Flag(true),
        })
    }

    /// Whether `path` is the one name of what is there, and not left out. A log may spell a secret
    /// as `/etc//shadow` or lead to it by a folder that is a link, and the patterns go by names.
    fn may_look(&self, path: &str) -> bool {
        let is_name = |segment| !matches!(segment, "" | "." | "..");
        let spelled = path.strip_prefix('/').is_some_and(|inside| inside.split('/').all(is_name));
        let mut above = Path::new(path).ancestors().skip(1);
        spelled && !self.secret.leaves_out(path) && above.all(|folder| !self.may_lead(folder))
    }

    /// Whether a link stands at `path`, for all that is known.
    fn may_lead(&self, path: &Path) -> bool {
        let is_link = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        self.machine.stat(path).map_or(true, |stat| stat.is_some_and(is_link))
    }

    fn content(&self, path: &str, sum: Option<&Sum>) -> Option<ItemValue> {
        if self.secret.withholds(path) || self.may_lead(Path::new(path)) {
            return None;
        }
        let Some(sum) = sum else { return Some(ItemValue::Nothing) };
        let content = self.machine.read(Path::new(path), limits::FILE_BYTES).ok()?;
        let Some(content) = content else { return Some(ItemValue::Flag(false)) };
        if holds_private_key(&content.bytes) {
            return None;
        }
        let is = sum.is_of(&content.bytes) || mutant::active(Mutant::RunsLeftWhateverIsThere);
        Some(match is {
            true => ItemValue::Fingerprint(self.machine.redactor().raw_digest(&content.bytes)),
            false => ItemValue::Flag(false),
        })
    }

    /// The number of the account called `who`, or that number itself; nothing where nobody can say.
    fn account(&self, who: &str) -> Option<Option<u32>> {
        number(who, self.accounts.get_or_init(|| Accounts::read(self.machine)))
    }

    /// That of a group, likewise.
    fn group(&self, who: &str) -> Option<Option<u32>> {
        number(who, self.groups.get_or_init(|| Accounts::read_groups(self.machine)))
    }
}

fn number(who: &str, table: &Table) -> Option<Option<u32>> {
    match (who.parse(), table) {
        (Ok(number), _) => Some(Some(number)),
        (Err(_), Ok(Some(accounts))) => accounts.number_of(who).ok(),
        (Err(_), Ok(None)) => Some(None),
        (Err(_), Err(_)) => None,
    }
}
