//! What only a person can mend, and what became of his enrolment.

use driftline_protocol::ids::HostId;
use driftline_protocol::limits;

/// What to do where a collector on plain http refuses the token, or calls the host a copy, for the
/// log and the service manager.
pub const STRANDED: &str = "the collector refuses this host's token, or calls it a copy of another \
    machine; over plain http anybody on this machine may answer in its place, so the agent does \
    not enrol again by itself: stop it, run `driftline-agent enrol`, and start it";

/// What an enrolment that a person asked for came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// With the secret, for the first time or again.
    Anew,
    /// With the secret, under another name than it has for itself, which is another host's.
    NameTaken,
    /// Under a name of its own, for the collector said that it is a copy.
    AsCopy,
    /// Not at all: whoever answers says that the host is a copy, and anybody may answer.
    CalledCopy,
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
            Self::CalledCopy => {
                "nothing was changed: whoever answers says that another machine speaks with the \
                    same identity, and over plain http anybody on this machine may answer. Where \
                    this machine was copied from another, move the state folder away and enrol \
                    again"
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

/// Whether `known` is `proposed`, or what a collector makes of it where others have that name: cut
/// to the length of a name, with `-` and a number. Whoever came to any other name, perhaps by an
/// answer that was not the collector's, is enrolled under his own.
pub(super) fn is_form_of(known: &HostId, proposed: &HostId) -> bool {
    let (known, proposed) = (known.as_str(), proposed.as_str());
    let numbered = known.rsplit_once('-').is_some_and(|(stem, number)| {
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let whole = stem == proposed
            || known.len() == limits::HOST_NAME_BYTES && proposed.starts_with(stem);
        digits && whole
    });
    known == proposed || numbered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_collector_made_of_the_proposed_one_is_a_form_of_it() {
        let long = "a".repeat(limits::HOST_NAME_BYTES);
        let cut = format!("{}-12", "a".repeat(limits::HOST_NAME_BYTES - 3));
        for (known, proposed, is) in [
            ("web", "web", true),
            ("web-2", "web", true),
            ("web-2", "web-2", true),
            ("web-2-2", "web-2", true),
            (&cut, &long, true),
            ("pwned", "web", false),
            ("pwned-2", "web", false),
            ("web-b", "web", false),
            ("we-2", "web", false),
            ("web2-2", "web", false),
        ] {
            let [known, proposed] = [known, proposed].map(|name| name.parse::<HostId>().unwrap());
            assert_eq!(is_form_of(&known, &proposed), is, "{known} of {proposed}");
        }
    }
}
