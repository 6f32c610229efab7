//! The accounts of this host and their homes, as all sources know them (passwd(5), group(5)).
//!
//! A line counts as it does for the `files` service of the C library: the first of a name is that
//! account, and lines with `+` or `-` before a name, which switch a directory in (NIS), are none. A
//! line that is not one of the table is malformed. It may have been anybody's, so it hides
//! accounts whose names stand somewhere in it (two lines may have run together), and no others.
//!
//! *Unobserved is not absent*: of each account of which nothing is known (it is beyond a bound,
//! left out by choice, hidden by a malformed line, or nobody can read the table) `Homes::covers`
//! is false, and what was told of it before is not gone. It reads no more than the tables; what
//! stands in a home is read behind `Home::fence`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::PartName;
use driftline_protocol::limits;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;

use crate::machine::Machine;

/// The tables.
pub(super) const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// How many fields their lines have.
const PASSWD_FIELDS: usize = 7;
const GROUP_FIELDS: usize = 4;

/// The longest name of an account, in bytes (`LOGIN_NAME_MAX` of limits.h).
const NAME_BYTES: usize = 256;

/// How many bytes malformed lines may have together; above, they hide everybody without another.
const MALFORMED_BYTES: usize = 64 * 1024;

/// Where login.defs(5) stands: the site's own, else the distribution's.
pub(super) const LOGIN_DEFS: [&str; 2] = ["/etc/login.defs", "/usr/etc/login.defs"];

/// Which numbers people have where login.defs(5) does not say (`UID_MIN` and `UID_MAX`).
const PEOPLE: RangeInclusive<u32> = 1_000..=60_000;

/// An account, or a group, which has no home.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    name: String,
    number: u32,
    /// Where it is at home, if that is a path.
    home: Option<PathBuf>,
}

/// The lines of a table.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// All that are well-formed, in their order: those of a name after its first, too.
    lines: Vec<Account>,
    /// The others.
    malformed: Malformed,
}

impl Accounts {
    /// The accounts of `machine`; nothing where it has no table of them.
    ///
    /// # Errors
    /// Why nobody knows who they are.
    pub(super) fn read(machine: &Machine) -> Result<Option<Self>, Reason> {
        Ok(machine.read(Path::new(PASSWD), limits::FILE_BYTES)?.map(|read| Self::of(&read.bytes)))
    }

    /// Its groups, likewise.
    ///
    /// # Errors
    /// Why nobody knows them.
    pub(super) fn read_groups(machine: &Machine) -> Result<Option<Self>, Reason> {
        let read = machine.read(Path::new(GROUP), limits::FILE_BYTES)?;
        Ok(read.map(|read| Self::of_lines::<GROUP_FIELDS>(&read.bytes)))
    }

    /// The accounts of a file like `/etc/passwd`.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self::of_lines::<PASSWD_FIELDS>(bytes)
    }

    fn of_lines<const FIELDS: usize>(bytes: &[u8]) -> Self {
        let mut accounts = Self::default();
        for line in bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_start) {
            if line.is_empty() || matches!(line, [b'#' | b'+' | b'-', ..]) {
                continue;
            }
            match account::<FIELDS>(line) {
                Some(account) => accounts.lines.push(account),
                None => accounts.malformed.add(line),
            }
        }
        accounts
    }

    /// The number of the account or group that is called so; nothing where there is none.
    ///
    /// # Errors
    /// [`Reason::Malformed`] where a malformed line may be its.
    pub(super) fn number_of(&self, name: &str) -> Result<Option<u32>, Reason> {
        match self.lines.iter().find(|account| account.name == name) {
            Some(account) => Ok(Some(account.number)),
            None if self.malformed.may_be(name) => Err(Reason::Malformed),
            None => Ok(None),
        }
    }

    /// The name of the first account with this number.
    pub(super) fn name_of(&self, number: u32) -> Option<&str> {
        let account = self.lines.iter().find(|account| account.number == number)?;
        Some(&account.name)
    }

    /// The homes of those that `who` says, the first `most` of them in their order.
    pub(super) fn homes(&self, who: &Who, most: usize) -> Homes {
        let homes: BTreeSet<&Path> = self.lines.iter().filter_map(Account::own_home).collect();
        let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
        let mut all = Homes { malformed: self.malformed.clone(), ..Homes::default() };
        for account in &self.lines {
            let is_first = names.insert(&account.name);
            let home = match who {
                Who::Everybody => account.home.as_deref(),
                Who::OncePerHome | Who::People(_) => account.own_home(),
            };
            let Some(path) = home.filter(|_| is_first) else { continue };
            let part = PartName::from_bytes(account.name.as_bytes()).as_str().to_owned();
            match who {
                Who::OncePerHome if !places.insert(path) => continue,
                Who::People(numbers) if !numbers.contains(&account.number) => {
                    all.left_out.insert(part);
                    continue;
                }
                Who::Everybody | Who::OncePerHome | Who::People(_) => {}
            }
            if all.known.len() == most {
                all.left_out.insert(part);
                all.is_cut = true;
                continue;
            }
            let in_anothers = path.ancestors().skip(1).any(|folder| homes.contains(folder));
            let (name, owner) = (account.name.clone(), account.number);
            all.known.push(Home { name, path: path.to_owned(), owner, in_anothers });
        }
        all
    }
}

