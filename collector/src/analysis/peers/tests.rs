//! The ranking against hosts made by hand, the paper's formula, and a site's first day.

use driftline_protocol::canonical::scope_digest;
use driftline_protocol::ids::{FingerprintDigest, HostId, KeyId};
use driftline_protocol::item::{Fingerprint, Item, Items};
use driftline_protocol::snapshot::{Observed, Reading, Reason};

use super::*;

fn host(number: usize) -> HostId {
    format!("host-{number:02}").parse().unwrap()
}

fn text(value: &str) -> ItemValue {
    ItemValue::text(value)
}

fn part(items: &[(&str, ItemValue)]) -> Part {
    let item = |value: &ItemValue| Item { value: value.clone(), rank: None };
    let items: Items =
        items.iter().map(|(key, value)| (ItemKey::of([*key]), item(value))).collect();
    Part::Observed(Observed {
        reading: Reading { parser: "ini".into(), version: 1, scope: scope_digest([""; 0]) },
        raw: None,
        size: None,
        content: Content::Read,
        items,
    })
}

/// What is odd when the hosts have these parts, as `host key current common sharing/peers`.
fn check(parts: &[Option<Part>], expected: &[&str]) {
    let hosts: Vec<HostId> = (0..parts.len()).map(host).collect();
    let seen: Vec<(&HostId, Seen<'_>)> = hosts
        .iter()
        .zip(parts)
        .map(|(host, part)| (host, part.as_ref().map_or(Seen::Lacks, Seen::Has)))
        .collect();
    let mut ranking = Ranking::default();
    ranking.compare(&"files".parse().unwrap(), &"/etc/a".parse().unwrap(), &seen);
    let said: Vec<String> = ranking.outliers(100).iter().map(said).collect();
    assert_eq!(said, expected);
}

fn said(outlier: &Outlier) -> String {
    let value = |value: &Option<ItemValue>| match value {
        Some(ItemValue::Text(text)) => text.clone(),
        Some(ItemValue::Flag(_)) => "there".to_owned(),
        Some(other) => format!("{other:?}"),
        None => "nothing".to_owned(),
    };
    let Outlier { host, key, current, common, sharing, peers, items, .. } = outlier;
    let key = key.as_ref().map_or("-", ItemKey::as_str);
    format!("{host} {key} x{items} {} not {} {sharing}/{peers}", value(current), value(common))
}

fn alike(number: usize, items: &[(&str, ItemValue)]) -> Vec<Option<Part>> {
    vec![Some(part(items)); number]
}

#[test]
fn one_value_that_no_peer_shares_is_odd_and_its_peers_are_not() {
    let mut parts = alike(9, &[("codec", text("g711"))]);
    parts.push(Some(part(&[("codec", text("g729"))])));
    check(&parts, &["host-09 codec x1 g729 not g711 0/9"]);
}

#[test]
fn a_setting_that_is_missing_or_is_there_once_is_odd() {
    let mut parts = alike(9, &[("codec", text("g711"))]);
    parts.push(Some(part(&[])));
    check(&parts, &["host-09 codec x1 nothing not g711 0/9"]);
    let mut parts = alike(9, &[]);
    parts.push(Some(part(&[("debug", text("on"))])));
    check(&parts, &["host-09 debug x1 on not nothing 0/9"]);
}

#[test]
fn too_few_peers_and_values_without_a_common_one_are_not_judged() {
    let mut parts = alike(3, &[("codec", text("g711"))]);
    parts.push(Some(part(&[("codec", text("g729"))])));
    check(&parts, &[]);
    let unique: Vec<_> =
        (0..20).map(|n| Some(part(&[("address", text(&format!("192.0.2.{n}")))]))).collect();
    check(&unique, &[]);
}

#[test]
fn what_was_not_read_is_neither_odd_nor_a_peer() {
    let mut parts = alike(9, &[("codec", text("g711"))]);
    parts.push(Some(Part::Unobserved(Reason::Denied)));
    check(&parts, &[]);
    let mut parts = vec![Some(Part::Unobserved(Reason::Denied)); 9];
    parts.push(Some(part(&[("codec", text("g729"))])));
    check(&parts, &[]);
}

#[test]
fn a_file_that_one_host_lacks_or_has_alone_is_one_thing() {
    let mut parts = alike(9, &[("a", text("1")), ("b", text("2"))]);
    parts.push(None);
    check(&parts, &["host-09 - x0 nothing not there 0/9"]);
    let mut parts: Vec<Option<Part>> = vec![None; 9];
    parts.push(Some(part(&[("a", text("1")), ("b", text("2"))])));
    check(&parts, &["host-09 - x2 there not nothing 0/9"]);
}

#[test]
fn many_odd_items_of_one_part_are_told_as_one() {
    let names: Vec<String> = (0..40).map(|n| format!("package-{n}")).collect();
    let extra: Vec<(&str, ItemValue)> = names.iter().map(|n| (n.as_str(), text("1"))).collect();
    let mut parts = alike(9, &[]);
    parts.push(Some(part(&extra)));
    check(&parts, &["host-09 - x40 1 not nothing 0/9"]);
}

#[test]
fn fingerprints_under_different_keys_are_not_compared() {
    let secret = |key: u8, digest: u8| {
        ItemValue::Fingerprint(Fingerprint {
            key: KeyId([key; 8]),
            digest: FingerprintDigest([digest; 16]),
        })
    };
    let mut parts = alike(9, &[("pin", secret(1, 1))]);
    parts.push(Some(part(&[("pin", secret(2, 2))])));
    check(&parts, &[]);
    let mut parts = alike(9, &[("pin", secret(1, 1))]);
    parts.push(Some(part(&[("pin", secret(1, 2))])));
    let hosts = parts.len();
    assert_eq!(hosts, 10);
    let found = {
        let hosts: Vec<HostId> = (0..10).map(host).collect();
        let seen: Vec<_> = hosts.iter().zip(&parts).map(|(h, p)| (h, p.as_ref())).collect();
        let seen: Vec<(&HostId, Seen<'_>)> =
            seen.into_iter().map(|(h, p)| (h, p.map_or(Seen::Lacks, Seen::Has))).collect();
        let mut ranking = Ranking::default();
        ranking.compare(&"files".parse().unwrap(), &"/etc/a".parse().unwrap(), &seen);
        ranking.outliers(100)
    };
    assert_eq!(found.len(), 1);
}

/// The formula at its corners: N = 9, k = 2, t = 1 and t = 3.
#[test]
fn the_score_is_that_of_the_paper() {
    let score = |varying: usize| {
        let hosts: Vec<HostId> = (0..10).map(host).collect();
        let mut ranking = Ranking::default();
        for setting in 0..varying {
            let key = format!("setting-{setting}");
            let common = part(&[(&key, text("a"))]);
            let odd = part(&[(&key, text("b"))]);
            let seen: Vec<(&HostId, Seen<'_>)> = hosts
                .iter()
                .enumerate()
                .map(|(n, host)| (host, Seen::Has(if n == 0 { &odd } else { &common })))
                .collect();
            ranking.compare(&"files".parse().unwrap(), &"/etc/a".parse().unwrap(), &seen);
        }
        ranking.outliers(1).first().unwrap().score
    };
    assert!((score(1) - 11.0 / 11.0).abs() < 1e-12);
    assert!((score(3) - 11.0 / 15.0).abs() < 1e-12);
}

/// The first day of a site: nothing agreed, nothing ruled, thirty hosts that differ in what hosts
/// differ in, five of them misconfigured.
#[test]
fn five_misconfigurations_among_thirty_hosts_are_within_the_first_ten() {
    let hosts: Vec<HostId> = (0..30).map(host).collect();
    let planted = [(3, "codec"), (7, "dscp"), (12, "dns"), (20, "permit_root"), (29, "ntp")];
    let mut ranking = Ranking::default();
    for file in 0..40_usize {
        let path: PartName = format!("/etc/part-{file:02}").parse().unwrap();
        let parts: Vec<Part> =
            (0..hosts.len()).map(|host| ordinary(file, host, &planted)).collect();
        let seen: Vec<(&HostId, Seen<'_>)> =
            hosts.iter().zip(&parts).map(|(host, part)| (host, Seen::Has(part))).collect();
        ranking.compare(&"files".parse().unwrap(), &path, &seen);
    }
    let outliers = ranking.outliers(10);
    for (number, key) in planted {
        let found = outliers
            .iter()
            .any(|o| o.host == host(number) && o.key.as_ref().is_some_and(|k| k.as_str() == key));
        assert!(found, "{key} of host {number} is not among {outliers:#?}");
    }
}

/// A file of a host: settings all share, an address of its own, a site's server, two versions of a
/// package in the middle of a rollout, and what was planted.
fn ordinary(file: usize, host: usize, planted: &[(usize, &str); 5]) -> Part {
    let mut items = vec![
        ("address", text(&format!("192.0.2.{host}"))),
        ("server", text(if host < 10 { "north" } else { "south" })),
        ("version", text(if host.is_multiple_of(3) { "1.1" } else { "1.0" })),
        ("mode", text("0644")),
    ];
    for (number, (at, key)) in planted.iter().enumerate() {
        if file == number * 7 {
            items.push((key, text(if *at == host { "wrong" } else { "right" })));
        }
    }
    part(&items)
}
