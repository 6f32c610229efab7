//! The rules of shape, as one pure function over the JSON, and a mutant for each rule.

use std::collections::BTreeSet;

use driftline_collector::analysis::classify::weigh::FindingClass;
use driftline_tests::programs::workspace;
use serde_json::{Value, json};

/// Units of Grafana's own list that our panels may use.
const UNITS: [&str; 6] = ["none", "s", "bytes", "percentunit", "short", "dateTimeAsIso"];

/// What is wrong with a dashboard, one rule name an offence.
fn lint(board: &Value) -> Vec<&'static str> {
    let mut wrong = Vec::new();
    let mut rule = |name: &'static str, holds: bool| {
        if !holds && !wrong.contains(&name) {
            wrong.push(name);
        }
    };
    rule("uneditable", board["editable"] == false);
    rule("uid", board["uid"].as_str().is_some_and(|uid| uid.starts_with("driftline-")));
    templates(board, &mut rule);
    for annotation in board["annotations"]["list"].as_array().unwrap() {
        rule("panel-datasource", annotation["datasource"]["uid"] == "${datasource}");
        target(annotation["target"]["expr"].as_str().unwrap_or_default(), &mut rule);
    }
    rule("annotation", !board["annotations"]["list"].as_array().unwrap().is_empty());
    let mut ids = Vec::new();
    for panel in board["panels"].as_array().unwrap() {
        panel_rules(panel, &mut rule);
        ids.push(&panel["id"]);
    }
    rule("panel-id", ids.iter().all(|id| ids.iter().filter(|other| other == &id).count() == 1));
    let panels = board["panels"].to_string();
    rule("portal-link", panels.contains("#drift") || panels.contains("/cases?service="));
    wrong
}

