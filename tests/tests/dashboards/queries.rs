//! Every query of every panel gives a series in a real Prometheus that holds three hours of a small
//! fleet.

use std::path::Path;

use driftline_tests::process::run;
use driftline_tests::watchers::Prometheus;
use serde_json::Value;

/// When the fixture ends, in Unix seconds: 2026-11-22 12:00:00 UTC. It lasts three hours, a sample
/// a minute.
const END: i64 = 1_795_348_800;
const START: i64 = END - 3 * 3600;

/// Name, labels, and the value at a minute.
type Series = (&'static str, &'static str, fn(i64) -> i64);

/// The series of a small fleet. Counters grow, gauges stand.
fn series() -> Vec<Series> {
    vec![
        ("driftline_build_info", "version=\"0.1.0\",revision=\"x\"", |_| 1),
        ("driftline_portal_info", "url=\"https://drift.example\"", |_| 1),
        ("driftline_hosts", "state=\"alive\"", |_| 2),
        ("driftline_hosts", "state=\"stale\"", |_| 1),
        ("driftline_hosts", "state=\"dormant\"", |_| 0),
        ("driftline_findings_open", "kind=\"drift\",domain=\"config\",severity=\"warning\"", |_| 3),
        (
            "driftline_findings_open",
            "kind=\"deviation\",domain=\"policy\",severity=\"info\"",
            |_| 1,
        ),
        (
            "driftline_findings_by_owner",
            "owner=\"voice\",severity=\"warning\",class=\"unauthorised\"",
            |_| 3,
        ),
        (
            "driftline_findings_by_site",
            "site=\"graz\",severity=\"warning\",class=\"unauthorised\"",
            |_| 3,
        ),
        ("driftline_drift_open", "host=\"sbc1\",domain=\"config\",severity=\"warning\"", |_| 3),
        ("driftline_parts_unobserved", "reason=\"denied\"", |_| 4),
        ("driftline_ledger_imbalance", "host=\"sbc1\"", |_| 0),
        ("driftline_source_success", "host=\"sbc1\",source=\"files\"", |_| 1),
        ("driftline_last_report_timestamp_seconds", "host=\"sbc1\"", |minute| START + minute * 60),
        ("driftline_cases_opened", "service=\"voice\",site=\"graz\"", |minute| minute / 60 * 9),
        ("driftline_cases_expected", "service=\"voice\"", |_| 4),
        ("driftline_cases_bound", "service=\"voice\"", |_| 9),
        ("driftline_cases_unmapped", "column=\"site\"", |_| 2),
        ("driftline_suspects", "service=\"voice\",tier=\"supported\"", |minute| minute / 90),
        ("driftline_case_source_waited_timestamp_seconds", "source=\"desk\"", |minute| {
            START + minute * 60
        }),
        ("driftline_correlation_watermark_timestamp_seconds", "x=\"\"", |minute| {
            START + minute * 60 - 3600
        }),
        ("driftline_changes_total", "domain=\"config\",kind=\"modified\"", |minute| minute / 7),
        ("driftline_changes_total", "domain=\"config\",kind=\"cosmetic\"", |minute| minute / 3),
    ]
}

fn exposition() -> String {
    let mut text = String::new();
    for (name, labels, value) in series() {
        for minute in 0..=180 {
            let at = START + minute * 60;
            let place = "job=\"driftline\",instance=\"c:9470\"";
            text.push_str(&format!("{name}{{{place},{labels}}} {} {at}\n", value(minute)));
        }
    }
    text + "# EOF\n"
}

fn filled(folder: &Path) -> anyhow::Result<Prometheus> {
    let file = folder.join("fleet.om");
    std::fs::write(&file, exposition())?;
    let data = folder.join("data");
    let (file, place) = (file.display().to_string(), data.display().to_string());
    run("promtool", &["tsdb", "create-blocks-from", "openmetrics", &file, &place])?;
    Prometheus::start(folder, &data, "global: {}\n")
}

/// An expression as Grafana would send it with everything chosen.
fn substituted(expression: &str) -> String {
    [
        ("$__rate_interval", "5m"),
        ("$__interval", "1m"),
        ("$job", ".+"),
        ("$instance", ".+"),
        ("$service", ".*"),
    ]
    .iter()
    .fold(expression.to_string(), |text, (variable, value)| text.replace(variable, value))
}

fn has_a_point(series: &[Value]) -> bool {
    series.iter().filter_map(|one| one["values"].as_array()).flatten().any(|p| p[1] != "NaN")
}

#[test]
fn every_query_shows_something() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let prometheus = filled(folder.path())?;
    let mut queries = Vec::new();
    for name in ["fleet", "cases"] {
        let path = driftline_tests::programs::workspace().join(format!("dashboards/{name}.json"));
        let board: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        for panel in board["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let expression = target["expr"].as_str().unwrap().to_owned();
                queries.push((panel["title"].to_string(), expression));
            }
        }
        for annotation in board["annotations"]["list"].as_array().unwrap() {
            let expression = annotation["target"]["expr"].as_str().unwrap().to_owned();
            queries.push((annotation["name"].to_string(), expression));
        }
    }
    for (title, expression) in queries {
        let expression = substituted(&expression);
        let series = prometheus.query_range(&expression, (START, END), 60)?;
        assert!(has_a_point(&series), "{title} shows nothing: {expression}");
    }
    let nothing = prometheus.query_range("driftline_misspelt", (START, END), 60)?;
    assert!(
        !has_a_point(&nothing),
        "a misspelt metric shows something, so this test shows nothing"
    );
    Ok(())
}
