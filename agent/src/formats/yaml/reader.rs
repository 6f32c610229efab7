//! From events of the parser to one document, within bounds.

use std::collections::BTreeMap;

use driftline_protocol::item::ItemValue;
use driftline_protocol::limits;
use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};

use super::super::FormatError;
use super::super::tree::Value;
use super::scalar;

/// The key that brings in the members of others.
const MERGE: &str = "<<";

/// What a stream of documents says; of several, each under its number.
pub(super) fn document(text: &str) -> Result<Value, FormatError> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: BTreeMap::new(),
        left: Bounds::default(),
        kept: Bounds::default(),
        depth: 0,
        line: 1,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            Event::DocumentStart(_) => {
                // An anchor names something in its own document only.
                reader.anchors.clear();
                let event = reader.next()?;
                documents.push(reader.node(event)?);
                reader.left.take(1, 0)?;
            }
            Event::StreamEnd => break,
            Event::Nothing | Event::StreamStart | Event::DocumentEnd => {}
            Event::Alias(_)
            | Event::Scalar(..)
            | Event::SequenceStart(..)
            | Event::SequenceEnd
            | Event::MappingStart(..)
            | Event::MappingEnd => return Err(reader.malformed("this is no YAML")),
        }
    }
    Ok(match documents.len() {
        0 => Value::Object(BTreeMap::new()),
        1 => documents.swap_remove(0),
        _ => {
            let numbered = (0u32..).map(|number| number.to_string()).zip(documents);
            Value::Object(numbered.collect())
        }
    })
}

/// How much may still be made.
struct Bounds {
    nodes: usize,
    bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { nodes: limits::ITEMS_PER_PART, bytes: limits::PART_BYTES }
    }
}

impl Bounds {
    fn take(&mut self, nodes: usize, bytes: usize) -> Result<(), FormatError> {
        self.nodes = self.nodes.checked_sub(nodes).ok_or(FormatError::TooLarge)?;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(FormatError::TooLarge)?;
        Ok(())
    }

    /// Takes what a copy of `value` needs.
    fn take_copy(&mut self, value: &Value) -> Result<(), FormatError> {
        match value {
            Value::Scalar(ItemValue::Text(text)) => self.take(1, text.len()),
            Value::Scalar(_) => self.take(1, 0),
            Value::Array(elements) => {
                self.take(1, 0)?;
                elements.iter().try_for_each(|element| self.take_copy(element))
            }
            Value::Object(members) => {
                self.take(1, 0)?;
                members.iter().try_for_each(|(name, value)| {
                    self.take(0, name.len())?;
                    self.take_copy(value)
                })
            }
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: BTreeMap<usize, Value>,
    /// For what the document comes to.
    left: Bounds,
    /// For what is kept of it under anchors.
    kept: Bounds,
    depth: usize,
    line: u32,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Event<'a>, FormatError> {
        match self.parser.next_event() {
            None => Ok(Event::StreamEnd),
            Some(Ok((event, span))) => {
                self.line = line(&span);
                Ok(event)
            }
            Some(Err(error)) => {
                let line = u32::try_from(error.marker().line()).unwrap_or(u32::MAX);
                Err(FormatError::malformed(line, "this is no YAML"))
            }
        }
    }

    fn malformed(&self, what: &'static str) -> FormatError {
        FormatError::malformed(self.line, what)
    }

    /// The node that begins with `event`.
    fn node(&mut self, event: Event<'a>) -> Result<Value, FormatError> {
        if self.depth > limits::NESTING {
            return Err(FormatError::TooLarge);
        }
        self.depth += 1;
        let node = match event {
            Event::Alias(anchor) => self.alias(anchor)?,
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref())?;
                self.keep(anchor, node)?
            }
            Event::SequenceStart(anchor, tag) => {
                let node = self.sequence()?;
                self.keep(anchor, tagged(tag.as_deref(), node))?
            }
            Event::MappingStart(anchor, tag) => {
                let node = self.mapping()?;
                self.keep(anchor, tagged(tag.as_deref(), node))?
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => return Err(self.malformed("this is no YAML")),
        };
        self.depth -= 1;
        Ok(node)
    }

    fn alias(&mut self, anchor: usize) -> Result<Value, FormatError> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self.malformed("an alias stands inside what it names"));
        };
        self.left.take_copy(node)?;
        Ok(node.clone())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
    ) -> Result<Value, FormatError> {
        self.left.take(1, text.len())?;
        Ok(Value::Scalar(scalar::value(text, style, tag)))
    }

    fn sequence(&mut self) -> Result<Value, FormatError> {
        self.left.take(1, 0)?;
        let mut elements = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::Array(elements));
            }
            elements.push(self.node(event)?);
        }
    }

    fn mapping(&mut self) -> Result<Value, FormatError> {
        self.left.take(1, 0)?;
        let mut members = BTreeMap::new();
        loop {
            let name = match self.next()? {
                Event::MappingEnd => break,
                Event::Scalar(text, _, anchor, _) => {
                    self.left.take(0, text.len())?;
                    self.keep(anchor, Value::Scalar(ItemValue::text(&*text)))?;
                    text.into_owned()
                }
                Event::Alias(anchor) => match self.alias(anchor)? {
                    Value::Scalar(ItemValue::Text(text)) => text,
                    Value::Scalar(_) | Value::Array(_) | Value::Object(_) => {
                        return Err(self.malformed("a key is no scalar"));
                    }
                },
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::SequenceStart(..)
                | Event::SequenceEnd
                | Event::MappingStart(..) => return Err(self.malformed("a key is no scalar")),
            };
            let line = self.line;
            let event = self.next()?;
            let value = self.node(event)?;
            if members.insert(name, value).is_some() {
                return Err(FormatError::malformed(line, "a key repeats"));
            }
        }
        Ok(Value::Object(merged(members)))
    }

    /// Remembers a node that has an anchor.
    fn keep(&mut self, anchor: usize, node: Value) -> Result<Value, FormatError> {
        // The parser counts anchors from 1.
        if anchor > 0 {
            self.kept.take_copy(&node)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }
}

fn line(span: &Span) -> u32 {
    u32::try_from(span.start.line()).unwrap_or(u32::MAX)
}

/// A list or mapping below its own tag, if it has one.
fn tagged(tag: Option<&Tag>, node: Value) -> Value {
    match tag.and_then(scalar::own) {
        None => node,
        Some(tag) => Value::Object(BTreeMap::from([(tag, node)])),
    }
}

/// The members with those that `<<` brings in; what is there counts more, then the first that is
/// brought in.
fn merged(mut members: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let others = match members.remove(MERGE) {
        None => return members,
        Some(Value::Object(other)) => vec![other],
        Some(Value::Array(others)) => {
            let mapping = |other: &Value| matches!(other, Value::Object(_));
            if !others.iter().all(mapping) {
                members.insert(MERGE.to_owned(), Value::Array(others));
                return members;
            }
            let inner = |other| match other {
                Value::Object(other) => Some(other),
                Value::Scalar(_) | Value::Array(_) => None,
            };
            others.into_iter().filter_map(inner).collect()
        }
        Some(other @ Value::Scalar(_)) => {
            members.insert(MERGE.to_owned(), other);
            return members;
        }
    };
    for (name, value) in others.into_iter().flatten() {
        members.entry(name).or_insert(value);
    }
    members
}
