//! A report as lines: what stands at which level, and the scalars that matter.
//!
//! Not a reader of YAML: it knows the one shape in which Psych writes a report, and of anything
//! else it understands less, never something else. Memory is bounded by [`LINE_BYTES`], by
//! [`EVENTS_MOST`] of one resource and by [`EFFECTS_MOST`], whatever the report holds.

use super::{Effect, effects};

/// The longest line or scalar that is kept, in bytes; a message tells the difference of a file only
/// where somebody chose that.
const LINE_BYTES: usize = 16 * 1024;

/// The most events that are kept of one resource; a file has one for each of its attributes.
const EVENTS_MOST: usize = 32;

/// The most effects that are kept of one report: more than are told, which are chosen of these.
const EFFECTS_MOST: usize = 5_000;

/// The longest path of a file, in bytes (`PATH_MAX` in limits.h(0p)): no file has a longer one.
const PATH_BYTES: usize = 4_096;

/// What of a report is kept.
#[derive(Default)]
pub(super) struct Report {
    pub(super) time: Option<String>,
    pub(super) configuration_version: Option<String>,
    pub(super) transaction_uuid: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) status: Option<String>,
    /// The last time that anything in it has.
    pub(super) last_time: Option<String>,
    pub(super) effects: Vec<Effect>,
    /// How many more effects there were.
    pub(super) left_out: usize,
    /// The line that has begun.
    line: Vec<u8>,
    place: Place,
    /// The field whose scalar may go on, how deep its key stands, and the scalar so far.
    open: Option<(Field, usize, String)>,
    resource: Option<Resource>,
}

/// Where in a report a line stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Head,
    Logs,
    Resources,
    /// In the list `events` of a resource.
    Events,
}

/// The scalars that matter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Time,
    Version,
    Uuid,
    Environment,
    Status,
    LastTime,
    Kind,
    Title,
    Event(OfEvent),
}

/// The scalars of an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OfEvent {
    Property,
    Desired,
    Message,
    Status,
}

/// One resource, as far as it matters.
#[derive(Default)]
pub(super) struct Resource {
    pub(super) kind: Option<String>,
    pub(super) title: Option<String>,
    pub(super) events: Vec<Event>,
}

/// One event of a resource.
#[derive(Default)]
pub(super) struct Event {
    pub(super) property: Option<String>,
    pub(super) desired: Option<String>,
    pub(super) message: Option<String>,
    pub(super) status: Option<String>,
}

