//! Named faults that prove the tests.
//!
//! Every end-to-end promise must fail against a mutant that breaks it, or the test promises
//! nothing. A mutant is one line at the place where the promise is kept: `if
//! mutant::active(Mutant::…)`. Without the feature `mutants`, which no released program has,
//! [`active`] is constantly false and the compiler removes the line; with it, the environment
//! variable `DRIFTLINE_MUTANT` names the fault of this run.

/// Every mutant there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// The collector answers a report before it is durable, and then fails to write it.
    AcknowledgeBeforeCommit,
    /// The collector applies a version it already has once more.
    ApplyTwice,
    /// The collector takes an unobserved part for one that is gone.
    UnobservedIsAbsent,
    /// The collector lets a second machine speak under the same identity.
    IgnoreClone,
    /// The agent leaves a file it may not read out of the section.
    DeniedIsAbsent,
    /// The agent forgets what waits in the spool when it starts.
    ForgetSpool,
    /// The agent counts a version as delivered when it was sent, not when it was acknowledged.
    AcknowledgeOnSend,
    /// The agent's redactor lets everything through.
    RedactNothing,
    /// The agent's formats report comments as items.
    CommentsAreItems,
    /// The agent never hears of a change from the kernel and waits for the next rescan.
    DeafWatcher,
}

impl Mutant {
    /// Every mutant, for the list the tests run through.
    pub const ALL: [Self; 10] = [
        Self::AcknowledgeBeforeCommit,
        Self::ApplyTwice,
        Self::UnobservedIsAbsent,
        Self::IgnoreClone,
        Self::DeniedIsAbsent,
        Self::ForgetSpool,
        Self::AcknowledgeOnSend,
        Self::RedactNothing,
        Self::CommentsAreItems,
        Self::DeafWatcher,
    ];

    /// Its name in the environment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AcknowledgeBeforeCommit => "acknowledge_before_commit",
            Self::ApplyTwice => "apply_twice",
            Self::UnobservedIsAbsent => "unobserved_is_absent",
            Self::IgnoreClone => "ignore_clone",
            Self::DeniedIsAbsent => "denied_is_absent",
            Self::ForgetSpool => "forget_spool",
            Self::AcknowledgeOnSend => "acknowledge_on_send",
            Self::RedactNothing => "redact_nothing",
            Self::CommentsAreItems => "comments_are_items",
            Self::DeafWatcher => "deaf_watcher",
        }
    }
}

/// Whether this run has the fault.
#[cfg(feature = "mutants")]
pub fn active(mutant: Mutant) -> bool {
    use std::sync::OnceLock;
    static NAME: OnceLock<Option<String>> = OnceLock::new();
    #[allow(clippy::disallowed_methods, reason = "the test names the fault; never in a release")]
    let read = || std::env::var("DRIFTLINE_MUTANT").ok();
    NAME.get_or_init(read).as_deref() == Some(mutant.as_str())
}

/// Whether this run has the fault: never.
#[cfg(not(feature = "mutants"))]
pub const fn active(_: Mutant) -> bool {
    false
}
