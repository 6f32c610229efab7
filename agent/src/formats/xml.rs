//! XML 1.0, as items keyed by the elements on the way to them.
//!
//! Two files that differ beyond comments and white space give different items, and two that do not
//! give the same: what canonical XML (<https://www.w3.org/TR/xml-c14n>) keeps is kept, but white
//! space in text counts only as a separator. An element is its tag and its `name`, else its `id` or
//! `key`; further ones of the same key are numbered (`#2`). Its own item holds its text, or the
//! attribute `value` of one that has a name; other attributes are items `@…` below it. Elements,
//! text between them and processing instructions keep their order.
//!
//! Entities of the document itself are replaced; those that name others are not followed, and
//! default attributes of a document type are not added.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems, key_names};
use roxmltree::{Document, Node, ParsingOptions};

use super::build::Builder;
use super::lines::decode;
use super::{Format, FormatError};

/// Files of XML that no other format knows better.
pub static FORMAT: Format = Format {
    name: "xml",
    version: 1,
    ordered: "elements, text and instructions keep their order; attributes have none",
    claims: |path, head| path.ends_with(".xml") || is_declared(head),
    read: |bytes| read(bytes, named),
};

/// Whether a file says itself that it is XML, and no page of the web.
fn is_declared(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    head.starts_with(b"<?xml")
        || (head.starts_with(b"<!DOCTYPE ")
            && !head.to_ascii_lowercase().starts_with(b"<!doctype html"))
}

/// White space of XML; a no-break space is none.
const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The most nodes of one document: each item has at most a few around it.
const NODES: usize = 10 * limits::ITEMS_PER_PART;

/// The most bytes that the entities of a document may become.
const ENTITY_BYTES: usize = 4 * limits::ITEMS_PER_PART;

/// The most attributes of one element: the reader holds each against all others. Real elements stay
/// under 100.
const ATTRIBUTES: usize = 512;

/// The most namespaces that a document declares: an element that declares one copies all above it.
const NAMESPACES: usize = 4_096;

/// Attributes that name an element, in the order in which they are looked for; the second stands
/// before the name in its key.
const NAMES: [(&str, &str); 6] =
    [("name", ""), ("Name", ""), ("id", "id="), ("Id", "Id="), ("ID", "ID="), ("key", "key=")];

/// Attributes that hold what the element's name names.
const VALUES: [&str; 5] = ["value", "val", "data", "default", "content"];

/// Elements whose text names what another one beside them holds, as in property lists and
/// deployment descriptors: `<key>Password</key><string>…</string>`.
const NAME_TAGS: &[&str] = &["name", "key"];

/// Elements that hold what one before them names.
const VALUE_TAGS: &[&str] = &["value", "val", "content", "string", "integer", "real", "data"];

/// Whether `tag`, or its last word, is one of these: `param-value` is a `value`.
fn is_of(tag: &str, tags: &[&str]) -> bool {
    let word = tag.rsplit(['-', ':', '_']).next().unwrap_or(tag);
    tags.iter().any(|tag| tag.eq_ignore_ascii_case(word))
}

/// An element before it has a key.
pub(super) struct Element<'a> {
    /// Its tag as written, with a prefix if it has one.
    pub(super) tag: &'a str,
    /// Its attributes as written, in the order of their names.
    pub(super) attributes: BTreeMap<&'a str, &'a str>,
}

/// How an element is keyed, and what it says itself.
#[derive(Default)]
pub(super) struct Named<'a> {
    /// What follows its tag in the key.
    pub(super) name: Vec<String>,
    /// Its own value.
    pub(super) value: Option<String>,
    /// Attributes that are in `name` and `value` already.
    pub(super) spent: BTreeSet<&'a str>,
    /// Whether what it holds is keyed as if it were not there.
    pub(super) transparent: bool,
}

/// Names an element by what most documents have.
pub(super) fn named<'a>(element: &Element<'a>) -> Named<'a> {
    let find = |(name, before): &(&'static str, &str)| {
        let value = element.attributes.get(name)?;
        Some((*name, format!("{before}{value}")))
    };
    let Some((name, segment)) = NAMES.iter().find_map(find) else { return Named::default() };
    let value = element.attributes.get("value").map(ToString::to_string);
    let spent = [Some(name), value.is_some().then_some("value")].into_iter().flatten().collect();
    Named { name: vec![segment], value, spent, transparent: false }
}

