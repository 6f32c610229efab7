//! What hosts are held to: the rules that are on, with why and what to do.

use axum::extract::State;
use serde_json::json;

use super::{Answer, Shared};
use crate::analysis::rules::RuleView;
use crate::serve::answer;

/// `GET /api/v1/rules`
pub async fn rules(State(collector): Shared) -> Answer {
    let standards = collector.settings().standards;
    let rules: Vec<RuleView<'_>> = standards.rules.all().map(|rule| rule.view()).collect();
    Ok(answer::json(&json!({ "rules": rules, "next": null })))
}
