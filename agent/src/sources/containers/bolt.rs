//! A reader of BoltDB, the store of many programs in Go: buckets of keys and values in a tree of
//! pages (go.etcd.io/bbolt: `page.go`, `node.go`, `bucket.go`, `meta.go`; numbers are in the order
//! of the machine that wrote them, which is taken to be little endian).
//!
//! The first two pages are metas, of which the newest whole one counts; it names the page of the
//! root bucket. A branch page leads to pages, a leaf page holds keys with values; a value that is
//! marked as a bucket names its own root page, or holds that page behind itself where it is small.
//!
//! Nothing is written or locked, and nothing is believed: each offset and length is checked, no
//! walk visits a page twice, none holds more pages or keys than [`Bucket::all`] says, and all walks
//! through one database together take no more steps than whoever opens it allows.

use std::cell::Cell;
use std::collections::BTreeSet;

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::Reason;

/// What marks a meta page.
const MAGIC: u32 = 0xED0C_DAED;

/// The version of the format, the same since 2014.
const VERSION: u32 = 2;

/// What is before the elements of a page, and the size of an element.
const HEAD: usize = 16;
const ELEMENT: usize = 16;

/// Sizes that a page may have; the file says which one it is, where its first page is whole.
const PAGE_SIZES: [usize; 7] = [1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536];

/// How deep buckets may stand in each other.
const DEPTH: usize = 8;

/// The most keys of one bucket that are read; a container is one.
const KEYS: usize = 65_536;

/// How many bytes of a key take a step more: many keys may be the same large piece of the file, and
/// whoever sorts them compares all of it.
const KEY_BYTES: usize = 16;

/// Why a database is not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The file is no BoltDB, or damaged.
    #[error("not a database of BoltDB, or one that was written while it was read")]
    Corrupt,
    /// It has more than is read of one: whoever wrote it may be out to take our time or memory.
    #[error("a database of BoltDB with more pages and keys than are read of one")]
    TooLarge,
}

use Refused::{Corrupt, TooLarge};

impl From<Refused> for Reason {
    fn from(refused: Refused) -> Self {
        match refused {
            Corrupt => Self::Malformed,
            TooLarge => Self::TooLarge,
        }
    }
}

/// A database in memory.
#[derive(Debug)]
pub struct Bolt<'a> {
    bytes: &'a [u8],
    page_bytes: usize,
    root: u64,
    /// How many pages and keys may still be looked at.
    steps: Cell<usize>,
}

/// Keys with their values, in the order of the keys.
#[derive(Clone, Copy, Debug)]
pub struct Bucket<'a> {
    bolt: &'a Bolt<'a>,
    root: Root<'a>,
    depth: usize,
}

/// Where a bucket begins.
#[derive(Clone, Copy, Debug)]
enum Root<'a> {
    Page(u64),
    /// A page without a number, behind the bucket itself.
    Inline(&'a [u8]),
}

/// What stands under a key.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// More keys.
    Bucket(Bucket<'a>),
}

/// The database in `bytes`, of which so many pages and keys are looked at, each as often as it is:
/// many buckets may name one page, so that a small file is as good as an endless one.
///
/// # Errors
/// [`Refused::Corrupt`] where neither meta page is whole.
pub fn open(bytes: &[u8], steps: usize) -> Result<Bolt<'_>, Refused> {
    let first = meta(bytes, 0);
    let sizes = first.map_or(PAGE_SIZES.to_vec(), |meta| vec![meta.page_bytes]);
    let second = sizes.into_iter().find_map(|size| meta(bytes, size));
    let newest = [first, second].into_iter().flatten().max_by_key(|meta| meta.transaction);
    let Meta { page_bytes, root, .. } = newest.ok_or(Corrupt)?;
    Ok(Bolt { bytes, page_bytes, root, steps: Cell::new(steps) })
}

#[derive(Clone, Copy)]
struct Meta {
    page_bytes: usize,
    root: u64,
    transaction: u64,
}

