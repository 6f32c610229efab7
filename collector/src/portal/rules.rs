//! What hosts are held to: every rule that is on, with what it demands, why, where it comes from
//! and what to do; and what a site may decide about them.

use askama::Template;

use super::{Frame, PageError, STYLE_PATH};
use crate::analysis::rules::{ParameterView, Rule, RuleSet};

#[derive(Template)]
#[template(path = "rules.html")]
struct Page<'a> {
    style: &'static str,
    rules: Vec<Row<'a>>,
    parameters: Vec<ParameterView>,
}

/// One rule as a section.
struct Row<'a> {
    rule: &'a Rule,
    name: &'a str,
    severity: &'static str,
    /// Only addresses of the web are links: a pack is written by people, but not all by us.
    remedy: Option<&'a str>,
    looks_at: String,
    /// What it demands, in words; empty where that is an expression, which is shown as it is.
    demands: String,
    /// The parameter that says what is wanted; empty where none does.
    parameter: &'a str,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Template`].
pub(super) fn page(rules: &RuleSet, _: &Frame) -> Result<String, PageError> {
    let row = |rule: &'_ Rule| -> String {
        let target = &rule.target;
        let key = target.key.as_deref().unwrap_or("the part itself");
        format!("{} {} {key}", target.source, target.part)
    };
    let parameters = rules.parameter_views();
    let demands = |rule: &Rule| match rule.expression() {
        Some(_) => String::new(),
        None => rules.view(rule).demands,
    };
    let rows = rules.all().map(|rule| Row {
        rule,
        demands: demands(rule),
        parameter: rules.view(rule).parameter.unwrap_or_default(),
        name: rule.name.as_str(),
        severity: rule.severity.as_str(),
        remedy: rule.remedy.as_deref().filter(|url| url.starts_with("https://")),
        looks_at: row(rule),
    });
    Ok(Page { style: STYLE_PATH, rules: rows.collect(), parameters }.render()?)
}
