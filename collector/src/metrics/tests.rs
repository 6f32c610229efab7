//! Golden text of a small fleet, and the table held against it.

use std::collections::BTreeSet;

use driftline_protocol::wire::{AgentStatus, Budget, HostKind, SourceReading, Usage};

use super::*;
use crate::analysis::classify::ChangeClass;
use crate::ingest::SourceView;
use crate::store::Scope;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn host(last_seen: Timestamp) -> HostView {
    let source = SourceView {
        last_read: SourceReading { micros: 2_500, bytes: 1, success: true },
        unobserved: [(Reason::Denied, 2)].into(),
        imbalance: 0,
        coalesced: 0,
        expired: 0,
        waiting: 0,
    };
    HostView {
        kind: HostKind::Uc,
        last_seen,
        liveness: Liveness::Alive,
        clock_ahead_ms: Some(-1_500),
        agent_version: "0.1.0".into(),
        open_drifts: None,
        open_deviations: None,
        status: Some(AgentStatus {
            spool_bytes: 3,
            over_budget: [("files".parse().unwrap(), Budget::Cpu)].into(),
            usage: Usage { cpu_ms: 1_500, memory_bytes: 15_000_000, open_files: 12 },
            ..AgentStatus::default()
        }),
        sources: [
            ("files".parse().unwrap(), source.clone()),
            ("evil_name".parse().unwrap(), source.clone()),
            ("evil_too".parse().unwrap(), source),
        ]
        .into(),
        refused: 0,
        lost_by_restore: 0,
    }
}

/// A hop that no configuration names.
fn probe() -> Probe {
    Probe {
        service: "evil four".into(),
        hop: "evil five".into(),
        target: "sip_tls:192.0.2.7:5061".into(),
        answer: "answered".into(),
        code: Some(200),
        round_trip: Some(0.012),
        loss: 0.25,
        certificate: Some("valid".into()),
        expires: Some(at(86_400)),
        at: Some(at(0)),
    }
}

fn blind() -> BlindCount {
    BlindCount { host: "pbx1".parse().unwrap(), reason: Reason::Denied, count: 1 }
}

fn owned() -> Owned {
    Owned {
        all: [
            (("voice".into(), Severity::Warning, FindingClass::Untold), 4),
            (("nobody".into(), Severity::Warning, FindingClass::Unjudged), 16),
        ]
        .into(),
        drifts: [(("sbc-1".parse().unwrap(), "voice".into(), Severity::Warning), 4)].into(),
    }
}

fn correlated() -> Correlated {
    Correlated {
        watermark: at(-3_600),
        at: at(-60),
        took: 1.5,
        left_out: 0,
        opened: [(("voice".into(), "graz".into()), 9)].into(),
        volumes: [("voice".into(), (Some(2.5), Some(7.0)))].into(),
        suspects: [(("voice".into(), "supported".into()), 1)].into(),
        unmapped: (0, 3),
    }
}

/// A token made for so many days, so many days ago.
fn token((days, ago): (i64, i64)) -> TokenRecord {
    let created = -ago * 86_400;
    TokenRecord {
        name: "evil six".into(),
        scope: Scope::Metrics,
        hash: [6; 32],
        created_at: at(created),
        expires_at: at(created + days * 86_400),
    }
}

