//! Keeps what hosts report; says what changed and what drifted.
//!
//! Data goes down this page: a request is checked and applied by [`ingest`], which asks the pure
//! [`analysis`] what changed and gives the [`store`] one step to make durable; [`metrics`], [`api`]
//! and [`portal`] read the same store, so they cannot disagree. The collector never reaches into a
//! host.

// What an administrator sets, and who may come in.

pub mod config;

pub mod serve;

pub mod tls;

pub mod auth;

// From a request to what is durable.

pub mod ingest;

pub mod writer;

pub mod store;

pub mod change_requests;

pub mod cases;

// What it means: the pure core, and what gathers for it.

pub mod analysis;

pub mod standards;

pub mod check_rules;

pub mod approvals;

pub mod classification;

pub mod weighing;

pub mod rollouts;

pub mod blindness;

pub mod outliers;

pub mod impact;

pub mod permits;

pub mod owners;

pub mod owned;

pub mod probed;

pub mod pass;

// What people and programs read.

pub mod finding_list;

pub mod metrics;

pub mod api;

pub mod portal;

// Words, times, the log and the command line of the program itself.

pub mod words;

pub mod moment;

pub mod telemetry;

pub mod arguments;
