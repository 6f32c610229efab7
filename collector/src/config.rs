//! What an administrator may set: one struct, its defaults, the sample file.
//!
//! Knows nothing of files ([`load`]) nor of which host belongs where ([`place`]), nor of what the
//! words of a case mean ([`cases`]). Unknown fields are refused, every value has a bound, and
//! [`sample`] with its comment signs taken off is exactly [`Config::default`].

pub mod calendars;
pub mod cases;
mod columns;
pub mod ignores;
pub mod intent;
pub mod load;
pub mod meanings;
pub mod owners;
pub mod place;
pub mod rules;
pub mod service_levels;
mod warnings;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use driftline_protocol::mutant::{self, Mutant};
use jiff::SignedDuration;
use serde::Deserialize;

use crate::analysis::classify::ignore::Ignore;
use crate::analysis::classify::window::Window;

pub use calendars::SiteCalendar;
pub use cases::{CaseMap, CaseSource, Mapper, Words};
pub use intent::{ChangeSource, ClassificationConfig, ShownWindow};
pub use meanings::Meanings;
pub use owners::OwnerRule;
pub use place::{GroupRule, HostRule, Place, Served, ServicePath};
pub use rules::{ParameterRule, RulesConfig};
pub use service_levels::ServiceLevelConfig;

/// The collector's configuration, complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where to listen. Default `127.0.0.1:9470`. Any address beyond loopback needs `[tls]` and a
    /// token.
    pub listen: SocketAddr,
    /// The address people reach the portal at, without a slash at the end; for links in alerts.
    /// Default: none, links then name the address listened on.
    pub public_url: Option<String>,
    /// Where the store lives. Default `/var/lib/driftline/collector`.
    pub state_dir: PathBuf,
    /// The file that holds the secret agents enrol with, one line. Default: none, so only a token
    /// of scope `enrol` can bring in new hosts.
    pub enrolment_secret_file: Option<PathBuf>,
    /// How often agents report, in seconds, 5 to 3,600. Default 60.
    pub heartbeat_seconds: u64,
    /// How long history is kept, in days, 1 to 36,500. Default 400: a year and a month to compare
    /// with.
    pub retention_days: u64,
    /// How long a host may be silent before it is stale, in seconds. Default: three heartbeats.
    pub stale_seconds: Option<u64>,
    /// How long a host may be silent before its series are dropped, in days, 1 to 3,650. Default
    /// 30.
    pub dormant_days: u64,
    /// Certificate and key.
    pub tls: Option<Tls>,
    /// What `/metrics` shows.
    pub metrics: MetricsConfig,
    /// Where hosts belong; the first entry that matches decides.
    pub hosts: Vec<HostRule>,
    /// Who answers for findings; the last entry that fits counts.
    pub owners: Vec<OwnerRule>,
    /// Groups of hosts; a host may be in many.
    pub groups: Vec<GroupRule>,
    /// Which groups a service's calls pass, and the sites they serve.
    pub service_paths: Vec<ServicePath>,
    /// Systems that cases come from.
    pub case_sources: Vec<CaseSource>,
    /// What the words of cases mean here; the first that holds decides each word.
    pub case_maps: Vec<CaseMap>,
    /// Days on which sites work less.
    pub calendars: Vec<SiteCalendar>,
    /// How changes are held against cases.
    pub correlation: CorrelationConfig,
    /// Systems that change requests come from.
    pub change_sources: Vec<ChangeSource>,
    /// When changes may be made.
    pub change_windows: Vec<Window>,
    /// When changes must not be made.
    pub blackouts: Vec<Window>,
    /// The site's own list of what asks for nobody.
    pub ignores: Vec<Ignore>,
    /// How changes are classified.
    pub classification: ClassificationConfig,
    /// How open cases are held against their targets.
    pub service_levels: ServiceLevelConfig,
    /// Which rules hosts are held to.
    pub rules: RulesConfig,
    /// What the site decided about parameters of rules; the last entry that fits counts.
    pub parameters: Vec<ParameterRule>,
}