fn scrape(config: &Config) -> String {
    let live = Live::default();
    let retired = HostView { liveness: Liveness::Retired, ..host(at(0)) };
    let fleet = FleetView {
        hosts: [
            ("sbc-1".parse().unwrap(), host(at(0))),
            ("sbc-2".parse().unwrap(), host(at(-600))),
            ("dormant".parse().unwrap(), host(at(-86_400 * 31))),
            ("retired".parse().unwrap(), retired),
        ]
        .into(),
        ..FleetView::default()
    };
    let open = OpenCount {
        host: "sbc-1".parse().unwrap(),
        kind: FindingKind::Drift,
        domain: Domain::Config,
        severity: Severity::Warning,
        class: FindingClass::Untold,
        count: 4,
    };
    let correlated = correlated();
    let feed = |name: &str, good| FeedRecord {
        source: name.into(),
        first_good: None,
        last_good: good,
        last_read: at(0),
        rows: 9,
        refused: 0,
        problem: String::new(),
        words_beyond: 0,
    };
    let view = View {
        correlated: Some(&correlated),
        probes: vec![probe()],
        levels: &[(("voice".into(), "other".into(), "1".into()), [4, 2, 1, 0])].into(),
        blind: vec![blind()],
        feeds: vec![feed("evil one", Some(at(-9))), feed("evil two", None)],
        request_readings: vec![RequestReading {
            source: "evil three".into(),
            last_good: Some(at(-30)),
            ..RequestReading::default()
        }],
        tokens: [(90, 60), (90, 80), (90, 91), (7, 3), (7, 8)].map(token).into(),
        secret_ends: Some(None),
        now: at(1),
        config,
        url: "https://drift.example.org",
        fleet,
        excepted: vec![OpenCount { count: 1, ..open.clone() }],
        open: [
            (FindingClass::Of(ChangeClass::Unauthorised), 2),
            (FindingClass::Of(ChangeClass::Expected), 8),
            (FindingClass::Unjudged, 16),
            (FindingClass::Untold, 4),
        ]
        .map(|(class, count)| OpenCount { class, count, ..open.clone() })
        .into(),
        owned: owned(),
        totals: Totals::default(),
        live: &live,
        in_flight_bytes: 0,
        reload_ok: true,
        reloaded_at: at(-5),
    };
    render(&view, Vec::new()).unwrap()
}

fn series(text: &str) -> u64 {
    text.lines().filter(|line| !line.starts_with('#')).count() as u64
}

/// One entry of each kind that has series of its own.
fn config() -> Config {
    let text = "[[host]]\nname='sbc-*'\nsite='graz'\nteam='voice'\n\
        [[group]]\nname='laptops'\nhost='sbc-2'\nsleep_days=7\n\
        [[change_window]]\nname='night'\nstart='22:00'\nend='02:00'\n\
        [[blackout]]\nname='night'\nfrom='2026-01-01T00:00'\nuntil='2026-01-02T00:00'";
    crate::config::load::parse("t", text).unwrap()
}

#[test]
fn the_exposition_is_golden() {
    insta::assert_snapshot!(scrape(&config()));
}

#[test]
fn a_silent_host_keeps_only_its_last_report() {
    let text = scrape(&Config::default());
    let dormant: Vec<&str> = text.lines().filter(|line| line.contains("\"dormant\"")).collect();
    assert_eq!(dormant.len(), 2, "{dormant:?}");
    assert!(!text.contains("host=\"retired\""));
    assert!(text.contains("driftline_source_success{host=\"sbc-1\",source=\"other\"} 1"));
    assert!(!text.contains("evil"));
}

#[test]
fn series_stay_below_the_worst_case() {
    let mut config = config();
    let shown = series(&scrape(&config));
    // Four hosts; all closed sets are full, and the histogram is not in this text.
    assert!(shown <= table::worst_case(4), "{shown} of {}", table::worst_case(4));
    config.metrics.per_host = false;
    let fixed = series(&scrape(&config)) + table::DURATION_BUCKETS.len() as u64 + 3;
    let most = table::worst_case(0);
    assert_eq!(fixed, most, "a metric or label value of table.rs has no sample, or the reverse");
    assert_eq!(
        table::worst_case(10) - table::worst_case(0),
        10 * (table::worst_case(1) - table::worst_case(0))
    );
}

#[test]
fn every_metric_of_the_table_is_shown_and_well_named() {
    let text = scrape(&config());
    let mut names = BTreeSet::new();
    for metric in table::ALL {
        assert!(names.insert(metric.name), "{} stands twice", metric.name);
        assert_eq!(metric.shape == Shape::Counter, metric.name.ends_with("_total"), "{metric:?}");
        let line = format!("# TYPE {} ", metric.name);
        let is_shown = text.contains(&line) || metric.shape == Shape::Histogram;
        let name = metric.name;
        assert!(is_shown, "{name} has a row in table.rs, and metrics.rs gives it no sample");
    }
    let shown = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in shown {
        assert!(names.contains(name), "{name} is not in the table");
    }
}

#[test]
fn the_reference_page_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
    crate::serve::compare(path, &reference::reference_page());
}
