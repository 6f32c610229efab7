//! The statistics that judging counts needs. Pure.
//!
//! Every file is one method with its source named; none of them knows of cases, sites or changes,
//! so that each can be held against another implementation by its numbers alone.

pub mod glm;
mod triangle;
