//! Whom a Kamailio lets call, and where it registers: tables it reads from a database and tells
//! over its control socket.

use std::collections::{BTreeMap, BTreeSet};

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::{RawItem, RawItems};
use driftline_protocol::snapshot::Reason;
use serde_json::Value;

use super::text;
use crate::control::jsonrpc::Client;
use crate::control::kamailio as ask;
use crate::sources::running::{State, Steady, Told};
use crate::sources::table::say;

/// The most rows of one table; what is larger is better watched in its database.
const ROWS: usize = 5_000;

/// Bits of a registration's state (`uac_reg.h`).
const DISABLED: i64 = 1;
const ONGOING: i64 = 1 << 1;
const ONLINE: i64 = 1 << 2;
const ASKED: i64 = 1 << 3;
const INIT: i64 = 1 << 4;

/// Fields of a registration that are settings.
const SETTINGS: [&str; 7] =
    ["auth_proxy", "auth_username", "contact_addr", "expires", "realm", "reg_delay", "socket"];

/// Fields of a registration that are secrets.
const SECRETS: [&str; 2] = ["auth_ha1", "auth_password"];

fn rows(answer: &Value) -> Result<&[Value], Reason> {
    let rows = answer.as_array().ok_or(Reason::Malformed)?;
    if rows.len() > ROWS { Err(Reason::TooLarge) } else { Ok(rows) }
}

/// Addresses and networks by group, each with its tags.
///
/// Names and trusted hosts are not asked for: of these Kamailio gives one object whose names
/// repeat, of which a reader of JSON takes the last and nobody notices.
pub(super) fn permissions(client: &mut Client) -> Told {
    let mut tags: BTreeMap<ItemKey, BTreeSet<ItemValue>> = BTreeMap::new();
    let mut any = false;
    for query in [ask::ADDRESSES, ask::NETWORKS] {
        let Some(answer) = client.ask(query)? else { continue };
        any = true;
        for row in rows(&answer)? {
            let number = |value: &Value, name| value.get(name).and_then(Value::as_i64);
            let item = row.get("item").ok_or(Reason::Malformed)?;
            let group = number(row, "group").ok_or(Reason::Malformed)?.to_string();
            let address = text(item, "ip").ok_or(Reason::Malformed)?;
            let address = match number(item, "mask") {
                Some(mask) => format!("{address}/{mask}"),
                None => address.to_owned(),
            };
            let port = number(item, "port").unwrap_or(0).to_string();
            let tag = text(item, "tag").filter(|tag| *tag != "NULL").unwrap_or_default();
            let tags = tags.entry(ItemKey::of([group, address, port])).or_default();
            tags.insert(ItemValue::text(tag));
        }
    }
    let items = tags.into_iter().map(|(key, tags)| (key, RawItem::plain(ItemValue::Set(tags))));
    Ok(any.then(|| items.collect()))
}

/// Registrations elsewhere by their name, with their state.
pub(super) fn trunks(client: &mut Client, steady: &mut Steady) -> Told {
    let Some(answer) = client.ask(ask::TRUNKS)? else { return Ok(None) };
    let mut items = RawItems::new();
    let mut states = Vec::new();
    for row in rows(&answer)? {
        let name = text(row, "l_uuid").ok_or(Reason::Malformed)?;
        let flags = row.get("flags").and_then(Value::as_i64).ok_or(Reason::Malformed)?;
        states.push(state(name, flags));
        let field = |name: &str| text(row, name).unwrap_or_default();
        let remote = format!("{}@{}", field("r_username"), field("r_domain"));
        let local = format!("{}@{}", field("l_username"), field("l_domain"));
        say(&mut items, [name, "remote"], ItemValue::Text(remote));
        say(&mut items, [name, "local"], ItemValue::Text(local));
        for setting in SETTINGS {
            match row.get(setting) {
                Some(Value::Number(number)) => {
                    let number = number.as_i64().unwrap_or(i64::MAX);
                    say(&mut items, [name, setting], ItemValue::Integer(number));
                }
                Some(Value::String(text)) if !text.is_empty() => {
                    say(&mut items, [name, setting], ItemValue::text(text));
                }
                Some(_) | None => {}
            }
        }
        for secret in SECRETS.into_iter().filter(|secret| !field(secret).is_empty()) {
            let value = RawItem::secret(ItemValue::text(field(secret)));
            items.insert(ItemKey::of([name, secret]), value);
        }
    }
    for (name, state) in steady.settle(states)? {
        say(&mut items, [name.as_str(), "state"], ItemValue::Text(state));
    }
    Ok(Some(items))
}

fn state(name: &str, flags: i64) -> State {
    let has = |bit: i64| flags & bit != 0;
    let word = if has(DISABLED) {
        "disabled"
    } else if has(ONLINE) {
        "registered"
    } else {
        "not_registered"
    };
    // Registering anew takes `ONLINE` away until the answer comes.
    let under_way = has(ONGOING) || has(ASKED) || !has(INIT);
    let passing = word == "not_registered" && under_way;
    State { name: name.to_owned(), word: word.to_owned(), passing }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_what_it_was_while_it_registers_anew() {
        let mut steady = Steady::default();
        let mut told = |flags| steady.settle(vec![state("a", flags)]).map(|all| all["a"].clone());
        assert_eq!(told(INIT | ONGOING), Err(Reason::Changing), "the first one is under way");
        assert_eq!(told(INIT | ONLINE).as_deref(), Ok("registered"));
        assert_eq!(told(INIT | ONGOING).as_deref(), Ok("registered"));
        assert_eq!(told(INIT).as_deref(), Ok("not_registered"));
        assert_eq!(told(INIT | ASKED).as_deref(), Ok("not_registered"));
        assert_eq!(told(DISABLED | ONLINE).as_deref(), Ok("disabled"));
    }
}
