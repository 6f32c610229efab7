//! The counting statistics the engine stands on. Pure.
//!
//! Written from the papers and held to tables made with R and `online-fdr`; nothing here knows of
//! cases or changes. Numbers that cannot be computed are `None`, never NaN.

pub mod adjust;
pub mod beta_binomial;
pub mod breaks;
pub mod case_series;
pub mod fisher;
pub mod glm;
mod linear;
pub mod negative_binomial;
pub mod online;
pub mod poisson;
pub mod random;
pub mod special;
mod triangle;
