//! A fleet that is made up, day by day, and whose truth is therefore known.
//!
//! Hosts have files and tables as real ones do; people, programs and mishaps change them. Each
//! thing that happens carries what a person would say it was, decided when it is planned and never
//! asked of the product: `expected` because a request that covers it was written before it, not
//! because somebody found that request. Nothing here knows a collector, a format or a rule. Every
//! world is a function of its seed.

pub mod text;

pub mod host;

pub mod truth;

pub mod log;

pub mod intent;

pub mod plan;

pub mod routine;

pub mod people;

pub mod noise;

pub mod rollout;

pub mod runs;

pub mod hands;

pub mod apt;

pub mod score;
