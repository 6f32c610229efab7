//! One file for each command.

mod accept;
pub(crate) mod act;
pub(crate) mod baseline;
pub(crate) mod cases;
pub(crate) mod changes;
pub(crate) mod correlate;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod exception;
pub(crate) mod findings;
pub(crate) mod host;
pub(crate) mod hosts;
pub(crate) mod ignores;
pub(crate) mod import;
mod input;
pub(crate) mod outliers;
pub(crate) mod replay;
pub(crate) mod request;
pub(crate) mod retire;
pub(crate) mod rollouts;
pub(crate) mod rules;
mod show;
pub(crate) mod suspects;
pub(crate) mod token;
pub(crate) mod up;
pub(crate) mod volume;
