//! What hosts are held to: the rules that are on, with why and what to do, and what a site may
//! decide about them.

use axum::extract::State;
use serde_json::json;

use super::{Answer, Shared};
use crate::analysis::rules::RuleView;
use crate::serve::answer;

/// `GET /api/v1/rules`
pub async fn rules(State(collector): Shared) -> Answer {
    let standards = collector.settings().standards;
    let set = &standards.rules;
    let rules: Vec<RuleView<'_>> = set.all().map(|rule| set.view(rule)).collect();
    let parameters = set.parameter_views();
    Ok(answer::json(&json!({ "rules": rules, "parameters": parameters, "next": null })))
}
