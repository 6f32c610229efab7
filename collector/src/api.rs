//! The query API: one list of routes, from which the router and `docs/openapi.json` are made.
//!
//! Every answer is a bounded page; `next` is the query that gives the following one. Errors are the
//! wire's
//! [`Problem`](driftline_protocol::wire::Problem). Who may ask is written beside each route and
//! checked before its handler runs.

pub mod acts;
pub mod baselines;
pub mod cases;
pub mod change;
pub mod exceptions;
pub mod findings;
pub mod import;
pub mod intent;
mod openapi;
pub mod outliers;
pub mod read;
pub mod rollouts;
mod routes;
pub mod rules;
mod speaker;
pub mod suspects;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};

pub use routes::routes;

use crate::serve::answer::Refusal;
use crate::serve::state::Collector;
use crate::store::Scope;

/// What handlers share.
pub type Shared = State<Arc<Collector>>;

/// What handlers answer.
pub type Answer = Result<Response<Body>, Refusal>;

/// One route.
pub struct Route {
    method: Method,
    path: &'static str,
    /// What a token must allow.
    scope: Scope,
    summary: &'static str,
    /// Each query parameter with its meaning.
    query: &'static [(&'static str, &'static str)],
    /// Each field of the JSON body with its meaning.
    body: &'static [(&'static str, &'static str)],
    handler: fn() -> MethodRouter<Arc<Collector>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Get,
    Post,
    Delete,
}

/// The router of every route, each behind its own check.
pub fn router(collector: &Arc<Collector>) -> Router<Arc<Collector>> {
    let mut router = Router::new();
    for route in routes() {
        let guard = (Arc::clone(collector), route.scope, route.method);
        let handler = (route.handler)();
        let guarded = handler.route_layer(middleware::from_fn_with_state(guard, check));
        router = router.route(route.path, guarded);
    }
    router.route("/api/v1/openapi.json", get(|| async { axum::Json(openapi::openapi()) }))
}

type Guard = (Arc<Collector>, Scope, Method);

async fn check(
    State((collector, scope, method)): State<Guard>,
    request: Request,
    next: Next,
) -> Response<Body> {
    let headers = request.headers();
    let allowed = match (method, scope) {
        (Method::Get, _) => collector.person(headers, scope),
        (Method::Post | Method::Delete, Scope::Cases | Scope::ChangeRequests) => {
            collector.system(headers, scope)
        }
        (Method::Post | Method::Delete, _) => collector.admin(headers),
    };
    match allowed {
        Err(refusal) => refusal.into_response(),
        Ok(person) => {
            let mut request = request;
            request.extensions_mut().insert(person);
            next.run(request).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_the_list_of_routes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
        let mut text = serde_json::to_string_pretty(&openapi::openapi()).unwrap();
        text.push('\n');
        crate::serve::compare(path, &text);
    }

    #[test]
    fn what_changes_something_needs_admin_and_what_brings_cases_its_own() {
        for route in routes().filter(|route| route.method != Method::Get) {
            let scope = match route.path {
                "/api/v1/cases" => Scope::Cases,
                "/api/v1/change-requests" => Scope::ChangeRequests,
                _ => Scope::Admin,
            };
            assert_eq!(route.scope, scope, "{}", route.path);
        }
    }
}
