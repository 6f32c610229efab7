//! Rules of packet filters: scripts of nft(8), and what iptables-save(8) writes.
//!
//! A table or chain of nftables that comes again continues the first, as nft takes it. Rules are
//! kept as they are written, with every run of blanks as one; the order of rules is their meaning.
//! Counters of packets, which each save writes, are left out. `define` is not replaced.

use std::collections::BTreeSet;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{decode, first_word, is_in, meaningful, words};
use super::{Format, FormatError};

/// A script of nft.
pub static NFT: Format = Format {
    name: "nftables",
    version: 1,
    ordered: "rules and commands keep their order; tables, chains, sets and elements have none",
    claims: |path, _| {
        matches!(path, "/etc/nftables.conf" | "/etc/sysconfig/nftables.conf")
            || path.ends_with(".nft")
    },
    read: read_nft,
};

/// The longest heading, in bytes: it stands in the key of everything below it. Names of the kernel
/// have 256 bytes at most.
const HEADING_BYTES: usize = 1_024;

/// What iptables-save and ip6tables-save write, and ufw keeps.
pub static IPTABLES: Format = Format {
    name: "iptables",
    version: 1,
    ordered: "rules keep their order; tables and chains have none",
    claims: |path, _| {
        matches!(path, "/etc/sysconfig/iptables" | "/etc/sysconfig/ip6tables")
            || is_in(path, "/etc/iptables", ".rules")
            || is_in(path, "/etc/iptables", "rules.v4")
            || is_in(path, "/etc/iptables", "rules.v6")
            || is_in(path, "/etc/ufw", ".rules")
    },
    read: read_iptables,
};

/// What an open brace began.
enum Block {
    Table(String),
    Chain {
        table: String,
        chain: String,
    },
    /// A set, a map, a counter and their like.
    Object {
        table: String,
        name: String,
    },
}

/// A script as it is read.
#[derive(Default)]
struct Script {
    items: Builder,
    blocks: Vec<Block>,
    statement: String,
    /// Braces open within the statement.
    depth: usize,
    line: u32,
}

fn read_nft(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut script = Script { line: 1, ..Script::default() };
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                script.statement.push('"');
                for inner in characters.by_ref() {
                    script.statement.push(inner);
                    if inner == '"' {
                        break;
                    }
                }
            }
            '#' => while characters.next_if(|next| *next != '\n').is_some() {},
            '\r' => script.statement.push(' '),
            '\\' if characters.next_if_eq(&'\n').is_some() => {
                script.line += 1;
                script.statement.push(' ');
            }
            '{' => script.open()?,
            '}' => script.close()?,
            '\n' | ';' if script.depth == 0 => script.finish()?,
            '\n' => script.statement.push(' '),
            other => script.statement.push(other),
        }
        script.line += u32::from(character == '\n');
    }
    script.finish()?;
    if script.blocks.is_empty() && script.depth == 0 {
        return Ok(script.items.finish());
    }
    Err(FormatError::malformed(script.line, "a brace is not closed"))
}