/// The items of a document whose elements are keyed by `naming`.
pub(super) fn read(
    bytes: &[u8],
    naming: for<'a> fn(&Element<'a>) -> Named<'a>,
) -> Result<RawItems, FormatError> {
    let text = decode(bytes);
    let document = parse(&text)?;
    Ok(items(&document, naming)?.finish())
}

/// The document that `text` is.
pub(crate) fn parse(text: &str) -> Result<Document<'_>, FormatError> {
    check_entities(text)?;
    check_attributes(text)?;
    let nodes_limit = u32::try_from(NODES).unwrap_or(u32::MAX);
    let options = ParsingOptions { allow_dtd: true, nodes_limit, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|error| {
        use roxmltree::Error::{AttributesLimitReached, NamespacesLimitReached, NodesLimitReached};
        if let NodesLimitReached | AttributesLimitReached | NamespacesLimitReached = error {
            return FormatError::TooLarge;
        }
        FormatError::malformed(error.pos().row, "this is no well-formed XML")
    })
}

/// Refuses elements of so many attributes, and so many namespaces, that reading them would cost
/// their square.
fn check_attributes(text: &str) -> Result<(), FormatError> {
    // No attribute holds a `<`, so what stands before the next one is all there is of an element.
    let crowded = text.split('<').skip(1).any(|element| attributes(element) > ATTRIBUTES);
    if crowded || text.matches("xmlns").count() > NAMESPACES {
        return Err(FormatError::TooLarge);
    }
    Ok(())
}

/// How many attributes the element at the beginning of `text` has; too many for one whose quotes do
/// not close.
fn attributes(text: &str) -> usize {
    let mut quote = None;
    let mut count = 0;
    for byte in text.bytes() {
        match (quote, byte) {
            (None, b'>') => break,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            (None, b'=') => count += 1,
            _ => {}
        }
    }
    if quote.is_some() { text.matches('=').count() } else { count }
}

/// Refuses entities that would grow: those made of others, and long ones used often.
fn check_entities(text: &str) -> Result<(), FormatError> {
    let Some(declared) = text.find("<!ENTITY").and_then(|at| text.get(at..)) else {
        return Ok(());
    };
    let (declared, used) = declared.split_once("]>").unwrap_or((declared, ""));
    let references = |text: &str| text.matches('&').count() - text.matches("&#").count();
    if references(declared) > 0 || references(used) * declared.len() > ENTITY_BYTES {
        return Err(FormatError::TooLarge);
    }
    Ok(())
}

/// The items of `document`, and room for more.
pub(super) fn items(
    document: &Document<'_>,
    naming: for<'a> fn(&Element<'a>) -> Named<'a>,
) -> Result<Builder, FormatError> {
    let source = document.input_text();
    let mut walker = Walker {
        source,
        naming,
        items: Builder::default(),
        path: Vec::new(),
        numbers: BTreeMap::new(),
    };
    walker.children(document.root(), 0)?;
    Ok(walker.items)
}

struct Walker<'a> {
    source: &'a str,
    naming: for<'b> fn(&Element<'b>) -> Named<'b>,
    items: Builder,
    path: Vec<String>,
    /// How often a key was wanted that was taken.
    numbers: BTreeMap<ItemKey, u32>,
}

impl<'a> Walker<'a> {
    fn children(&mut self, parent: Node<'a, 'a>, depth: usize) -> Result<(), FormatError> {
        if depth > limits::NESTING {
            return Err(FormatError::TooLarge);
        }
        let mut text = String::new();
        // What the element before says the next one is the value of.
        let mut named: Option<String> = None;
        for node in parent.children() {
            if node.is_text() {
                text.push_str(node.text().unwrap_or_default());
            } else if node.is_element() {
                self.text(&mut text)?;
                let tag = self.tag(node);
                let value = named.take_if(|_| is_of(tag, VALUE_TAGS));
                self.element(node, depth, value.as_deref())?;
                if is_of(tag, NAME_TAGS) {
                    named = Some(spaced(&content(node)));
                }
            } else if let Some(instruction) = node.pi() {
                self.text(&mut text)?;
                let value = ItemValue::text(spaced(instruction.value.unwrap_or_default()));
                self.below(&format!("?{}", instruction.target), |walker, key| {
                    walker.items.place(&key, value)
                })?;
            }
        }
        self.text(&mut text)
    }

    /// Text that stands between elements.
    fn text(&mut self, text: &mut String) -> Result<(), FormatError> {
        let said = spaced(&std::mem::take(text));
        if said.is_empty() {
            return Ok(());
        }
        let item = self.item(said);
        self.below("(text)", |walker, key| walker.items.place_item(&key, item))
    }

