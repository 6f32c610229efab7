//! A host as it stands: who it is, what its files and tables say, and how they are read.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::log::{self, Run};
use super::text;

/// What a host is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Somebody's laptop.
    Laptop,
    /// A server people log in to.
    Server,
    /// A SIP proxy at the edge.
    Proxy,
    /// A contact centre's server.
    Queue,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Laptop, Self::Server, Self::Proxy, Self::Queue];

    /// The word in its hosts' names.
    pub fn word(self) -> &'static str {
        match self {
            Self::Laptop => "lt",
            Self::Server => "srv",
            Self::Proxy => "sbc",
            Self::Queue => "acd",
        }
    }

    /// The group its hosts are in.
    pub fn group(self) -> &'static str {
        match self {
            Self::Laptop => "laptops",
            Self::Server => "servers",
            Self::Proxy => "edge",
            Self::Queue => "queues",
        }
    }

    /// What its hosts are used for.
    pub fn service(self) -> &'static str {
        match self {
            Self::Laptop => "workplace",
            Self::Server => "hosting",
            Self::Proxy => "inbound",
            Self::Queue => "hotline",
        }
    }

    /// The kind of host, in the product's words.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Laptop | Self::Server => "endpoint",
            Self::Proxy => "uc",
            Self::Queue => "contact_centre",
        }
    }
}

/// Where hosts stand: the word in their names, and the site's name.
pub const SITES: [(&str, &str); 4] =
    [("vie", "vienna"), ("grz", "graz"), ("lnz", "linz"), ("sbg", "salzburg")];

/// Which part is meant: source and part.
pub type Place = (&'static str, &'static str);

/// The packages of a host.
pub const DPKG: Place = ("packages", "dpkg");
/// Its accounts.
pub const PASSWD: Place = ("accounts", "passwd");
/// Its groups.
pub const GROUP: Place = ("accounts", "group");
/// A unit that is not enabled on the first day.
pub const UNIT: Place = ("services", "rsync.service");
/// What apt wrote of its runs.
pub const APT: Place = ("transactions", "apt");
/// What Puppet wrote of its last run.
pub const PUPPET: Place = ("transactions", "puppet");
/// What waits for connections.
pub const TCP: Place = ("listeners", "tcp");

/// A file read by the source `files`.
pub fn file(part: &'static str) -> Place {
    ("files", part)
}

/// A value in a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cell {
    /// Text.
    Text(String),
    /// Yes or no.
    Flag(bool),
    /// The keyed digest of these bytes.
    Digest(Rc<str>),
}

/// What a part says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Content {
    /// The bytes of a file.
    Text(Rc<str>),
    /// The rows of a table, by the segments of their keys; the first `@now` is what is only so at
    /// the moment.
    Rows(Rc<BTreeMap<Vec<String>, Cell>>),
}

/// A part and how it is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// What it says.
    pub content: Content,
    /// Whether it can be read.
    pub readable: bool,
    /// How often its reader was made anew.
    pub readers: u32,
    /// Who may do what with it, where it is a file; octal.
    pub mode: &'static str,
}

impl State {
    /// A part that says this and can be read.
    pub fn of(content: Content) -> Self {
        Self { content, readable: true, readers: 0, mode: "0644" }
    }
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The name of its site.
    pub site: &'static str,
    /// How far its clock is ahead, in seconds.
    pub ahead: i64,
    /// Its parts.
    pub parts: BTreeMap<Place, State>,
}

/// The packages every host has, with the configuration file each brings.
pub const PACKAGES: [(&str, &str); 14] = [
    ("openssh-server", text::SSHD),
    ("rsyslog", text::RSYSLOG),
    ("bash", "/etc/bash.bashrc"),
    ("openssl", ""),
    ("libc6", ""),
    ("curl", ""),
    ("systemd", ""),
    ("tzdata", ""),
    ("sudo", ""),
    ("perl-base", ""),
    ("libgnutls30", ""),
    ("vim-common", ""),
    ("linux-image-amd64", ""),
    ("ca-certificates", ""),
];

/// The name of a package as dpkg's table has it.
pub fn package(name: &str) -> String {
    format!("{name}:amd64")
}

impl Host {
    /// The host with this number of its role.
    pub fn new(number: usize, role: Role, site: (&'static str, &'static str)) -> Self {
        let mut parts = BTreeMap::new();
        let mut put = |place: Place, content: Content| {
            parts.insert(place, State::of(content));
        };
        for (part, text) in text::files(role) {
            put(file(part), Content::Text(text.into()));
        }
        put(DPKG, rows(packages()));
        put(PASSWD, rows(accounts()));
        put(TCP, rows(listeners(role)));
        let name = format!("{}-{}-{number:04}", site.0, role.word());
        Self { name, role, site: site.1, ahead: 0, parts }
    }