/// How changes are held against cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorrelationConfig {
    /// How often, in seconds, 1 to 86,400. Default 300.
    pub every_seconds: u64,
    /// Changes of how many days are held against cases, 1 to 90. Default 28.
    pub look_back_days: u64,
    /// How long after a change cases are counted, in hours, 1 to 168. Default 72.
    pub window_hours: u32,
    /// The share of wrong claims among all claims that is put up with, in percent, 1 to 50. Default
    /// 10.
    pub wrong_claims_percent: u64,
}

impl Default for CorrelationConfig {
    fn default() -> Self {
        Self { every_seconds: 300, look_back_days: 28, window_hours: 72, wrong_claims_percent: 10 }
    }
}

/// Certificate and key of the collector, PEM; read again at each reload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, the collector's own first.
    pub cert_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

/// What `/metrics` shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsConfig {
    /// Whether series with a `host` label are shown. Default true; turn off beyond some 10,000
    /// hosts.
    pub per_host: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], crate::config::DEFAULT_PORT)),
            public_url: None,
            state_dir: PathBuf::from("/var/lib/driftline/collector"),
            enrolment_secret_file: None,
            heartbeat_seconds: 60,
            retention_days: 400,
            stale_seconds: None,
            dormant_days: 30,
            tls: None,
            metrics: MetricsConfig { per_host: true },
            hosts: Vec::new(),
            owners: Vec::new(),
            groups: Vec::new(),
            service_paths: Vec::new(),
            case_sources: Vec::new(),
            case_maps: Vec::new(),
            calendars: Vec::new(),
            correlation: CorrelationConfig::default(),
            change_sources: Vec::new(),
            change_windows: Vec::new(),
            blackouts: Vec::new(),
            ignores: Vec::new(),
            classification: ClassificationConfig::default(),
            service_levels: ServiceLevelConfig::default(),
            rules: RulesConfig::default(),
            parameters: Vec::new(),
        }
    }
}

/// The port of collectors: free in the list of Prometheus exporters' default ports.
pub const DEFAULT_PORT: u16 = 9470;

/// How many heartbeats a host may miss before it is stale, unless configured.
const STALE_HEARTBEATS: u64 = 3;

const DAY_SECONDS: u64 = 86_400;

impl Config {
    /// Whether it says what may be meant by a change: a site that says nothing of it, and has no
    /// change request, has no unauthorised changes. Whatever else comes to say so belongs here.
    pub fn tells_of_intent(&self) -> bool {
        let Self { change_sources, change_windows, blackouts, .. } = self;
        !change_sources.is_empty() || !change_windows.is_empty() || !blackouts.is_empty()
    }

    /// How often agents report.
    pub fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.heartbeat_seconds)
    }

    /// How long a host may be silent before it is stale.
    pub fn stale(&self) -> Duration {
        let seconds = self.stale_seconds.unwrap_or(self.heartbeat_seconds * STALE_HEARTBEATS);
        Duration::from_secs(seconds)
    }

    /// How long a host may be silent before its series are dropped.
    pub fn dormant(&self) -> Duration {
        Duration::from_secs(self.dormant_days * DAY_SECONDS)
    }

    /// How long a host at `place` may be silent before that wakes anybody, where its hosts sleep:
    /// no longer than until it is dormant.
    pub fn may_sleep(&self, place: &Place) -> Option<Duration> {
        let days = place.sleep_days.filter(|_| !mutant::active(Mutant::NobodySleeps))?;
        Some(Duration::from_secs(days * DAY_SECONDS).min(self.dormant()))
    }

    /// Whether the groups of a host at `place` take `silence` for sleep.
    pub fn is_sleep(&self, place: &Place, silence: SignedDuration) -> bool {
        let sleep = self.may_sleep(place).and_then(|sleep| SignedDuration::try_from(sleep).ok());
        sleep.is_some_and(|sleep| silence <= sleep)
    }

    /// How long history is kept.
    pub fn retention(&self) -> Duration {
        Duration::from_secs(self.retention_days * DAY_SECONDS)
    }
}