impl Script {
    fn open(&mut self) -> Result<(), FormatError> {
        // Below a chain or a set nothing has a heading; looking for one at each brace would cost
        // the square of a statement.
        let within = matches!(self.blocks.last(), Some(Block::Chain { .. } | Block::Object { .. }));
        if self.depth > 0 || within {
            self.depth += 1;
            self.statement.push('{');
            return Ok(());
        }
        let heading = words(&self.statement).collect::<Vec<_>>().join(" ");
        let block = match self.blocks.last() {
            None => heading.starts_with("table ").then(|| Block::Table(heading.clone())),
            Some(Block::Table(table)) => Some(match first_word(&heading).0 {
                "chain" => Block::Chain { table: table.clone(), chain: heading.clone() },
                _ => Block::Object { table: table.clone(), name: heading.clone() },
            }),
            Some(Block::Chain { .. } | Block::Object { .. }) => None,
        };
        match block {
            Some(_) if heading.len() > HEADING_BYTES => return Err(FormatError::TooLarge),
            Some(block) => {
                self.statement.clear();
                self.blocks.push(block);
            }
            None => {
                self.depth += 1;
                self.statement.push('{');
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), FormatError> {
        if self.depth > 0 {
            self.depth -= 1;
            self.statement.push('}');
            return Ok(());
        }
        self.finish()?;
        let closed = self.blocks.pop();
        let line = self.line;
        let closed =
            closed.ok_or_else(|| FormatError::malformed(line, "a brace closes nothing"))?;
        // A table, chain or set without anything in it is one all the same.
        match closed {
            Block::Table(table) => self.items.set(ItemKey::of([table]), ItemValue::Nothing),
            Block::Chain { table, chain: name } | Block::Object { table, name } => {
                self.items.set(ItemKey::of([table, name]), ItemValue::Nothing)
            }
        }
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        let taken = std::mem::take(&mut self.statement);
        let statement = words(&taken).collect::<Vec<_>>().join(" ");
        if statement.is_empty() {
            return Ok(());
        }
        let (word, rest) = first_word(&statement);
        let value = ItemValue::text(rest);
        match self.blocks.last() {
            None => match (word, rest.split_once('=')) {
                ("define", Some((name, value))) => {
                    let key = ItemKey::of(["define", name.trim()]);
                    self.items.set(key, ItemValue::text(value.trim()))
                }
                _ => self.items.place(&["command", &statement], ItemValue::Nothing),
            },
            Some(Block::Table(table)) => self.items.set(ItemKey::of([table, word]), value),
            Some(Block::Chain { table, chain }) => match word {
                "type" | "policy" | "comment" => {
                    self.items.set(ItemKey::of([table, chain, word]), value)
                }
                _ => self.items.place(&[table, chain, &statement], ItemValue::Nothing),
            },
            Some(Block::Object { table, name }) => {
                let key = ItemKey::of([table, name, word]);
                match rest.strip_prefix('=').map(str::trim) {
                    Some(all) if word == "elements" => self.items.set(key, elements(all)?),
                    _ => self.items.set(key, value),
                }
            }
        }
    }
}

/// The elements of `{ a, b }`, which have no order.
fn elements(text: &str) -> Result<ItemValue, FormatError> {
    let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
    let each = inner.split(',').map(str::trim).filter(|element| !element.is_empty());
    let set: BTreeSet<ItemValue> = each.map(ItemValue::text).collect();
    if set.len() > limits::VALUES_PER_ITEM {
        return Err(FormatError::TooLarge);
    }
    Ok(ItemValue::Set(set))
}

fn read_iptables(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let mut items = Builder::default();
    let mut table: Option<&str> = None;
    for (number, line) in meaningful(&text, &['#']) {
        if let Some(name) = line.strip_prefix('*') {
            table = Some(name.trim()).filter(|name| name.len() <= HEADING_BYTES);
            continue;
        }
        if line == "COMMIT" {
            table = None;
            continue;
        }
        let within =
            table.ok_or_else(|| FormatError::malformed(number, "a line outside a table"))?;
        if let Some(chain) = line.strip_prefix(':') {
            let (name, rest) = first_word(chain);
            let value = match first_word(rest).0 {
                "" | "-" => ItemValue::Nothing,
                policy => ItemValue::text(policy),
            };
            items.set(ItemKey::of([within, name]), value)?;
            continue;
        }
        // `-c` saves counters in front of each rule.
        let rule = match line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((_, rule)) => rule.trim(),
            None => line,
        };
        let (command, rest) = first_word(rule);
        if !command.starts_with('-') {
            return Err(FormatError::malformed(number, "a rule begins with a command"));
        }
        let (chain, rule) = first_word(rest);
        let rule = words(rule).collect::<Vec<_>>().join(" ");
        match command {
            "-A" => items.place(&[within, chain, &rule], ItemValue::Nothing)?,
            _ => items.place(&[within, chain, &format!("{command} {rule}")], ItemValue::Nothing)?,
        }
    }
    Ok(items.finish())
}
