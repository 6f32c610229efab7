//! The query API: one list of routes, from which the router and `docs/openapi.json` are made.
//!
//! Every answer is a bounded page; `next` is the query that gives the following one. Errors are the
//! wire's
//! [`Problem`](driftline_protocol::wire::Problem). Who may ask is written beside each route and
//! checked before its handler runs.

pub mod cases;
pub mod change;
pub mod exceptions;
pub mod import;
mod openapi;
pub mod outliers;
pub mod read;
pub mod rules;
pub mod suspects;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Response;
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, delete, get, post};

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

const LIMIT: (&str, &str) = ("limit", "at most this many, 1 to 10000; default 100");
const AFTER: (&str, &str) = ("after", "what follows this place, as `next` gives it");
const HOST: (&str, &str) = ("host", "only of this host");

/// Every route, in the order of the reference.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/api/v1/hosts",
        scope: Scope::Read,
        summary: "Hosts by name, with how they fare and where they belong",
        query: &[("after", "only hosts after this name"), LIMIT],
        body: &[],
        handler: || get(read::hosts),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/hosts/{host}",
        scope: Scope::Read,
        summary: "One host",
        query: &[],
        body: &[],
        handler: || get(read::host),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/hosts/{host}/sections",
        scope: Scope::Read,
        summary: "The newest state of each section of a host, with what is unobserved",
        query: &[],
        body: &[],
        handler: || get(read::sections),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/hosts/{host}/snapshot",
        scope: Scope::Read,
        summary: "What a host looked like at a moment",
        query: &[
            ("at", "RFC 3339 time or epoch milliseconds; default now"),
            ("source", "only this section"),
        ],
        body: &[],
        handler: || get(read::snapshot),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/changes",
        scope: Scope::Read,
        summary: "Changes, newest first",
        query: &[
            HOST,
            ("source", "only of this source"),
            ("part", "only of this file or table"),
            ("kind", "only of these kinds, separated by commas"),
            ("from", "at or after: RFC 3339 time or epoch milliseconds"),
            ("to", "before: RFC 3339 time or epoch milliseconds"),
            ("before", "older than this change"),
            LIMIT,
        ],
        body: &[],
        handler: || get(read::changes),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/changes/{id}",
        scope: Scope::Read,
        summary: "One change",
        query: &[],
        body: &[],
        handler: || get(read::change),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/findings",
        scope: Scope::Read,
        summary: "Findings, newest first",
        query: &[
            HOST,
            ("kind", "drift or deviation"),
            ("open", "true: only those that hold"),
            AFTER,
            LIMIT,
        ],
        body: &[],
        handler: || get(read::findings),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/findings/{number}",
        scope: Scope::Read,
        summary: "One finding",
        query: &[],
        body: &[],
        handler: || get(read::finding),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/exceptions",
        scope: Scope::Read,
        summary: "Permissions to differ by name, those that are over included",
        query: &[],
        body: &[],
        handler: || get(exceptions::exceptions),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/exceptions",
        scope: Scope::Admin,
        summary: "Permit findings to be, for a while; a name is used once",
        query: &[],
        body: &[
            ("name", "1 to 63 of a-z, 0-9, '.', '_' and '-'; never one before"),
            ("scope", "host, group, site, kind, rule, source, part, key; every field narrows"),
            ("owner", "who answers for it"),
            ("reason", "why, in a sentence"),
            ("expires", "a day (its last moment), a wall time, or RFC 3339; 366 days at most"),
            ("zone", "the time zone the end is written in; default UTC"),
        ],
        handler: || post(exceptions::make),
    },
    Route {
        method: Method::Delete,
        path: "/api/v1/exceptions/{name}",
        scope: Scope::Admin,
        summary: "End an exception before its time",
        query: &[],
        body: &[],
        handler: || delete(exceptions::end_now),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/rules",
        scope: Scope::Read,
        summary: "The rules that are on, with why and what to do",
        query: &[],
        body: &[],
        handler: || get(rules::rules),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/outliers",
        scope: Scope::Read,
        summary: "Settings in which a host differs from peers that agree, the oddest first",
        query: &[
            ("group", "peers are the hosts of this group; default: all hosts of one kind"),
            HOST,
            LIMIT,
        ],
        body: &[],
        handler: || get(outliers::outliers),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/events",
        scope: Scope::Read,
        summary: "What befell hosts and the store, newest first",
        query: &[HOST, AFTER, LIMIT],
        body: &[],
        handler: || get(read::events),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/cases",
        scope: Scope::Read,
        summary: "Cases, newest opened first, in their system's words and in ours",
        query: &[
            ("source", "only of this source"),
            ("id", "only with this id"),
            ("from", "opened at or after: RFC 3339 time or epoch milliseconds"),
            ("to", "opened before: RFC 3339 time or epoch milliseconds"),
            AFTER,
            LIMIT,
        ],
        body: &[],
        handler: || get(cases::cases),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/cases",
        scope: Scope::Cases,
        summary: "Take cases: one JSON object, an array, one object a line, or CSV under a header",
        query: &[("source", "the system they come from; default: the name of the token")],
        body: &[
            ("id", "its name in its system; a case sent again is the same case"),
            ("opened_at", "when it was opened; what was said first stays"),
            ("recorded_at", "when its system first held it"),
            ("resolved_at", "when it was resolved"),
            ("due_at", "when it must be resolved"),
            ("service", "what it is about"),
            ("site", "where it is"),
            ("category", "what sort of case it is"),
            ("team", "the group that works on it"),
            ("priority", "how urgent it is"),
            ("status", "where it stands"),
            ("parent", "the case it is part of or was merged into"),
        ],
        handler: || post(cases::take),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/cases/sources",
        scope: Scope::Read,
        summary: "Where cases come from, and up to when each source told all it had",
        query: &[],
        body: &[],
        handler: || get(cases::sources),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/cases/volume",
        scope: Scope::Read,
        summary: "How many cases there were in each bucket, how many were expected, and the bound",
        query: &[
            ("service", "only of this service, by its name here"),
            ("site", "only of this site, by its name here"),
            ("bucket", "hour, day or week; default hour"),
            ("by", "what makes a cell: service, site, category, separated by commas"),
            ("from", "buckets that begin at or after; default a week before `to`"),
            ("to", "buckets that begin before; default up to when cases are known"),
        ],
        body: &[],
        handler: || get(suspects::volume),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/suspects",
        scope: Scope::Read,
        summary: "Changes held against cases, best tier and score first",
        query: &[
            ("service", "only of this service"),
            ("tier", "only of this tier"),
            ("from", "changed at or after: RFC 3339 time or epoch milliseconds"),
            ("to", "changed before: RFC 3339 time or epoch milliseconds"),
            LIMIT,
        ],
        body: &[],
        handler: || get(suspects::suspects),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/suspects/outcomes",
        scope: Scope::Read,
        summary: "What people said of suspects, and how often they confirmed which",
        query: &[],
        body: &[],
        handler: || get(suspects::outcomes),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/suspects/{number}",
        scope: Scope::Read,
        summary: "One suspect, with everything its pass of the engine was given",
        query: &[],
        body: &[],
        handler: || get(suspects::suspect),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/suspects/{number}/outcome",
        scope: Scope::Admin,
        summary: "Say that a change and a rise belong together, or that they do not",
        query: &[],
        body: &[("outcome", "confirmed or rejected"), ("reason", "why, in a sentence")],
        handler: || post(suspects::say),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/cases/unmapped",
        scope: Scope::Read,
        summary: "Services and sites of cases that the configuration does not know",
        query: &[],
        body: &[],
        handler: || get(cases::unmapped),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/hosts/{host}/baseline",
        scope: Scope::Admin,
        summary: "Agree that the present state of a host is as it should be",
        query: &[],
        body: &[("reason", "why, in a sentence")],
        handler: || post(change::approve),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/hosts/{host}/retire",
        scope: Scope::Admin,
        summary: "Take a host out of service; its history stays",
        query: &[],
        body: &[],
        handler: || post(change::retire),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/hosts/{host}/reinstate",
        scope: Scope::Admin,
        summary: "Bring a retired host back",
        query: &[],
        body: &[],
        handler: || post(change::reinstate),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/import",
        scope: Scope::Admin,
        summary: "Fill the timeline of a host with a history kept elsewhere; raises no finding",
        query: &[],
        body: &[
            ("version", "of the wire"),
            ("host", "whose history; made where it is not known"),
            ("kind", "what kind of host, where it is not known"),
            ("source", "the section, `imported_` and a name"),
            ("versions", "at most 64 states of it, oldest first, each against the one before"),
            ("parts", "the parts that these or later versions name, redacted"),
        ],
        handler: || post(import::import),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/tokens",
        scope: Scope::Admin,
        summary: "Tokens by name; the tokens themselves are never shown again",
        query: &[],
        body: &[],
        handler: || get(read::tokens),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/tokens",
        scope: Scope::Admin,
        summary: "Make a token; the answer shows it this once",
        query: &[],
        body: &[
            ("name", "1 to 63 of a-z, 0-9, '.', '_' and '-'; replaces a token of the same name"),
            ("scope", "enrol, read, metrics, cases or admin"),
            ("days", "how long it lives, 1 to 366"),
        ],
        handler: || post(change::create_token),
    },
    Route {
        method: Method::Delete,
        path: "/api/v1/tokens/{name}",
        scope: Scope::Admin,
        summary: "Remove a token",
        query: &[],
        body: &[],
        handler: || delete(change::remove_token),
    },
];

/// The router of every route, each behind its own check.
pub fn router(collector: &Arc<Collector>) -> Router<Arc<Collector>> {
    let mut router = Router::new();
    for route in ROUTES {
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
        (Method::Post | Method::Delete, Scope::Cases) => collector.case_system(headers),
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
        for route in ROUTES.iter().filter(|route| route.method != Method::Get) {
            let cases = route.path == "/api/v1/cases";
            let scope = if cases { Scope::Cases } else { Scope::Admin };
            assert_eq!(route.scope, scope, "{}", route.path);
        }
    }
}
