//! Accounts and groups of this host, from its security accounts manager (SAM).
//!
//! Only the system's own account may read it, as the service runs; for anybody else the parts are
//! unobserved. Nothing of a password is told, nor of when somebody logged in. The values `F`, `V`
//! and `C` are structures with places and lengths in them; an account in which one is shorter than
//! it says is unobserved, and the others are told.

use std::collections::BTreeSet;

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::{Domain, Reason};

use super::{Look, Product, Trouble, blank, kept, key, manual, say};
use crate::registry::{Key, wide};

pub(super) const ACCOUNTS: Product = Product {
    name: "accounts",
    domain: Domain::Identity,
    manual: manual("`users`, `groups` (members by their security identifiers)"),
    tables: &[kept("users", users), kept("groups", groups)],
};

const USERS: &str = r"SAM\SAM\Domains\Account\Users";

/// Groups that Windows makes, and those that somebody made.
const GROUPS: [&str; 2] = [r"SAM\SAM\Domains\Builtin\Aliases", r"SAM\SAM\Domains\Account\Aliases"];

/// Bits of an account's flags in `F`, which begin at this place.
const FLAGS: usize = 0x38;
const DISABLED: u16 = 0x1;
const NO_PASSWORD_NEEDED: u16 = 0x4;
const PASSWORD_NEVER_EXPIRES: u16 = 0x200;
const LOCKED: u16 = 0x400;

/// Where the data of `V` and of `C` begin, which their places count from.
const DATA_OF_USER: usize = 0xcc;
const DATA_OF_GROUP: usize = 0x34;

fn users(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let Some(all) = key(look, USERS, 1)? else { return Ok(None) };
    let mut items = RawItems::new();
    for (number, user) in accounts(&all) {
        let Some((name, full_name, flags)) = account(user) else {
            blank(look, USERS, &format!("{number:08X}"), Reason::Malformed)?;
            continue;
        };
        let mut one = |field, value| say(&mut items, [name.as_str(), field], value);
        one("id", ItemValue::Integer(i64::from(number)));
        one("full_name", ItemValue::Text(full_name));
        for (field, bit) in [
            ("disabled", DISABLED),
            ("no_password_needed", NO_PASSWORD_NEEDED),
            ("password_never_expires", PASSWORD_NEVER_EXPIRES),
            ("locked", LOCKED),
        ] {
            one(field, ItemValue::Flag(flags & bit != 0));
        }
    }
    // The bytes hold when somebody logged in, and hashes.
    look.without_bytes();
    Ok(Some(items))
}

fn groups(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let mut items = RawItems::new();
    let mut found = false;
    for path in GROUPS {
        let Some(all) = key(look, path, 1)? else { continue };
        found = true;
        for (number, group) in accounts(&all) {
            let Some((name, members)) = of_group(group) else {
                blank(look, path, &format!("{number:08X}"), Reason::Malformed)?;
                continue;
            };
            say(&mut items, [name.as_str(), "id"], ItemValue::Integer(i64::from(number)));
            say(&mut items, [name.as_str(), "members"], ItemValue::Set(members));
        }
    }
    Ok(found.then_some(items))
}

/// The name, the full name and the flags of an account.
fn account(user: &Key) -> Option<(String, String, u16)> {
    let v = user.bytes("V")?;
    let flags = user.bytes("F").and_then(|f| short(f, FLAGS))?;
    Some((text(v, 0x0c, DATA_OF_USER)?, text(v, 0x18, DATA_OF_USER)?, flags))
}

/// The name and the members of a group.
fn of_group(group: &Key) -> Option<(String, BTreeSet<ItemValue>)> {
    let c = group.bytes("C")?;
    Some((text(c, 0x10, DATA_OF_GROUP)?, members(c)?))
}

/// The keys that are accounts: their numbers are their names, in hexadecimal digits.
fn accounts(all: &Key) -> impl Iterator<Item = (u32, &Key)> {
    all.keys.iter().filter_map(|(name, key)| {
        let number = (name.len() == 8).then(|| u32::from_str_radix(name, 16).ok())??;
        Some((number, key))
    })
}

/// The text whose place and length in bytes stand at `at`.
fn text(bytes: &[u8], at: usize, data: usize) -> Option<String> {
    let (place, length) = (long(bytes, at)?, long(bytes, at + 4)?);
    let begin = data.checked_add(place)?;
    bytes.get(begin..begin.checked_add(length)?).map(wide)
}

/// The members of a group: one security identifier after the other.
fn members(c: &[u8]) -> Option<BTreeSet<ItemValue>> {
    let (place, count) = (long(c, 0x28)?, long(c, 0x30)?);
    let mut rest = c.get(DATA_OF_GROUP.checked_add(place)?..)?;
    let mut members = BTreeSet::new();
    for _ in 0..count {
        let (member, next) = identifier(rest)?;
        members.insert(ItemValue::Text(member));
        rest = next;
    }
    Some(members)
}

/// The security identifier at the beginning (MS-DTYP 2.4.2.2), and what follows it.
fn identifier(bytes: &[u8]) -> Option<(String, &[u8])> {
    let [revision, count] = *bytes.first_chunk::<2>()?;
    let authority = bytes.get(2..8)?.iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    let (own, rest) = bytes.get(8..)?.split_at_checked(4 * usize::from(count))?;
    let mut text = format!("S-{revision}-{authority}");
    for part in own.as_chunks::<4>().0 {
        text.push_str(&format!("-{}", u32::from_le_bytes(*part)));
    }
    Some((text, rest))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))?;
    usize::try_from(number).ok()
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}
