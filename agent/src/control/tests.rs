//! What may be asked, and what becomes of servers that misbehave.

use std::collections::BTreeSet;

use super::*;

/// Every question as it is sent. To add one, read the server's source first: it must only list.
const ASKED: &[&str] = &[
    "api callcenter_config queue list",
    "api global_getvar",
    "api show modules as json",
    "api sofia xmlstatus",
    "api sofia xmlstatus gateway",
    "api uptime s",
    "api version short",
    "action CoreSettings",
    "action CoreStatus",
    "action PJSIPShowEndpoints",
    "action PJSIPShowRegistrationsOutbound",
    "action QueueStatus",
    "cfg.get core debug",
    "cfg.get core dns_try_naptr",
    "cfg.get core max_while_loops",
    "cfg.get core udp_mtu",
    "cfg.get dispatcher inactive_threshold",
    "cfg.get dispatcher probing_threshold",
    "cfg.get registrar default_expires",
    "cfg.get registrar max_contacts",
    "cfg.get registrar max_expires",
    "cfg.get registrar min_expires",
    "cfg.get tm auto_inv_100",
    "cfg.get tm restart_fr_on_each_reply",
    "core.arg",
    "core.modules",
    "core.ppdefines_full",
    "core.pwd",
    "core.sockets_list",
    "core.uptime",
    "core.version",
    "dispatcher.list",
    "stats.get_statistics usrloc:",
];

#[test]
fn nothing_is_asked_but_what_this_list_says() {
    let text = |query: &Query| {
        let how = match query.server {
            Server::Kamailio => "",
            Server::Asterisk => "action ",
            Server::FreeSwitch => "api ",
        };
        let words: Vec<&str> = [query.name].into_iter().chain(query.with.iter().copied()).collect();
        format!("{how}{}", words.join(" "))
    };
    let asked: BTreeSet<String> = ALL.iter().map(text).collect();
    assert_eq!(asked, ASKED.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
    assert_eq!(asked.len(), ALL.len(), "a question stands twice in the list");
}

#[test]
fn what_is_not_in_the_list_is_refused_before_it_is_sent() {
    let other = query(Server::Kamailio, "dispatcher.reload", &[]);
    assert_eq!(other.words(Server::Kamailio), Err(Reason::Unsupported));
    assert_eq!(kamailio::UPTIME.words(Server::Asterisk), Err(Reason::Unsupported));
    assert!(kamailio::UPTIME.words(Server::Kamailio).is_ok());
}