/// The meta page at `at`; nothing where it is not whole.
fn meta(bytes: &[u8], at: usize) -> Option<Meta> {
    let meta = bytes.get(at.checked_add(HEAD)?..)?;
    let (sum, fields) = (number(meta, 56)?, meta.get(..56)?);
    let page_bytes = usize::try_from(small(meta, 8)?).ok()?;
    let whole = small(meta, 0)? == MAGIC
        && small(meta, 4)? == VERSION
        && PAGE_SIZES.contains(&page_bytes)
        && sum == fnv(fields);
    whole.then_some(Meta { page_bytes, root: number(meta, 16)?, transaction: number(meta, 48)? })
}

impl<'a> Bucket<'a> {
    /// The bucket under `key`; `None` where there is none.
    ///
    /// # Errors
    /// As [`Bucket::all`].
    pub fn bucket(&self, key: &[u8]) -> Result<Option<Self>, Refused> {
        Ok(self.all()?.into_iter().find_map(|(found, value)| match value {
            Value::Bucket(bucket) if found == key => Some(bucket),
            Value::Bucket(_) | Value::Bytes(_) => None,
        }))
    }

    /// The bytes under `key`; `None` where there are none.
    ///
    /// # Errors
    /// As [`Bucket::all`].
    pub fn bytes(&self, key: &[u8]) -> Result<Option<&'a [u8]>, Refused> {
        Ok(self.all()?.into_iter().find_map(|(found, value)| match value {
            Value::Bytes(bytes) if found == key => Some(bytes),
            Value::Bytes(_) | Value::Bucket(_) => None,
        }))
    }

    /// Every key with its value.
    ///
    /// # Errors
    /// [`Refused::Corrupt`], also where two ways lead to one page and where more pages are named
    /// than the file has; [`Refused::TooLarge`] above 65,536 keys, and once all walks through the
    /// database have come to more steps than it was opened with.
    pub fn all(&self) -> Result<Vec<(&'a [u8], Value<'a>)>, Refused> {
        let mut all = Vec::new();
        let pages = self.bolt.bytes.len() / self.bolt.page_bytes;
        let (mut waiting, mut visited) = (vec![self.root], BTreeSet::new());
        while let Some(root) = waiting.pop() {
            let page = match root {
                Root::Page(number) if !visited.insert(number) => return Err(Corrupt),
                Root::Page(number) => self.bolt.page(number).ok_or(Corrupt)?,
                Root::Inline(page) => page,
            };
            let count = usize::from(half(page, 10).ok_or(Corrupt)?);
            self.bolt.walk(1 + count)?;
            match half(page, 8).ok_or(Corrupt)? {
                BRANCH => {
                    if waiting.len().saturating_add(count) > pages {
                        return Err(Corrupt);
                    }
                    for index in (0..count).rev() {
                        let child = number(page, HEAD + index * ELEMENT + 8).ok_or(Corrupt)?;
                        waiting.push(Root::Page(child));
                    }
                }
                LEAF => {
                    if all.len().saturating_add(count) > KEYS {
                        return Err(TooLarge);
                    }
                    for index in 0..count {
                        let element = self.element(page, HEAD + index * ELEMENT).ok_or(Corrupt)?;
                        self.bolt.walk(element.0.len() / KEY_BYTES)?;
                        all.push(element);
                    }
                }
                _ => return Err(Corrupt),
            }
        }
        Ok(all)
    }

    /// The key and value whose element stands at `at` of a leaf page.
    fn element(&self, page: &'a [u8], at: usize) -> Option<(&'a [u8], Value<'a>)> {
        let field = |offset| usize::try_from(small(page, at + offset)?).ok();
        let key_at = at.checked_add(field(4)?)?;
        let value_at = key_at.checked_add(field(8)?)?;
        let key = page.get(key_at..value_at)?;
        let value = page.get(value_at..value_at.checked_add(field(12)?)?)?;
        if field(0)? & 1 == 0 {
            return Some((key, Value::Bytes(value)));
        }
        let root = match number(value, 0)? {
            0 => Root::Inline(value.get(16..)?),
            page => Root::Page(page),
        };
        let depth = self.depth + 1;
        let bucket = Self { bolt: self.bolt, root, depth };
        (depth <= DEPTH).then_some((key, Value::Bucket(bucket)))
    }
}