    /// Lets it happen to a part; false where there is no such part.
    pub fn happen(&mut self, place: Place, what: &Happening) -> bool {
        if let Happening::Appears(content) = what {
            self.parts.insert(place, State::of(content.clone()));
            return true;
        }
        if matches!(what, Happening::Goes) {
            return self.parts.remove(&place).is_some();
        }
        let told = if let Happening::Report(Some(run)) | Happening::Stanza(run) = what {
            log::rows(run, self)
        } else {
            BTreeMap::new()
        };
        let Some(state) = self.parts.get_mut(&place) else { return false };
        match (what, &mut state.content) {
            (Happening::Report(_), content) => *content = rows(told),
            (Happening::Stanza(_), Content::Rows(rows)) => {
                let rows = Rc::make_mut(rows);
                rows.extend(told);
                log::forget(rows);
            }
            _ => state.happen(what),
        }
        true
    }
}

/// A table of these rows.
pub fn rows(rows: BTreeMap<Vec<String>, Cell>) -> Content {
    Content::Rows(Rc::new(rows))
}

/// The segments of a key.
pub fn key(segments: &[&str]) -> Vec<String> {
    segments.iter().map(ToString::to_string).collect()
}

fn packages() -> BTreeMap<Vec<String>, Cell> {
    let mut rows = BTreeMap::new();
    for (name, conffile) in PACKAGES {
        let name = package(name);
        rows.insert(key(&[&name, "version"]), Cell::Text("1.0-1".into()));
        if !conffile.is_empty() {
            rows.insert(key(&[&name, "conffile", conffile]), Cell::Flag(true));
        }
    }
    rows
}

fn accounts() -> BTreeMap<Vec<String>, Cell> {
    let mut rows = BTreeMap::new();
    for (name, shell) in [("root", "/bin/bash"), ("ops", "/bin/bash"), ("backup", "/bin/sh")] {
        rows.insert(key(&[name, "shell"]), Cell::Text(shell.into()));
        rows.insert(key(&[name, "home"]), Cell::Text(format!("/home/{name}")));
    }
    rows
}

fn listeners(role: Role) -> BTreeMap<Vec<String>, Cell> {
    let mut rows = BTreeMap::from([
        (key(&["0.0.0.0:22"]), Cell::Text("sshd".into())),
        (key(&["@now", "started", "sshd"]), Cell::Text("0".into())),
    ]);
    if matches!(role, Role::Proxy | Role::Queue) {
        rows.insert(key(&["0.0.0.0:5060"]), Cell::Text("sip".into()));
    }
    rows
}

/// What happens to a part.
#[derive(Clone, Debug)]
pub enum Happening {
    /// A line is written: the beginning of the one it replaces, and the line.
    Line(String, Option<String>),
    /// The lines change their places; the rows stay.
    Reordered,
    /// A comment is written, marked with a number.
    Comment(u32),
    /// A row of a table is set or goes.
    Row(Vec<String>, Option<Cell>),
    /// Reading it is refused from now on.
    Refused,
    /// It can be read again.
    Readable,
    /// It is read by a newer reader, which says more.
    NewReader,
    /// A file is given another mode.
    Mode(&'static str),
    /// A part is there that was not, or says all this.
    Appears(Content),
    /// A part is not there any more.
    Goes,
    /// The report of the last run is read: what it is about is compared with the host as it is now.
    /// A run that changed nothing tells nothing.
    Report(Option<Rc<Run>>),
    /// One more run in a log is read; old ones are forgotten.
    Stanza(Rc<Run>),
}

impl State {
    /// Lets it happen.
    pub fn happen(&mut self, what: &Happening) {
        match (what, &mut self.content) {
            (Happening::Line(find, line), Content::Text(text)) => {
                *text = text::written(text, find, line.as_deref()).into();
            }
            (Happening::Reordered, Content::Text(text)) => {
                let mut lines: Vec<&str> = text.lines().collect();
                lines.reverse();
                *text = (lines.join("\n") + "\n").into();
            }
            (Happening::Comment(number), Content::Text(text)) => {
                *text = format!("# looked at, {number}\n{text}").into();
            }
            (Happening::Row(key, cell), Content::Rows(rows)) => {
                let rows = Rc::make_mut(rows);
                match cell {
                    Some(cell) => drop(rows.insert(key.clone(), cell.clone())),
                    None => drop(rows.remove(key)),
                }
            }
            (Happening::Refused, _) => self.readable = false,
            (Happening::Readable, _) => self.readable = true,
            (Happening::NewReader, _) => self.readers += 1,
            (Happening::Mode(mode), _) => self.mode = mode,
            // Of another sort of part, or what happens to the host.
            _ => {}
        }
    }
}
