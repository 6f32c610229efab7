//! What only a person can mend, and what became of his enrolment.

/// What to do where a collector on plain http refuses the token, for the log and the service
/// manager.
pub const STRANDED: &str = "the collector refuses this host's token; over plain http anybody on \
    this machine may answer in its place, so the agent does not enrol again by itself: stop it, \
    run `driftline-agent enrol`, and start it";

/// What an enrolment that a person asked for came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// With the secret, for the first time or again.
    Anew,
    /// With the secret, under another name than it has for itself, which is another host's.
    NameTaken,
    /// Under a name of its own, for the collector said that it is a copy.
    AsCopy,
    /// Not at all: the collector knows the host.
    Known,
    /// Not at all: the collector did not say whether it knows the host.
    Unheard,
}

impl Enrolled {
    /// The same in words, for whoever asked.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Anew => "enrolled",
            Self::NameTaken => {
                "enrolled under another name, for the collector knows a host by the one this \
                    machine has for itself, also where that was this machine before it was set up \
                    anew. The name and its history stay with that host: `driftline retire` takes \
                    it out of service where it is gone, and what was approved for it is approved \
                    anew for this one. Where both are in use, give each its own `host_name`"
            }
            Self::AsCopy => {
                "another machine speaks with the same identity; enrolled under a name of its own"
            }
            Self::Known => {
                "the collector knows this host; nothing was changed. Where this machine was copied \
                    from another, move the state folder away and enrol again"
            }
            Self::Unheard => {
                "nothing was changed: this host has an identity, and the collector did not say \
                    whether it knows it; the log says why"
            }
        }
    }
}
