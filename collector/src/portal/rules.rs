//! What hosts are held to: every rule that is on, with why, where it comes from and what to do.

use askama::Template;

use super::{Frame, PageError, STYLE_PATH};
use crate::analysis::rules::{Rule, RuleSet};

#[derive(Template)]
#[template(path = "rules.html")]
struct Page<'a> {
    style: &'static str,
    rules: Vec<Row<'a>>,
}

/// One rule as a section.
struct Row<'a> {
    rule: &'a Rule,
    name: &'a str,
    severity: &'static str,
    /// Only addresses of the web are links: a pack is written by people, but not all by us.
    remedy: Option<&'a str>,
    looks_at: String,
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
    let rules = rules.all().map(|rule| Row {
        rule,
        name: rule.name.as_str(),
        severity: rule.severity.as_str(),
        remedy: rule.remedy.as_deref().filter(|url| url.starts_with("https://")),
        looks_at: row(rule),
    });
    Ok(Page { style: STYLE_PATH, rules: rules.collect() }.render()?)
}