/// The sample file: every field with its meaning, its unit and its default, commented out.
pub fn sample() -> &'static str {
    include_str!("config/sample.toml")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field, as it begins its line in the sample file.
    const FIELDS: [&str; 81] = [
        "listen =",
        "public_url =",
        "state_dir =",
        "enrolment_secret_file =",
        "heartbeat_seconds =",
        "retention_days =",
        "stale_seconds =",
        "dormant_days =",
        "[metrics]",
        "per_host =",
        "[tls]",
        "cert_file =",
        "key_file =",
        "[[host]]",
        "name =",
        "kind =",
        "site =",
        "team =",
        "service =",
        "[[owner]]",
        "chain =",
        "hours =",
        "scope =",
        "[[group]]",
        "host =",
        "sleep_days =",
        "[[service_path]]",
        "groups =",
        "sites =",
        "[correlation]",
        "every_seconds =",
        "look_back_days =",
        "window_hours =",
        "wrong_claims_percent =",
        "[[case_source]]",
        "folder =",
        "timezone =",
        "tokens =",
        "columns =",
        "[[case_map]]",
        "source =",
        "from_service =",
        "from_site =",
        "from_category =",
        "category =",
        "[[calendar]]",
        "days_off =",
        "[service_levels]",
        "at_risk_percent =",
        "teams =",
        "priorities =",
        "[classification]",
        "slack_minutes =",
        "early_hours =",
        "late_hours =",
        "emergency_hours =",
        "revert_days =",
        "settle_hours =",
        "packages =",
        "shipped_ignores =",
        "[[change_source]]",
        "[[change_window]]",
        "days =",
        "weeks =",
        "start =",
        "end =",
        "hosts =",
        "services =",
        "[[blackout]]",
        "from =",
        "until =",
        "[[ignore]]",
        "as =",
        "reason =",
        "kinds =",
        "[rules]",
        "packs =",
        "off =",
        "folder =",
        "[[parameter]]",
        "value =",
    ];

    #[test]
    fn the_sample_with_its_comment_signs_taken_off_is_the_default() {
        let settings = sample().lines().filter_map(|line| line.strip_prefix("#"));
        let text: Vec<&str> = settings.filter(|line| !line.starts_with(' ')).collect();
        let (defaults, examples) =
            text.split_at(text.iter().position(|line| line.starts_with("[[")).unwrap());
        let optional = ["public_url", "enrolment_secret_file", "stale_seconds", "[tls]"];
        let optional = |line: &&&str| optional.iter().any(|name| line.starts_with(name));
        let set: Vec<&str> = defaults
            .iter()
            .filter(|line| !optional(line) && !line.contains("_file = \"credentials/"))
            .copied()
            .collect();
        assert_eq!(load::parse("sample", &set.join("\n")).unwrap(), Config::default());
        let everything = load::parse("sample", &text.join("\n")).unwrap();
        assert!(everything.tls.is_some() && everything.stale_seconds.is_some());
        assert_eq!((everything.hosts.len(), everything.groups.len()), (1, 1));
        assert_eq!(everything.owners.len(), 1);
        assert_eq!((everything.case_sources.len(), everything.case_maps.len()), (1, 1));
        assert_eq!(everything.service_paths.len(), 1);
        assert_eq!(everything.parameters.len(), 1);
        assert_eq!((everything.change_windows.len(), everything.blackouts.len()), (1, 1));
        assert_eq!((everything.change_sources.len(), everything.ignores.len()), (1, 1));
        assert!(examples.len() > 6);
    }

    #[test]
    fn the_sample_names_every_field() {
        for field in FIELDS {
            assert!(sample().contains(&format!("#{field}")), "{field} is not in the sample");
        }
    }
}
