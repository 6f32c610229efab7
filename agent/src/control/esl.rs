//! FreeSWITCH's event socket: give the password, ask with `api`, hang up.
//!
//! A message is headers up to an empty line and, where `Content-Length` says so, a body of that
//! many bytes. Nothing is subscribed to, so nothing comes that was not asked for; what comes
//! nevertheless is passed over.

use std::time::Instant;

use driftline_protocol::snapshot::Reason;

use super::wire::Wire;
use super::{Login, Query, Server, patience};

/// The most headers of one message; FreeSWITCH's answers have under 10.
const HEADERS: usize = 500;

/// Somebody who is let in.
pub struct Client {
    wire: Wire,
}

struct Message {
    kind: String,
    reply: String,
    body: String,
}

impl Client {
    /// Calls and gives the password.
    ///
    /// # Errors
    /// [`Reason::Denied`] where the password or our address is refused, else the reason why nobody
    /// answers.
    pub fn login(login: &Login, secret: &str) -> Result<Self, Reason> {
        if secret.contains(['\r', '\n']) {
            return Err(Reason::Unsupported); // it would be another command
        }
        let wire = Wire::call(login.address, Instant::now() + patience())?;
        let mut client = Self { wire };
        client.wait("auth/request")?;
        client.wire.send(format!("auth {secret}\n\n").as_bytes())?;
        let answer = client.wait("command/reply")?;
        if answer.reply.starts_with("+OK") { Ok(client) } else { Err(Reason::Denied) }
    }

    /// The answer as text; `None` where this FreeSWITCH has no such command, because its module is
    /// not loaded.
    ///
    /// # Errors
    /// The reason why there is none.
    pub fn ask(&mut self, query: Query) -> Result<Option<String>, Reason> {
        let (command, with) = query.words(Server::FreeSwitch)?;
        let words: Vec<&str> = std::iter::once(command).chain(with.iter().copied()).collect();
        self.wire.send(format!("api {}\n\n", words.join(" ")).as_bytes())?;
        let body = self.wait("api/response")?.body;
        match body.strip_prefix("-ERR ") {
            Some(error) if error.contains("ommand not found") => Ok(None),
            Some(_) => Err(Reason::Failed),
            None => Ok(Some(body)),
        }
    }

    fn wait(&mut self, kind: &str) -> Result<Message, Reason> {
        loop {
            let message = self.message()?;
            match message.kind.as_str() {
                found if found == kind => return Ok(message),
                // An access list refuses us.
                "text/rude-rejection" => return Err(Reason::Denied),
                "text/disconnect-notice" => return Err(Reason::Failed),
                _ => {}
            }
        }
    }

    fn message(&mut self) -> Result<Message, Reason> {
        let (mut kind, mut reply, mut length, mut headers) = (String::new(), String::new(), 0, 0);
        loop {
            let line = self.wire.line()?;
            if line.is_empty() && headers > 0 {
                break;
            }
            headers += usize::from(!line.is_empty());
            if headers > HEADERS {
                return Err(Reason::TooLarge);
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "content-type" => kind = value.to_owned(),
                "reply-text" => reply = value.to_owned(),
                "content-length" => length = value.parse().map_err(|_| Reason::Malformed)?,
                _ => {}
            }
        }
        let body = String::from_utf8_lossy(&self.wire.block(length)?).into_owned();
        Ok(Message { kind, reply, body })
    }
}