/// What a line says, if it is one of a table with so many fields.
fn account<const FIELDS: usize>(line: &[u8]) -> Option<Account> {
    let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
    let fields: [&[u8]; FIELDS] = fields.try_into().ok()?;
    // What is said of a person (its fourth field) may be in any encoding.
    let text = |at: usize| fields.get(at).map(|field| std::str::from_utf8(field).ok());
    let name = text(0)??;
    let number = text(2)??.parse().ok()?;
    // It names parts.
    let is_name = (1..=NAME_BYTES).contains(&name.len()) && !name.contains('/');
    let home = if FIELDS == PASSWD_FIELDS {
        text(3)??.parse::<u32>().ok()?;
        text(5)?.map(PathBuf::from)?
    } else {
        PathBuf::new()
    };
    let home = home.has_root().then_some(home);
    is_name.then(|| Account { name: name.to_owned(), number, home })
}

impl Account {
    /// Its home, where that is not the whole host.
    fn own_home(&self) -> Option<&Path> {
        self.home.as_deref().filter(|home| home.parent().is_some())
    }
}

/// The lines of a table that are none of it, one after the other.
#[derive(Clone, Debug, Default)]
struct Malformed(Vec<u8>);

impl Malformed {
    /// Keeps one line more than it may, so that it is known to be too many.
    fn add(&mut self, line: &[u8]) {
        if self.0.len() <= MALFORMED_BYTES {
            self.0.extend_from_slice(line);
            self.0.push(b'\n');
        }
    }

    fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one may be that of the account with this name, as parts call it.
    fn may_be(&self, name: &str) -> bool {
        if self.is_none() || mutant::active(Mutant::MalformedLinesAreNobodys) {
            return false;
        }
        // What was written otherwise in the name of a part is not looked for.
        let is_written_otherwise = name.contains('\\');
        let holds = || memchr::memmem::find(&self.0, name.as_bytes()).is_some();
        self.0.len() > MALFORMED_BYTES || is_written_otherwise || holds()
    }
}

/// The names of those whose homes are looked into where this is the table, for fuzzing.
pub fn reads(bytes: &[u8]) -> Vec<String> {
    let homes = Accounts::of(bytes).homes(&Who::Everybody, usize::MAX);
    homes.known.into_iter().map(|home| home.name).collect()
}

/// Whose homes are looked into.
#[derive(Clone, Debug)]
pub(super) enum Who {
    /// Every account with a home, which may be the root of all folders.
    Everybody,
    /// Every account with a home of its own; of several with one home the first.
    OncePerHome,
    /// Those with a home of their own and one of these numbers.
    People(RangeInclusive<u32>),
}

/// The homes that are looked into, and of whom nothing is known.
#[derive(Debug, Default)]
pub(super) struct Homes {
    /// In the order of the table; no two of one name.
    pub(super) known: Vec<Home>,
    /// Accounts that have one which is not looked into, as parts call them.
    left_out: BTreeSet<String>,
    /// Whether some of those are beyond the bound.
    is_cut: bool,
    malformed: Malformed,
    /// Why nobody is known.
    nobody: Option<Reason>,
}

impl Homes {
    /// The homes on `machine` of those that `who` says, the first `most` of them.
    pub(super) fn read(machine: &Machine, who: &Who, most: usize) -> Self {
        match Accounts::read(machine) {
            Ok(accounts) => accounts.unwrap_or_default().homes(who, most),
            Err(reason) => Self::unknown_for(reason),
        }
    }