/// What a page is for.
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;

impl<'a> Bolt<'a> {
    /// The bucket that holds all others.
    pub fn root(&'a self) -> Bucket<'a> {
        Bucket { bolt: self, root: Root::Page(self.root), depth: 0 }
    }

    /// Notes that so many pages and keys are looked at.
    fn walk(&self, steps: usize) -> Result<(), Refused> {
        if !mutant::active(Mutant::DatabasesWithoutEnd) {
            self.steps.set(self.steps.get().checked_sub(steps).ok_or(TooLarge)?);
        }
        Ok(())
    }

    /// A page with what overflows into those behind it.
    fn page(&self, page: u64) -> Option<&'a [u8]> {
        let at = usize::try_from(page).ok()?.checked_mul(self.page_bytes)?;
        let overflow = usize::try_from(small(self.bytes, at.checked_add(12)?)?).ok()?;
        let length = overflow.checked_add(1)?.checked_mul(self.page_bytes)?;
        let page = self.bytes.get(at..at.checked_add(length)?)?;
        // Each page says its own number.
        (number(page, 0)? == at as u64 / self.page_bytes as u64).then_some(page)
    }
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn small(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// FNV-1a, as a meta page sums itself.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const PAGE: usize = 1_024;

    /// More than any test takes.
    const STEPS: usize = 1_000_000;

    pub(in super::super) fn page(
        number: u64,
        kind: u16,
        elements: &[(Vec<u8>, Vec<u8>)],
    ) -> Vec<u8> {
        let count = u16::try_from(elements.len()).unwrap();
        let mut page = number.to_le_bytes().to_vec();
        page.extend([kind.to_le_bytes(), count.to_le_bytes()].concat());
        page.extend(0_u32.to_le_bytes());
        elements.iter().for_each(|(element, _)| page.extend(element));
        elements.iter().for_each(|(_, data)| page.extend(data));
        page
    }

    /// A leaf with these keys and values, each marked as a bucket or not.
    pub(in super::super) fn leaf(number: u64, all: &[(&[u8], Vec<u8>, bool)]) -> Vec<u8> {
        let mut data = 0;
        let element = |(index, (key, value, is_bucket)): (usize, &(&[u8], Vec<u8>, bool))| {
            let position = (all.len() - index) * ELEMENT + data;
            data += key.len() + value.len();
            let numbers = [usize::from(*is_bucket), position, key.len(), value.len()];
            let numbers = numbers.map(|number| u32::try_from(number).unwrap().to_le_bytes());
            (numbers.concat(), [key, value.as_slice()].concat())
        };
        page(number, LEAF, &all.iter().enumerate().map(element).collect::<Vec<_>>())
    }

    pub(in super::super) fn branch(number: u64, children: &[u64]) -> Vec<u8> {
        let element = |child: &u64| ([&[0; 8], &child.to_le_bytes()[..]].concat(), Vec::new());
        page(number, BRANCH, &children.iter().map(element).collect::<Vec<_>>())
    }

    pub(in super::super) fn meta_page(number: u64, root: u64) -> Vec<u8> {
        let head = [MAGIC, VERSION, u32::try_from(PAGE).unwrap(), 0].map(u32::to_le_bytes);
        let numbers = [root, 0, 2, 9, 7 + number].map(u64::to_le_bytes);
        let fields = [head.as_flattened(), numbers.as_flattened()].concat();
        let sum = fnv(&fields).to_le_bytes();
        [page(number, 4, &[]), fields, sum.to_vec()].concat()
    }

    pub(in super::super) fn bucket_at(root: u64) -> Vec<u8> {
        [root, 0].map(u64::to_le_bytes).concat()
    }

    pub(in super::super) fn inline(all: &[(&[u8], Vec<u8>, bool)]) -> Vec<u8> {
        [bucket_at(0), leaf(0, all)].concat()
    }

    /// Buckets `ctr` over two leaves, whose buckets stand in line.
    fn database() -> Vec<Vec<u8>> {
        let container = |text: &str| inline(&[(b"config", text.into(), false)]);
        vec![
            meta_page(0, 8),
            meta_page(1, 3),
            page(2, 0x10, &[]),
            leaf(3, &[(b"ctr", bucket_at(4), true), (b"version", b"1".to_vec(), false)]),
            branch(4, &[5, 6]),
            leaf(5, &[(b"a", container("first"), true)]),
            leaf(6, &[(b"b", container("second"), true), (b"c", b"none".to_vec(), false)]),
        ]
    }

    /// The pages of a file, each with as many behind it as it needs.
    pub(in super::super) fn file(pages: &[Vec<u8>]) -> Vec<u8> {
        let padded = |page: &Vec<u8>| {
            let (mut page, overflow) = (page.clone(), page.len().div_ceil(PAGE) - 1);
            page.resize(PAGE * (overflow + 1), 0);
            page[12..16].copy_from_slice(&u32::try_from(overflow).unwrap().to_le_bytes());
            page
        };
        pages.iter().flat_map(padded).collect()
    }

    fn configs(bytes: &[u8]) -> Result<Vec<String>, Refused> {
        let bolt = open(bytes, STEPS)?;
        let containers = bolt.root().bucket(b"ctr")?.ok_or(Corrupt)?;
        let mut found = Vec::new();
        for (_, value) in containers.all()? {
            let Value::Bucket(bucket) = value else { continue };
            found.extend(bucket.bytes(b"config")?.map(|b| String::from_utf8_lossy(b).into_owned()));
        }
        Ok(found)
    }

    #[test]
    fn the_newest_whole_meta_leads_to_every_key() {
        let mut pages = database();
        assert_eq!(configs(&file(&pages)).unwrap(), ["first", "second"]);
        let whole = file(&pages);
        assert_eq!(open(&whole, STEPS).unwrap().root().bytes(b"version"), Ok(Some(&b"1"[..])));
        // The first meta is torn, and the second says where pages end.
        pages[0][30] ^= 1;
        assert_eq!(configs(&file(&pages)).unwrap(), ["first", "second"]);
        pages[1][30] ^= 1;
        assert_eq!(configs(&file(&pages)), Err(Corrupt));
    }

    #[test]
    fn pages_that_lead_astray_are_noticed() {
        for (number, page) in [
            (4, branch(4, &[4, 4])),
            // Two ways to one leaf would tell its keys twice.
            (4, branch(4, &[5, 5])),
            (4, branch(4, &[4; 60])),
            (4, branch(4, &[5, 99])),
            (4, branch(4, &[u64::MAX])),
            (5, leaf(7, &[])),
            (5, meta_page(5, 3)),
        ] {
            let mut pages = database();
            pages[number] = page;
            assert_eq!(configs(&file(&pages)), Err(Corrupt), "page {number}");
        }
    }

    #[test]
    fn a_bucket_with_more_keys_than_any_has_is_refused() {
        let mut pages = database();
        let key = |_| (&b""[..], Vec::new(), false);
        for (keys, expect) in [(1_000, Ok(KEYS / 1_000 * 1_000)), (1_100, Err(TooLarge))] {
            let leaves = KEYS as u64 / 1_000;
            let length = (HEAD + keys * ELEMENT).div_ceil(PAGE) as u64;
            let numbers: Vec<u64> = (0..leaves).map(|leaf| 8 + leaf * length).collect();
            let mut many = branch(4, &numbers);
            many.resize(2 * PAGE, 0);
            pages.truncate(4);
            pages.extend([many, leaf(6, &[]), leaf(7, &[])]);
            let all: Vec<_> = (0..keys).map(key).collect();
            pages.extend(numbers.iter().map(|number| leaf(*number, &all)));
            let bytes = file(&pages);
            let bolt = open(&bytes, STEPS).unwrap();
            let bucket = bolt.root().bucket(b"ctr").unwrap().unwrap();
            assert_eq!(bucket.all().map(|all| all.len()), expect, "{keys}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_byte_becomes_the_walk_ends(at in 0_usize..7 * PAGE, byte: u8) {
            let mut bytes = file(&database());
            bytes[at] = byte;
            drop(configs(&bytes));
        }
    }
}