fn templates(board: &Value, rule: &mut dyn FnMut(&'static str, bool)) {
    let list = board["templating"]["list"].as_array().unwrap();
    let sources: Vec<&Value> = list.iter().filter(|v| v["type"] == "datasource").collect();
    let one = sources.len() == 1
        && sources[0]["name"] == "datasource"
        && sources[0]["label"] == "Data source";
    rule("template-datasource", one);
    for (name, check) in [("job", "template-job"), ("instance", "template-instance")] {
        let variable = list.iter().find(|v| v["name"] == name);
        let holds = variable
            .is_some_and(|v| v["type"] == "query" && v["multi"] == true && v["allValue"] == ".+");
        rule(check, holds);
    }
    for variable in list.iter().filter(|v| v["type"] == "query") {
        rule("template-on-time-change-reload", variable["refresh"] == 2);
        let query = variable["query"]["query"].as_str().unwrap_or_default();
        rule("template-label-promql", query.starts_with("label_values(driftline_"));
    }
}

fn panel_rules(panel: &Value, rule: &mut dyn FnMut(&'static str, bool)) {
    let says = |field: &str| panel[field].as_str().is_some_and(|text| !text.trim().is_empty());
    rule("panel-title-description", says("title") && says("description"));
    rule("panel-datasource", panel["datasource"]["uid"] == "${datasource}");
    let unit = panel["fieldConfig"]["defaults"]["unit"].as_str().unwrap_or_default();
    rule("panel-units", UNITS.contains(&unit));
    let grid = &panel["gridPos"];
    let fits = ["x", "y", "w", "h"].iter().all(|side| grid[side].is_u64())
        && grid["x"].as_u64().unwrap_or(24) + grid["w"].as_u64().unwrap_or(24) <= 24;
    rule("panel-grid", fits);
    let targets = panel["targets"].as_array().cloned().unwrap_or_default();
    rule("panel-no-targets", !targets.is_empty());
    for each in &targets {
        rule("panel-datasource", each["datasource"]["uid"] == "${datasource}");
        target(each["expr"].as_str().unwrap_or_default(), rule);
    }
}

fn target(expression: &str, rule: &mut dyn FnMut(&'static str, bool)) {
    let selectors: Vec<&str> = expression
        .match_indices("driftline_")
        .map(|(at, _)| expression.get(at..).unwrap_or_default())
        .collect();
    rule("target-promql", !selectors.is_empty());
    for selector in selectors {
        let name = selector.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
        let rest = selector.strip_prefix(name).unwrap_or_default();
        let labels = rest.strip_prefix('{').and_then(|r| r.split('}').next()).unwrap_or_default();
        rule("target-job", labels.contains("job=~\"$job\""));
        rule("target-instance", labels.contains("instance=~\"$instance\""));
        if name.ends_with("_total") {
            let at = expression.find(name).unwrap();
            let before = expression.get(..at).unwrap_or_default();
            let inside = ["rate(", "increase("].iter().any(|function| before.ends_with(function));
            rule("target-counter-agg", inside);
        }
    }
    let ranges = expression.matches('[').count();
    rule("target-rate-interval", ranges == expression.matches("[$__rate_interval]").count());
}

fn board() -> Value {
    named("fleet")
}

fn named(name: &str) -> Value {
    let path = workspace().join(format!("dashboards/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn every_dashboard_keeps_every_rule() {
    for name in ["fleet", "cases"] {
        assert_eq!(lint(&named(name)), Vec::<&str>::new(), "{name}");
    }
}

/// Dashboards and alerts cannot ask the collector what is quiet: they name the classes.
#[test]
fn what_asks_for_nobody_is_the_same_list_everywhere() {
    let silent = |class: &FindingClass| class.is_quiet() || *class == FindingClass::Unjudged;
    let expected: BTreeSet<&str> = FindingClass::all().filter(silent).map(|c| c.as_str()).collect();
    let mut seen = 0;
    for page in ["dashboards/fleet.json", "rules/prometheus/driftline.yaml"] {
        let text = std::fs::read_to_string(workspace().join(page)).unwrap().replace('\\', "");
        for (at, start) in text.match_indices("class!~\"") {
            let list = text.get(at + start.len()..).and_then(|rest| rest.split('"').next());
            assert_eq!(list.unwrap().split('|').collect::<BTreeSet<_>>(), expected, "{page}");
            seen += 1;
        }
    }
    assert_eq!(seen, 2, "lists were found");
}

/// Replaces what stands at a JSON pointer, and expects exactly this offence.
fn check(expected: &str, pointer: &str, value: Value) {
    let mut board = board();
    *board.pointer_mut(pointer).unwrap_or_else(|| panic!("nothing at {pointer}")) = value;
    assert_eq!(lint(&board), [expected], "{pointer}");
}

#[test]
fn every_rule_bites() {
    let vars = "/templating/list";
    let job_instance = "job=~\"$job\",instance=~\"$instance\"";
    let counter = "driftline_changes_total";
    check("uneditable", "/editable", json!(true));
    check("uid", "/uid", json!("other"));
    check("template-datasource", &format!("{vars}/0/name"), json!("ds"));
    check("template-datasource", &format!("{vars}/0/label"), json!("Source"));
    check("template-job", &format!("{vars}/1/multi"), json!(false));
    check("template-instance", &format!("{vars}/2/allValue"), json!(".*"));
    check("template-on-time-change-reload", &format!("{vars}/1/refresh"), json!(1));
    check("template-label-promql", &format!("{vars}/1/query/query"), json!("job"));
    check("annotation", "/annotations/list", json!([]));
    check("panel-datasource", "/panels/0/datasource/uid", json!("abc"));
    check("panel-datasource", "/panels/0/targets/0/datasource/uid", json!("abc"));
    check("panel-datasource", "/annotations/list/0/datasource/uid", json!("abc"));
    check("panel-title-description", "/panels/1/description", json!(""));
    check("panel-title-description", "/panels/1/title", json!(" "));
    check("panel-units", "/panels/2/fieldConfig/defaults/unit", json!("apples"));
    check("panel-grid", "/panels/2/gridPos/w", json!(25));
    check("panel-grid", "/panels/2/gridPos/h", json!("4"));
    check("panel-no-targets", "/panels/3/targets", json!([]));
    check("panel-id", "/panels/3/id", json!(1));
    let target = "/panels/0/targets/0/expr";
    check("target-promql", target, json!("up"));
    check("target-job", target, json!("driftline_hosts{instance=~\"$instance\"}"));
    check("target-instance", target, json!("driftline_hosts{job=~\"$job\"}"));
    check("target-counter-agg", target, json!(format!("sum({counter}{{{job_instance}}})")));
    let fixed = format!("rate({counter}{{{job_instance}}}[5m])");
    check("target-rate-interval", target, json!(fixed));
    let mut board = board();
    board["panels"].as_array_mut().unwrap().retain(|p| !p.to_string().contains("#drift"));
    assert_eq!(lint(&board), ["portal-link"]);
}