    /// One element, the value of `named` where another one beside it says so.
    fn element(
        &mut self,
        node: Node<'a, 'a>,
        depth: usize,
        named: Option<&str>,
    ) -> Result<(), FormatError> {
        let above = self.path.len();
        let element = Element { tag: self.tag(node), attributes: self.attributes(node) };
        let Named { name, value, spent, transparent } = (self.naming)(&element);
        let leaf = node.children().all(|child| child.is_text() || child.is_comment());
        let text = (leaf && value.is_none() && name.is_empty()).then(|| spaced(&content(node)));
        self.path.push(element.tag.to_owned());
        self.path.extend(name);
        self.number();
        let said = value.or(text.clone().filter(|text| !text.is_empty()));
        let said = said.map_or(ItemValue::Nothing, ItemValue::Text);
        let key: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let secret = named.is_some_and(|n| key_names::names_secret(&ItemKey::of([n]), &said));
        let item = if secret { RawItem::secret(said) } else { RawItem::plain(said) };
        self.items.place_item(&key, item)?;
        for (name, value) in element.attributes {
            if !spent.contains(name) {
                self.attribute(name, value)?;
            }
        }
        for (name, value) in namespaces(node) {
            self.attribute(&name, value)?;
        }
        if transparent {
            self.path.truncate(above);
        }
        if text.is_none() {
            self.children(node, depth + 1)?;
        }
        self.path.truncate(above);
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), FormatError> {
        let item = if VALUES.contains(&name) {
            self.item(value.to_owned())
        } else {
            RawItem::plain(ItemValue::text(value))
        };
        self.below(&format!("@{name}"), |walker, key| walker.items.insert(ItemKey::of(key), item))
    }

    /// Text that the name of the element it stands in may make a secret.
    fn item(&self, text: String) -> RawItem {
        let value = ItemValue::Text(text);
        let secret = key_names::names_secret(&ItemKey::of(&self.path), &value);
        if secret { RawItem::secret(value) } else { RawItem::plain(value) }
    }

    /// Does something with a free key below the present element.
    fn below(
        &mut self,
        segment: &str,
        put: impl FnOnce(&mut Self, Vec<&str>) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let above = self.path.len();
        self.path.push(segment.to_owned());
        self.number();
        let path = self.path.clone();
        let done = put(self, path.iter().map(String::as_str).collect());
        self.path.truncate(above);
        done
    }

    /// Adds a number to the path where its key is taken.
    fn number(&mut self) {
        let wanted = ItemKey::of(&self.path);
        if !self.items.has(&wanted) {
            return;
        }
        loop {
            let number = self.numbers.entry(wanted.clone()).or_insert(1);
            *number += 1;
            self.path.push(format!("#{number}"));
            if !self.items.has(&ItemKey::of(&self.path)) {
                return;
            }
            self.path.pop();
        }
    }

    /// The tag as written: the parser knows a prefix only by what it stands for.
    fn tag(&self, node: Node<'a, 'a>) -> &'a str {
        let from = self.source.get(node.range().start + 1..).unwrap_or_default();
        let end = |c: char| BLANKS.contains(&c) || matches!(c, '/' | '>');
        from.split(end).next().unwrap_or_default()
    }

    fn attributes(&self, node: Node<'a, 'a>) -> BTreeMap<&'a str, &'a str> {
        let name = |range| self.source.get(range).unwrap_or_default();
        node.attributes().map(|a| (name(a.range_qname()), a.value())).collect()
    }
}

/// Name spaces that begin to mean something at `node`.
fn namespaces<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = (String, &'a str)> {
    let above = node.parent_element();
    let known = move |name: Option<&str>| above.and_then(|a| a.lookup_namespace_uri(name));
    node.namespaces().filter(move |space| known(space.name()) != Some(space.uri())).filter_map(
        |space| match space.name() {
            Some("xml") => None,
            Some(name) => Some((format!("xmlns:{name}"), space.uri())),
            None => Some(("xmlns".to_owned(), space.uri())),
        },
    )
}

/// All text of an element that holds nothing else.
fn content(node: Node<'_, '_>) -> String {
    node.children().filter(Node::is_text).filter_map(|child| child.text()).collect()
}

/// `text` with one blank for each run of white space, and none around it.
fn spaced(text: &str) -> String {
    let words: Vec<&str> = text.split(BLANKS).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
