//! Asterisk's manager interface: log in, ask for lists, log out by hanging up.
//!
//! A message is lines `Name: value` up to an empty line; a list is announced, told as one event a
//! row, and closed by an event that says so. Events nobody asked for are passed over. The manager
//! user needs `read = system,reporting` and no right to write; see `docs/runtime.md`.

use std::time::Instant;

use driftline_protocol::snapshot::Reason;

use super::wire::Wire;
use super::{Login, Query, Server, patience};

/// The most headers of one message; Asterisk's own have under 60.
const HEADERS: usize = 500;

/// The most rows of one list.
const ROWS: usize = 20_000;

/// Somebody who is logged in.
pub struct Client {
    wire: Wire,
    asked: u64,
}

/// One message, its headers in their order, one a line. It holds no more than what came: a million
/// headers of three bytes are three megabytes and not a hundred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message(String);

impl Message {
    /// The value of a header; empty where it is not there.
    pub fn get(&self, name: &str) -> &str {
        let mut headers = self.0.lines().filter_map(|line| line.split_once(':'));
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim_start()).unwrap_or_default()
    }
}

impl Client {
    /// Calls and logs in with `secret`.
    ///
    /// # Errors
    /// [`Reason::Denied`] where name or password is wrong, else the reason why nobody answers.
    pub fn login(login: &Login, secret: &str) -> Result<Self, Reason> {
        if [login.user.as_str(), secret].iter().any(|text| text.contains(['\r', '\n'])) {
            return Err(Reason::Unsupported); // it would be another header
        }
        let mut wire = Wire::call(login.address, Instant::now() + patience())?;
        if !wire.line()?.starts_with("Asterisk Call Manager/") {
            return Err(Reason::Malformed);
        }
        let mut client = Self { wire, asked: 0 };
        let user = &login.user;
        let more = format!("Username: {user}\r\nSecret: {secret}\r\nEvents: off\r\n");
        let answer = client.act("Login", &more)?;
        if answer.get("Response") == "Success" { Ok(client) } else { Err(Reason::Denied) }
    }

    /// The answer, and the rows that follow where it is a list; `None` where this Asterisk has no
    /// such action, because its module is not loaded.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn ask(&mut self, query: Query) -> Result<Option<(Message, Vec<Message>)>, Reason> {
        let (action, _) = query.words(Server::Asterisk)?;
        let answer = self.act(action, "")?;
        if answer.get("Response") != "Success" {
            let message = answer.get("Message").to_ascii_lowercase();
            return match message.as_str() {
                "permission denied" => Err(Reason::Denied),
                _ if message.starts_with("invalid/unknown command") => Ok(None),
                // How a list that is empty is answered by some actions.
                _ if message.starts_with("no ") && message.contains(" found") => {
                    Ok(Some((answer, Vec::new())))
                }
                _ => Err(Reason::Failed),
            };
        }
        let mut rows = Vec::new();
        if answer.get("EventList").eq_ignore_ascii_case("start") {
            loop {
                let row = self.own()?;
                if row.get("EventList").eq_ignore_ascii_case("complete") {
                    break;
                }
                if rows.len() >= ROWS {
                    return Err(Reason::TooLarge);
                }
                rows.push(row);
            }
        }
        Ok(Some((answer, rows)))
    }

    fn act(&mut self, action: &str, more: &str) -> Result<Message, Reason> {
        self.asked += 1;
        let text = format!("Action: {action}\r\nActionID: {}\r\n{more}\r\n", self.asked);
        self.wire.send(text.as_bytes())?;
        self.own()
    }

    /// The next message that belongs to the question asked last.
    fn own(&mut self) -> Result<Message, Reason> {
        loop {
            let message = self.message()?;
            if message.get("ActionID") == self.asked.to_string() {
                return Ok(message);
            }
        }
    }

    fn message(&mut self) -> Result<Message, Reason> {
        let (mut text, mut headers) = (String::new(), 0);
        loop {
            let line = self.wire.line()?;
            if line.is_empty() && headers > 0 {
                text.shrink_to_fit();
                return Ok(Message(text));
            }
            if headers >= HEADERS {
                return Err(Reason::TooLarge);
            }
            if line.contains(':') {
                headers += 1;
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
}