impl Report {
    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end);
            self.keep(line);
            let line = std::mem::take(&mut self.line);
            self.line(&String::from_utf8_lossy(&line));
            // The room is kept: a report has a million lines.
            self.line = line;
            self.line.clear();
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// The report, now that there is no more of it.
    pub(super) fn finish(mut self) -> Self {
        self.take(b"\n");
        self.close();
        self.leave();
        self
    }

    fn line(&mut self, line: &str) {
        let line = line.trim_end_matches('\r');
        let text = line.trim_start_matches(' ');
        let depth = line.len() - text.len();
        if let Some((_, key, scalar)) = &mut self.open {
            if depth > *key || text.is_empty() {
                if scalar.len() + text.len() < LINE_BYTES {
                    // A text goes on behind a blank, or in double quotes behind `\` without one.
                    match scalar.starts_with('"') && scalar.ends_with('\\') {
                        true => drop(scalar.pop()),
                        false => scalar.push(' '),
                    }
                    scalar.push_str(text);
                }
                return;
            }
            self.close();
        }
        match depth {
            0 if !text.starts_with("- ") => self.top(text),
            // What a log entry says is at one level with the resources' names.
            _ if self.place == Place::Logs => self.scalar((text, depth), "time", Field::LastTime),
            2 => self.resource(text),
            4 if self.place == Place::Events && text.starts_with("- ") => self.event(text),
            4 if matches!(self.place, Place::Resources | Place::Events) => self.field((text, 4)),
            6 if self.place == Place::Events => self.of_event((text, 6)),
            _ => {}
        }
    }

    fn top(&mut self, text: &str) {
        self.leave();
        self.place = match text.trim_end() {
            "logs:" => Place::Logs,
            "resource_statuses:" => Place::Resources,
            _ => Place::Head,
        };
        for (name, field) in [
            ("time", Field::Time),
            ("configuration_version", Field::Version),
            ("transaction_uuid", Field::Uuid),
            ("environment", Field::Environment),
            ("status", Field::Status),
        ] {
            self.scalar((text, 0), name, field);
        }
    }

    /// `File[/etc/motd]:`, or where the name is long `? File[…]` and `: title: …`.
    fn resource(&mut self, text: &str) {
        if !matches!(self.place, Place::Resources | Place::Events) || text.starts_with("- ") {
            return;
        }
        match text.strip_prefix(": ") {
            Some(first) => self.field((first, 4)),
            None => {
                self.leave();
                self.place = Place::Resources;
                self.resource = Some(Resource::default());
            }
        }
    }

    fn field(&mut self, (text, depth): (&str, usize)) {
        // The items of a list stand under its name, not below it.
        if text.starts_with("- ") {
            return;
        }
        self.place = if text.trim_end() == "events:" { Place::Events } else { Place::Resources };
        self.scalar((text, depth), "resource_type", Field::Kind);
        self.scalar((text, depth), "title", Field::Title);
        self.scalar((text, depth), "time", Field::LastTime);
    }

    fn event(&mut self, text: &str) {
        if let Some(resource) = &mut self.resource
            && resource.events.len() < EVENTS_MOST
        {
            resource.events.push(Event::default());
            // Older ones have a tag of Ruby here, and their fields below it.
            self.of_event((text.trim_start_matches("- "), 6));
        }
    }

    fn of_event(&mut self, place: (&str, usize)) {
        for (name, field) in [
            ("property", Field::Event(OfEvent::Property)),
            ("desired_value", Field::Event(OfEvent::Desired)),
            ("message", Field::Event(OfEvent::Message)),
            ("status", Field::Event(OfEvent::Status)),
            ("time", Field::LastTime),
        ] {
            self.scalar(place, name, field);
        }
    }

    /// Begins the scalar of `field` where the line is `name: …`.
    fn scalar(&mut self, (text, depth): (&str, usize), name: &str, field: Field) {
        let rest = text.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        if let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(' ')) {
            self.open = Some((field, depth, rest.trim().to_owned()));
        }
    }

    /// Keeps the scalar that has ended.
    fn close(&mut self) {
        let Some((field, _, scalar)) = self.open.take() else { return };
        let value = plain(&scalar);
        let slot = match field {
            Field::Time => &mut self.time,
            Field::Version => &mut self.configuration_version,
            Field::Uuid => &mut self.transaction_uuid,
            Field::Environment => &mut self.environment,
            Field::Status => &mut self.status,
            Field::LastTime => {
                // Times of one report are in one zone, so the later text is the later time.
                if self.last_time.as_ref().is_none_or(|last| *last < value) {
                    self.last_time = Some(value);
                }
                return;
            }
            Field::Kind => match &mut self.resource {
                Some(resource) => &mut resource.kind,
                None => return,
            },
            Field::Title => match &mut self.resource {
                Some(resource) => &mut resource.title,
                None => return,
            },
            Field::Event(of) => {
                let resource = self.resource.as_mut();
                let Some(event) = resource.and_then(|resource| resource.events.last_mut()) else {
                    return;
                };
                match of {
                    OfEvent::Property => &mut event.property,
                    OfEvent::Desired => &mut event.desired,
                    OfEvent::Message => &mut event.message,
                    OfEvent::Status => &mut event.status,
                }
            }
        };
        // The first counts: what comes later by the same name belongs to something else.
        slot.get_or_insert(value);
    }

    /// Keeps what the resource changed that has ended.
    fn leave(&mut self) {
        if let Some(resource) = self.resource.take() {
            for effect in effects(&resource) {
                let [_, name] = effect.names();
                if name.len() <= PATH_BYTES && self.effects.len() < EFFECTS_MOST {
                    self.effects.push(effect);
                } else {
                    self.left_out += 1;
                }
            }
        }
    }
}

/// A scalar without its quotes (YAML 1.1, 5.7 and 7.3): as far as names, paths and messages need.
fn plain(scalar: &str) -> String {
    let scalar = scalar.trim_start_matches("!ruby/sym ");
    if let Some(inside) = scalar.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return inside.replace("''", "'");
    }
    let Some(inside) = scalar.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return scalar.to_owned();
    };
    let mut text = String::new();
    let mut signs = inside.chars();
    while let Some(sign) = signs.next() {
        if sign != '\\' {
            text.push(sign);
            continue;
        }
        let digits = |length: usize, signs: &mut std::str::Chars<'_>| {
            let digits: String = signs.take(length).collect();
            u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32)
        };
        text.push(match signs.next() {
            Some('n') => '\n',
            Some('t') => '\t',
            Some('x') => digits(2, &mut signs).unwrap_or(char::REPLACEMENT_CHARACTER),
            Some('u') => digits(4, &mut signs).unwrap_or(char::REPLACEMENT_CHARACTER),
            Some('U') => digits(8, &mut signs).unwrap_or(char::REPLACEMENT_CHARACTER),
            Some(sign) => sign,
            None => break,
        });
    }
    text
}
