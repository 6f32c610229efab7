//! What tells a host whose history was imported from one whose agent speaks.

use driftline_protocol::ids::Incarnation;

use super::records::HostRecord;

/// The agent's state of a host for which no agent ever spoke: only its history was imported.
pub const NO_AGENT: Incarnation = Incarnation([0; 16]);

impl HostRecord {
    /// Whether all that is known of it was imported.
    pub fn is_imported(&self) -> bool {
        self.incarnation == NO_AGENT
    }
}
