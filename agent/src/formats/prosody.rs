//! Prosody's `prosody.cfg.lua`: Lua that assigns, and names hosts.
//!
//! See <https://prosody.im/doc/configure>. An option stands under the `VirtualHost` or `Component`
//! before it, or under none, which is for all hosts. Strings, numbers and tables are read as Lua
//! writes them; a table with names is an item a name. The modules to load are a set; all other
//! lists keep their order. An expression that only Lua can work out (a call, a sum) is kept as
//! written. Statements that are no configuration (`local`, `if`) are kept as lines, in order, under
//! `(code)`. Nothing is run.

mod lexer;

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::RawItems;

use super::build::Builder;
use super::lines::{decode, original};
use super::{Format, FormatError};
use lexer::{Kind, Token};

/// Prosody's configuration.
pub static FORMAT: Format = Format {
    name: "prosody",
    version: 1,
    ordered: "lists keep their order but those of modules; `Include` keeps its place",
    claims: |path, _| original(path).ends_with(".cfg.lua"),
    read,
};

/// Options whose lists are sets to Prosody, by its `get_option_set` and `get_option_inherited_set`.
const SETS: &[&str] =
    &["admins", "component_admins", "disco_hidden", "modules_disabled", "modules_enabled"];

/// What names the host that the options after it are for.
const HOSTS: &[&str] = &["Component", "Host", "VirtualHost", "component", "host"];

/// What reads further files.
const INCLUDES: &[&str] = &["Include", "include"];

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    // Lua takes either for one line end, in its long strings too.
    let text = decode(bytes).replace("\r\n", "\n");
    let tokens = lexer::tokens(&text)?;
    let mut reader = Reader {
        text: &text,
        tokens: &tokens,
        at: 0,
        host: String::new(),
        items: Builder::default(),
        code: Vec::new(),
    };
    while reader.statement()? {}
    let Reader { mut items, code, .. } = reader;
    if !code.is_empty() {
        items.set(ItemKey::of(["(code)"]), ItemValue::Lines(code))?;
    }
    Ok(items.finish())
}

/// A value of Lua, as far as it is written out.
enum Value {
    Scalar(ItemValue),
    List(Vec<Value>),
    Table(BTreeMap<String, Value>),
}

struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Token<'a>],
    at: usize,
    host: String,
    items: Builder,
    code: Vec<String>,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at + ahead)
    }

    fn is_sign(&self, ahead: usize, sign: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.kind == Kind::Sign && token.text == sign)
    }

    /// Reads one statement; false at the end.
    fn statement(&mut self) -> Result<bool, FormatError> {
        let Some(token) = self.peek(0) else { return Ok(false) };
        if self.is_sign(0, ";") {
            self.at += 1;
        } else if token.kind == Kind::Name && self.is_sign(1, "=") {
            self.at += 2;
            let value = self.expression(0)?;
            self.option(token.text, value)?;
        } else if HOSTS.contains(&token.text) && self.argument(1).is_some() {
            self.begin_host(token.text)?;
        } else if INCLUDES.contains(&token.text) && self.argument(1).is_some() {
            let (path, end) = self.argument(1).unwrap_or_default();
            self.items.place(&["Include", &path], ItemValue::Nothing)?;
            self.at = end;
        } else {
            self.code();
        }
        Ok(true)
    }

    /// The string that a name so many tokens ago is called with, and where the call ends.
    fn argument(&self, ahead: usize) -> Option<(String, usize)> {
        let bracket = usize::from(self.is_sign(ahead, "("));
        let token = self.peek(ahead + bracket)?;
        if token.kind != Kind::String || bracket == 1 && !self.is_sign(ahead + 2, ")") {
            return None;
        }
        Some((lexer::unquoted(token.text), self.at + ahead + 1 + 2 * bracket))
    }

    fn begin_host(&mut self, word: &str) -> Result<(), FormatError> {
        let (name, end) = self.argument(1).unwrap_or_default();
        self.at = end;
        let kind = if word.eq_ignore_ascii_case("component") { "Component" } else { "VirtualHost" };
        self.host = format!("{kind} {name}");
        // A component may name its module behind its own name.
        let module = self.argument(0).filter(|_| kind == "Component");
        let value = match module {
            Some((module, end)) => {
                self.at = end;
                ItemValue::text(module)
            }
            None => ItemValue::Nothing,
        };
        self.items.set(ItemKey::of([self.host.as_str()]), value)
    }

    fn option(&mut self, name: &str, value: Value) -> Result<(), FormatError> {
        let mut path = vec![self.host.clone(), name.to_owned()];
        path.retain(|segment| !segment.is_empty());
        let set = SETS.contains(&name);
        self.put(&mut path, value, if set { Order::Free } else { Order::Kept })
    }

    fn put(
        &mut self,
        path: &mut Vec<String>,
        value: Value,
        order: Order,
    ) -> Result<(), FormatError> {
        match value {
            Value::Scalar(scalar) => self.items.set(ItemKey::of(&*path), scalar),
            Value::List(values) if values.iter().all(|v| matches!(v, Value::Scalar(_))) => {
                let scalars = values.into_iter().filter_map(scalar);
                let value = match order {
                    Order::Kept => ItemValue::List(scalars.collect()),
                    Order::Free => ItemValue::Set(scalars.collect()),
                };
                self.items.set(ItemKey::of(&*path), value)
            }
            Value::List(values) => {
                let mut numbered = (1_u32..).map(|place| place.to_string()).zip(values);
                numbered.try_for_each(|(place, value)| self.put_below(path, (place, value), order))
            }
            Value::Table(members) if members.is_empty() => {
                self.items.set(ItemKey::of(&*path), ItemValue::Set(BTreeSet::new()))
            }
            Value::Table(members) => {
                let mut members = members.into_iter();
                members.try_for_each(|member| self.put_below(path, member, order))
            }
        }
    }

    fn put_below(
        &mut self,
        path: &mut Vec<String>,
        (name, value): (String, Value),
        order: Order,
    ) -> Result<(), FormatError> {
        path.push(name);
        let put = self.put(path, value, order);
        path.pop();
        put
    }

    fn expression(&mut self, depth: usize) -> Result<Value, FormatError> {
        if depth > limits::NESTING {
            return Err(FormatError::TooLarge);
        }
        if self.is_sign(0, "{") {
            let began = self.at;
            let table = self.table(depth)?;
            if self.ends_expression() {
                return Ok(table);
            }
            self.at = began;
        } else if let Some(token) = self.peek(0)
            && let Some(value) = lexer::literal(token)
        {
            self.at += 1;
            if self.ends_expression() {
                return Ok(Value::Scalar(value));
            }
            self.at -= 1;
        }
        Ok(Value::Scalar(ItemValue::text(self.written())))
    }

    /// Whether what was read is a whole expression: no operator or call goes on with it.
    fn ends_expression(&self) -> bool {
        let Some(token) = self.peek(0) else { return true };
        match token.kind {
            Kind::Sign => matches!(token.text, ";" | "," | "}"),
            Kind::Name => !matches!(token.text, "and" | "or"),
            Kind::String | Kind::Number => true,
        }
    }

    /// An expression that is not worked out, with single blanks between its tokens: up to what ends
    /// it, or the first name that an `=` or an argument follows on a new line.
    fn written(&mut self) -> String {
        let (mut depth, mut words) = (0_usize, Vec::new());
        while let Some(token) = self.peek(0) {
            match (token.kind, token.text) {
                (Kind::Sign, "(" | "{" | "[") => depth += 1,
                (Kind::Sign, ")" | "}" | "]") if depth > 0 => depth -= 1,
                (Kind::Sign, "}" | "," | ";") if depth == 0 => break,
                (Kind::Name, _) if depth == 0 && token.begins_line && !words.is_empty() => break,
                _ => {}
            }
            words.push(token.text);
            self.at += 1;
        }
        words.join(" ")
    }

    fn table(&mut self, depth: usize) -> Result<Value, FormatError> {
        let line = self.peek(0).map_or(0, |token| token.line);
        self.at += 1;
        let (mut list, mut members) = (Vec::new(), BTreeMap::new());
        loop {
            let Some(token) = self.peek(0) else {
                return Err(FormatError::malformed(line, "a table needs `}`"));
            };
            if self.is_sign(0, "}") {
                self.at += 1;
                break;
            }
            if self.is_sign(0, ",") || self.is_sign(0, ";") {
                self.at += 1;
            } else if let Some((name, end)) = self.member_name() {
                self.at = end;
                members.insert(name, self.expression(depth + 1)?);
            } else {
                let before = self.at;
                list.push(self.expression(depth + 1)?);
                if self.at == before {
                    return Err(FormatError::malformed(token.line, "a table breaks off"));
                }
            }
        }
        if members.is_empty() && !list.is_empty() {
            return Ok(Value::List(list));
        }
        // The names of a table come beside the places of what has none.
        for (place, value) in (1_u32..).zip(list) {
            members.insert(place.to_string(), value);
        }
        Ok(Value::Table(members))
    }

    /// The name of a member, and where its value begins: `name =` or `["name"] =`.
    fn member_name(&self) -> Option<(String, usize)> {
        let token = self.peek(0)?;
        if token.kind == Kind::Name && self.is_sign(1, "=") {
            return Some((token.text.to_owned(), self.at + 2));
        }
        let key = self.peek(1).filter(|_| self.is_sign(0, "["))?;
        if !self.is_sign(2, "]") || !self.is_sign(3, "=") {
            return None;
        }
        let name =
            if key.kind == Kind::String { lexer::unquoted(key.text) } else { key.text.into() };
        Some((name, self.at + 4))
    }

    /// Keeps a line of other Lua, up to the next line.
    fn code(&mut self) {
        let Some(first) = self.peek(0) else { return };
        let last = self.tokens.get(self.at..).unwrap_or_default();
        let count = last.iter().skip(1).take_while(|token| !token.begins_line).count() + 1;
        let end = self.tokens.get(self.at + count - 1).map_or(first.end, |token| token.end);
        let line = self.text.get(first.start..end).unwrap_or_default();
        self.code.push(line.split_whitespace().collect::<Vec<_>>().join(" "));
        self.at += count;
    }
}

/// Whether the order of a list has meaning.
#[derive(Clone, Copy)]
enum Order {
    Kept,
    Free,
}

fn scalar(value: Value) -> Option<ItemValue> {
    match value {
        Value::Scalar(scalar) => Some(scalar),
        Value::List(_) | Value::Table(_) => None,
    }
}
