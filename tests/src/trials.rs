//! Trials of the correlation engine: worlds whose truth is known, and how often it is found.
//!
//! A trial is a stream of cases, changes beside it, and what really goes together with what. It is
//! handed to the program as files, and only the program's printed answer is judged. Nothing here
//! knows how the engine works: worlds are made from what is known about service desks (rhythm,
//! overdispersion, shocks that are shared, storms, trends), not from a method's assumptions.
//! Every world is a function of its seed, so that a number in a table can be looked at again.

pub mod random;

pub mod stream;

pub mod servicenow;

pub mod synthetic;

pub mod cohort;

pub mod truth;

pub mod plan;

pub mod answer;

pub mod simple;

pub mod measure;

pub mod outcome;

pub mod campaign;

pub mod report;
