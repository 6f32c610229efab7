//! What a request that comes again says that it did not say before.

use super::*;
use crate::analysis::classify::request::ChangeRequest;

#[test]
fn news_of_a_request_say_from_what_to_what() {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let before = ChangeRequest {
        source: "itsm".into(),
        id: "CHG1".into(),
        kind: RequestKind::Normal,
        approval: Approval::Requested,
        start: at("2026-11-28T22:00:00Z"),
        end: at("2026-11-28T23:00:00Z"),
        scope: IntentScope { hosts: names(&["sbc-1"]), ..IntentScope::default() },
        url: String::new(),
        received_at: at("2026-11-20T00:00:00Z"),
    };
    assert_eq!(before.news(Some(&before)), None);
    assert_eq!(before.news(None).as_deref(), Some("new, requested"));
    let heard = ChangeRequest { received_at: at("2026-11-21T00:00:00Z"), ..before.clone() };
    assert_eq!(heard.news(Some(&before)), None, "when it was heard is no news");
    let scoped = |hosts: &[&str], keys: &[&str]| ChangeRequest {
        scope: IntentScope { hosts: names(hosts), keys: names(keys), ..IntentScope::default() },
        ..before.clone()
    };
    let many = ["a", "b", "c", "d"];
    for (now, was, expected) in [
        (
            ChangeRequest { approval: Approval::Approved, ..before.clone() },
            &before,
            "approved, which was requested",
        ),
        (
            ChangeRequest { end: at("2026-11-29T01:30:05Z"), ..before.clone() },
            &before,
            "2026-11-28 22:00 to 2026-11-29 01:30:05 UTC, which was 2026-11-28 22:00 to \
             2026-11-28 23:00 UTC",
        ),
        (
            ChangeRequest { kind: RequestKind::Emergency, ..before.clone() },
            &before,
            "emergency, which was normal",
        ),
        (
            ChangeRequest { url: "https://itsm.example/1".into(), ..before.clone() },
            &before,
            "address https://itsm.example/1, which was no address",
        ),
        (
            scoped(&["sbc-*"], &["codec"]),
            &before,
            "hosts sbc-*, which was hosts sbc-1; keys codec, which was no keys",
        ),
        (scoped(&["a", "b", "c", "e"], &[]), &scoped(&many, &[]), "hosts with e, without d"),
        (
            scoped(&["a", "b", "c", "d", "e"], &[]),
            &scoped(&many, &[]),
            "hosts a, b, c and 2 more, which was hosts a, b, c and 1 more",
        ),
    ] {
        assert_eq!(now.news(Some(was)).as_deref(), Some(expected));
    }
    let (long, longer) = ("ä".repeat(200), "ö".repeat(200));
    let news = scoped(&[&long], &[]).news(Some(&scoped(&[&longer], &[]))).unwrap();
    assert!(news.len() <= 400 && news.ends_with('…'), "{}", news.len());
}
