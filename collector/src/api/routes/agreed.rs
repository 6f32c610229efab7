//! The routes of what persons agree to and do about findings.

use axum::routing::{get, post};

use super::LIMIT;
use crate::api::{Method, Route, acts, baselines, change};
use crate::store::Scope;

const REASON: (&str, &str) = ("reason", "why, in a sentence");

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/api/v1/hosts/{host}/baseline",
        scope: Scope::Admin,
        summary: "Agree that the present state of a host is as it should be",
        query: &[],
        body: &[REASON],
        handler: || post(change::approve),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/baselines",
        scope: Scope::Read,
        summary: "The newest approval of each host and group that has a baseline, by name",
        query: &[("after", "only those after this name"), LIMIT],
        body: &[],
        handler: || get(baselines::baselines),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/baselines/{subject}",
        scope: Scope::Read,
        summary: "What was agreed of a host, or of a group by `@` and its name",
        query: &[],
        body: &[],
        handler: || get(baselines::baseline),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/baselines/{subject}",
        scope: Scope::Admin,
        summary: "Agree to the state of a host, of it or of a group; what it speaks of counts anew",
        query: &[],
        body: &[
            REASON,
            ("from", "the host whose state it is; a group's reference host, else the host itself"),
            (
                "at",
                "how it stood at this moment, by the collector's clock, also where it told of that \
                 later: RFC 3339 time or epoch milliseconds; default now",
            ),
            (
                "etag",
                "what is approved: `etag` of the differences that were read, with their `at`; \
                 refused with `conflict` when the host told of another state by then",
            ),
            ("source", "only of this source"),
            ("part", "only of files and tables that follow this pattern"),
            (
                "except",
                "of a group: what each of its hosts has for itself, a list of source, part and key \
                 patterns; as before where it is left out",
            ),
        ],
        handler: || post(baselines::approve),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/baselines/{subject}/remove",
        scope: Scope::Admin,
        summary: "Take back what was agreed of a group; its approvals stay to be read",
        query: &[],
        body: &[REASON],
        handler: || post(baselines::remove),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/baselines/{subject}/approvals",
        scope: Scope::Read,
        summary: "The approvals of a baseline, the newest first",
        query: &[("before", "only those before this number"), LIMIT],
        body: &[],
        handler: || get(baselines::history),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/baselines/{subject}/differences",
        scope: Scope::Read,
        summary: "How a host, or each host of a group, differs from what was agreed; `at` when, \
                  and the `etag` of a host's state",
        query: &[],
        body: &[],
        handler: || get(baselines::compare),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/findings/accept",
        scope: Scope::Admin,
        summary: "Move baselines to the open drift that a rollout or a change request led to",
        query: &[],
        body: &[
            REASON,
            ("rollout", "the number of the rollout"),
            ("request", "the change request, `source/id`"),
        ],
        handler: || post(baselines::accept),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/findings/{number}/accept",
        scope: Scope::Admin,
        summary: "Say that a finding may be so: the baseline moves, or with an end an exception",
        query: &[],
        body: &[
            REASON,
            (
                "etag",
                "what is accepted: `etag` of the finding as it was read; refused with `conflict` \
                 when it is another by now",
            ),
            (
                "expires",
                "until when: a day, a wall time, or RFC 3339; without it the baseline moves",
            ),
            ("zone", "the time zone that is written in; default UTC"),
        ],
        handler: || post(acts::accept_one),
    },
    Route {
        method: Method::Get,
        path: "/api/v1/findings/{number}/acts",
        scope: Scope::Read,
        summary: "What persons did about a finding, the newest line first",
        query: &[],
        body: &[],
        handler: || get(acts::acts),
    },
    Route {
        method: Method::Post,
        path: "/api/v1/findings/{number}/acts",
        scope: Scope::Admin,
        summary: "Acknowledge or assign a finding, or write a note to it; lines are never removed",
        query: &[],
        body: &[
            ("act", "acknowledge, assign or note"),
            ("text", "to whom it goes, or what is noted"),
        ],
        handler: || post(acts::add),
    },
];
