//! Keeps what hosts report; says what changed and what drifted.
//!
//! Data goes down this page: a request is checked and applied by [`ingest`], which asks the pure
//! [`analysis`] what changed and gives the [`store`] one step to make durable; [`metrics`], [`api`]
//! and [`portal`] read the same store, so they cannot disagree. The collector never reaches into a
//! host.

pub mod config;

pub mod standards;

pub mod check_rules;

pub mod permits;

pub mod blindness;

pub mod owned;

pub mod owners;

pub mod finding_list;

pub mod outliers;

pub mod approvals;

pub mod rollouts;

pub mod felt;

pub mod serve;

pub mod api;

pub mod portal;

pub mod metrics;

pub mod probed;

pub mod auth;

pub mod tls;

pub mod weighing;

pub mod classing;

pub mod pass;

pub mod writer;

pub mod ingest;

pub mod change_requests;

pub mod cases;

pub mod analysis;

pub mod store;

pub mod moment;

pub mod words;

pub mod telemetry;
