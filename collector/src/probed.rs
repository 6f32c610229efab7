//! What the probes of all hosts found last, read from the store for metrics and pages.

use driftline_protocol::ids::{HostId, SourceName};

use crate::analysis::probes::{PROBES, Probe};
use crate::config::Config;
use crate::store::StoreError;
use crate::writer::Reads;

/// The label value of a service or hop that the configuration does not name.
const OTHER: &str = "other";

/// What the probes of one host found; nothing where it asks nobody.
///
/// # Errors
/// When the store fails.
pub fn of_host(store: &dyn Reads, host: &HostId) -> Result<Vec<Probe>, StoreError> {
    let Ok(source) = PROBES.parse::<SourceName>() else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for record in store.section_parts(host, &source)? {
        if let Some(part) = store.part(&record.digest)? {
            all.extend(Probe::of(&record.part, &part));
        }
    }
    Ok(all)
}

/// The names of service and hop as labels may have them: those of a configured path, or `other`.
pub fn labels<'a>(config: &'a Config, probe: &Probe) -> (&'a str, &'a str) {
    let path = config
        .service_paths
        .iter()
        .find(|path| path.service == probe.service && path.groups.contains(&probe.hop));
    let Some(path) = path else { return (OTHER, OTHER) };
    let hop = path.groups.iter().find(|group| **group == probe.hop);
    (path.service.as_str(), hop.map_or(OTHER, String::as_str))
}
