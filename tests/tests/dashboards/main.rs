//! Dashboards are right in shape and show something: lint rules, each with a mutant, and a real
//! Prometheus.
//!
//! The rules are those of Grafana's dashboard-linter, written anew because it is a Go program that
//! nothing else here needs; left out are those for Loki, which we do not use. Grafana itself is not
//! run.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

mod lint;
mod queries;