    /// Those of people: the numbers that login.defs(5) has for them.
    pub(super) fn of_people(machine: &Machine, most: usize) -> Self {
        match people(machine) {
            Ok(numbers) => Self::read(machine, &Who::People(numbers), most),
            Err(reason) => Self::unknown_for(reason),
        }
    }

    /// Nobody's.
    pub(super) fn unknown_for(reason: Reason) -> Self {
        Self { nobody: Some(reason), ..Self::default() }
    }

    /// Why nothing is known of some of them or, where nobody is known at all, of any.
    pub(super) fn unknown(&self) -> Option<Reason> {
        let cut = self.is_cut.then_some(Reason::TooLarge);
        let hidden = (!self.malformed.is_none()).then_some(Reason::Malformed);
        self.nobody.or(cut).or(hidden)
    }

    /// Why nothing is known of any, where that is so.
    pub(super) fn nobody(&self) -> Option<Reason> {
        self.nobody
    }

    /// Whether what is not told of the account with this name, as parts call it, is not there.
    pub(super) fn covers(&self, name: &str) -> bool {
        if mutant::active(Mutant::UnreadAccountsAreGone) {
            return true;
        }
        let is_known = || self.known.iter().any(|home| home.is_of(name));
        let is_hidden =
            self.left_out.contains(name) || (self.malformed.may_be(name) && !is_known());
        self.nobody.is_none() && !is_hidden
    }
}

/// The home of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Home {
    /// Whose it is.
    pub(super) name: String,
    /// Where it stands.
    pub(super) path: PathBuf,
    owner: u32,
    /// Whether it lies in the home of another account.
    in_anothers: bool,
}

impl Home {
    /// `machine` as far as it lies in this home; nothing where it is not there. No link leads out
    /// of it.
    ///
    /// The home must belong to its account or to root. A link may lead to it from anywhere (`/home`
    /// to another volume, `/home/alice` to `/srv/homes/alice`) where it belongs to its account:
    /// what stands there is its own, whoever led to it. Where it is root's, as many of services
    /// are, a link could lead to what only root may read (`/root`), and it would be told as the
    /// account's. So root itself must have put each link on the way: it stands in no home of
    /// another account, and no folder above it is anybody else's or may be written by others, the
    /// account itself included.
    ///
    /// # Errors
    /// Why it could not be looked at; [`Reason::Unsupported`] where it is another's, or a link on
    /// the way may be.
    pub(super) fn fence(&self, machine: &Machine) -> Result<Option<Machine>, Reason> {
        machine.fenced_home(&self.path, self.owner, !self.in_anothers)
    }

    fn is_of(&self, name: &str) -> bool {
        let is_written_otherwise = || PartName::from_bytes(self.name.as_bytes()).as_str() == name;
        self.name == name || (name.contains('\\') && is_written_otherwise())
    }
}

/// The numbers that people have, of login.defs(5).
///
/// # Errors
/// Why the file could not be read.
pub(super) fn people(machine: &Machine) -> Result<RangeInclusive<u32>, Reason> {
    for path in LOGIN_DEFS {
        if let Some(read) = machine.read(Path::new(path), limits::FILE_BYTES)? {
            return Ok(people_of(&String::from_utf8_lossy(&read.bytes)));
        }
    }
    Ok(PEOPLE)
}

/// As useradd takes it (`getdef.c` of shadow): the first word of a line and the second, quotes
/// apart; the last line of a name counts, and what is no number does not.
fn people_of(text: &str) -> RangeInclusive<u32> {
    let set = |name: &str| {
        let words = text.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
        let (_, value) = words.rev().find(|(word, _)| *word == name)?;
        number(value.trim_start_matches([' ', '\t', '"']).split('"').next()?)
    };
    set("UID_MIN").unwrap_or(*PEOPLE.start())..=set("UID_MAX").unwrap_or(*PEOPLE.end())
}

/// A number as strtoul(3) takes it: hexadecimal behind `0x`, octal behind `0`.
fn number(text: &str) -> Option<u32> {
    let hexadecimal = text.strip_prefix("0x").or(text.strip_prefix("0X"));
    match (hexadecimal, text.strip_prefix('0')) {
        (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
        (None, Some(digits)) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        (None, _) => text.parse().ok(),
    }
}

#[cfg(test)]
#[cfg(unix)]
pub(in crate::sources) mod tests;
