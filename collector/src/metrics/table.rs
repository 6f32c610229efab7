//! Every metric by name, on one page, with its help text, its labels and how many series it can
//! become. Pure.
//!
//! Labels come from closed lists or from configuration, never from what a host says; so the worst
//! case is a formula ([`worst_case`]). `docs/metrics.md` is
//! [`super::reference::reference_page`].

#![deny(clippy::disallowed_methods, reason = "the list of metrics depends on nothing")]

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::snapshot::{Domain, Reason};
use driftline_protocol::wire::{HostKind, ProblemCode};

use crate::analysis::change::ChangeKind;
use crate::analysis::classify::ChangeClass;
use crate::analysis::classify::weigh::FindingClass;
use crate::analysis::correlate::Tier;
use crate::analysis::finding::{FindingKind, Severity};
use crate::analysis::service_levels::ServiceLevel;
use crate::auth::ending::{KINDS, Standing};
use crate::config::owners::LABELS_MOST;
use crate::config::place::SITES_MOST;
use crate::metrics::enrolments::Why;
use crate::store::EventKind;

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// What its samples mean.
    pub shape: Shape,
    /// Its labels, in the order samples give them.
    pub labels: &'static [Label],
    /// What it counts or measures, for people.
    pub help: &'static str,
}

/// What the samples of a metric mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts in buckets; see [`DURATION_BUCKETS`].
    Histogram,
}

/// A label and the list its values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The collector's version; one value.
    Version,
    /// See [`HOST_STATES`].
    State,
    /// A kind of fact.
    Domain,
    /// What happened to an item.
    ChangeKind,
    /// What kind of finding.
    FindingKind,
    /// How bad a finding is.
    Severity,
    /// A host that enrolled.
    Host,
    /// See [`SOURCES`].
    Source,
    /// Why something is unobserved.
    Reason,
    /// What befell a host or the store.
    Event,
    /// Why a request was refused.
    Code,
    /// See [`ROUTES`].
    Route,
    /// See [`STAGES`].
    Stage,
    /// What kind of host; one value for each host.
    HostKind,
    /// From the configuration; one value for each host.
    Site,
    /// From the configuration; one value for each host.
    Team,
    /// Who answers for the host itself; from the configuration, one value for each host.
    HostOwner,
    /// From the configuration; one value for each host.
    Service,
    /// From the configuration; one value.
    Url,
    /// A service of a configured path, or `other`.
    PathService,
    /// A group of that path, or `other`.
    Hop,
    /// A service that cases are counted for; from the configuration, or `unmapped`.
    CaseService,
    /// A site that cases are counted for; from the configuration, or `unmapped`.
    CaseSite,
    /// A source of cases that the configuration names, or `other`.
    CaseSource,
    /// A team that the configuration lists, or `other`.
    CaseTeam,
    /// A priority that the configuration lists, or `other`.
    CasePriority,
    /// Where an open case stands against its target.
    Level,
    /// How far one may go with a suspect.
    Tier,
    /// `service` or `site`.
    CaseColumn,
    /// What was meant by a change.
    Class,
    /// What was meant by the change that led to a drift, or that nobody knows yet.
    DriftClass,
    /// A window or blackout of the configuration.
    Window,
    /// `window` or `blackout`.
    WindowKind,
    /// A source of change requests that the configuration names, or `other`.
    RequestSource,
    /// Who answers for a finding: an owner or team that the configuration names, `nobody`, `other`.
    Owner,
    /// A site that the configuration gives to hosts, or `other`.
    FindingSite,
    /// What a token is for, and the enrolment secret.
    TokenKind,
    /// How a token stands.
    TokenState,
    /// Why an enrolment was refused.
    EnrolmentRefusal,
}

/// The states of a host: heard lately, silent, long silent, retired by a person, known by an
/// imported history alone.
pub const HOST_STATES: [&str; 5] = ["alive", "stale", "dormant", "retired", "imported"];

/// The sources with a label value of their own; whatever else a host names is `other`.
pub const SOURCES: [&str; 31] = [
    "accounts",
    "asterisk",
    "asterisk_running",
    "audio",
    "browser_policy",
    "certificates",
    "containers",
    "cron",
    "desktop_uc_client",
    "directory",
    "ejabberd",
    "files",
    "firewall",
    "freeswitch",
    "freeswitch_running",
    "kamailio",
    "kamailio_running",
    "kernel_policy",
    "listeners",
    "login_policy",
    "network",
    "opensips",
    "os",
    "other",
    "packages",
    "probes",
    "prosody",
    "registry",
    "services",
    "time_sync",
    "transactions",
];

/// The label value of a source; those without a name here share `other`.
pub fn source_label(source: &str) -> &'static str {
    let known = match SOURCES.split_last() {
        Some((_, [known @ .., _])) if mutant::active(Mutant::SourcesAreForgotten) => known,
        _ => &SOURCES,
    };
    known.iter().find(|known| **known == source).copied().unwrap_or("other")
}

/// The kinds of requests.
pub const ROUTES: [&str; 8] =
    ["enrol", "heartbeat", "parts", "report", "metrics", "health", "api", "portal"];

/// The stages that are restarted when they break.
pub const STAGES: [&str; 3] = ["writer", "request", "upkeep"];

/// The words of a case that must mean something here.
pub const CASE_COLUMNS: [&str; 2] = ["service", "site"];

/// The kinds of windows.
pub const WINDOW_KINDS: [&str; 2] = ["window", "blackout"];

/// The upper bounds of duration buckets, in seconds: around the aim of 50 ms, up to an agent's
/// patience.
pub const DURATION_BUCKETS: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0];

impl Label {
    /// The name of the label.
    pub fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::State | Self::TokenState => "state",
            Self::Domain => "domain",
            Self::ChangeKind | Self::FindingKind | Self::Event => "kind",
            Self::HostKind | Self::WindowKind | Self::TokenKind => "kind",
            Self::Class | Self::DriftClass => "class",
            Self::Window => "window",
            Self::Severity => "severity",
            Self::Host => "host",
            Self::Source | Self::CaseSource | Self::RequestSource => "source",
            Self::Reason | Self::EnrolmentRefusal => "reason",
            Self::Code => "code",
            Self::Route => "route",
            Self::Stage => "stage",
            Self::Site | Self::CaseSite | Self::FindingSite => "site",
            Self::Owner | Self::HostOwner => "owner",
            Self::Team | Self::CaseTeam => "team",
            Self::CasePriority => "priority",
            Self::Level => "level",
            Self::Service | Self::CaseService | Self::PathService => "service",
            Self::Hop => "hop",
            Self::Tier => "tier",
            Self::CaseColumn => "column",
            Self::Url => "url",
        }
    }

    /// How many values it can have beside the labels before it, with `hosts` hosts.
    fn values(self, hosts: u64) -> u64 {
        let count = match self {
            Self::Version | Self::HostKind | Self::Site | Self::Team => 1,
            Self::Service | Self::Url | Self::HostOwner => 1,
            Self::CaseService | Self::CaseSite | Self::CaseSource => 1,
            Self::PathService | Self::Hop => 1,
            Self::Window | Self::RequestSource => 1,
            // One of each, and those that have none.
            Self::Owner => 3,
            Self::FindingSite => 2,
            Self::WindowKind => WINDOW_KINDS.len(),
            Self::TokenKind => KINDS.len(),
            Self::EnrolmentRefusal => Why::ALL.len(),
            Self::TokenState => Standing::ALL.len(),
            Self::Class => ChangeClass::ALL.len(),
            Self::DriftClass => FindingClass::COUNT,
            Self::CaseTeam | Self::CasePriority => 1,
            Self::Level => ServiceLevel::ALL.len(),
            Self::CaseColumn => CASE_COLUMNS.len(),
            Self::Tier => Tier::ALL.len(),
            Self::Host => return hosts,
            Self::State => HOST_STATES.len(),
            Self::Domain => Domain::ALL.len(),
            Self::ChangeKind => ChangeKind::ALL.len(),
            Self::FindingKind => FindingKind::ALL.len(),
            Self::Severity => Severity::ALL.len(),
            Self::Source => SOURCES.len(),
            Self::Reason => Reason::ALL.len(),
            Self::Event => EventKind::ALL.len(),
            Self::Code => ProblemCode::ALL.len(),
            Self::Route => ROUTES.len(),
            Self::Stage => STAGES.len(),
        };
        count as u64
    }

    /// Where its values come from, for the reference page.
    pub(super) fn values_text(self) -> String {
        fn list<T: Copy>(all: &[T], text: fn(T) -> &'static str) -> String {
            all.iter().map(|one| text(*one)).collect::<Vec<_>>().join(", ")
        }
        match self {
            Self::Version => "the collector's version".into(),
            Self::Host => "every host that enrolled and is not retired".into(),
            Self::Site | Self::Team | Self::Service => "from `[[host]]`, or empty".into(),
            Self::Owner | Self::HostOwner => {
                format!("one of the first {LABELS_MOST} of `[[owner]]` and teams, nobody, or other")
            }
            Self::FindingSite => format!("one of the first {SITES_MOST} of `[[host]]`, or other"),
            Self::PathService => "a service of `[[service_path]]`, or other".into(),
            Self::Hop => "a group of that path, or other".into(),
            Self::CaseService => "a service of the configuration, or unmapped".into(),
            Self::CaseSite => "a site of the configuration, or unmapped".into(),
            Self::CaseSource => "from `[[case_source]]`, or other".into(),
            Self::CaseTeam => "from `service_levels.teams`, or other".into(),
            Self::CasePriority => "from `service_levels.priorities`, or other".into(),
            Self::Level => list(&ServiceLevel::ALL, ServiceLevel::as_str),
            Self::CaseColumn => CASE_COLUMNS.join(", "),
            Self::Class => list(&ChangeClass::ALL, ChangeClass::as_str),
            Self::DriftClass => {
                list(&FindingClass::all().collect::<Vec<_>>(), FindingClass::as_str)
            }
            Self::Window => "from `[[change_window]]` and `[[blackout]]`".into(),
            Self::WindowKind => WINDOW_KINDS.join(", "),
            Self::TokenKind => KINDS.join(", "),
            Self::EnrolmentRefusal => list(&Why::ALL, Why::as_str),
            Self::TokenState => list(&Standing::ALL, Standing::as_str),
            Self::RequestSource => "from `[[change_source]]`, or other".into(),
            Self::Tier => list(&Tier::ALL, Tier::as_str),
            Self::Url => "from `public_url`, or the address listened on".into(),
            Self::State => HOST_STATES.join(", "),
            Self::Source => SOURCES.join(", "),
            Self::Route => ROUTES.join(", "),
            Self::Stage => STAGES.join(", "),
            Self::Domain => list(&Domain::ALL, Domain::as_str),
            Self::ChangeKind => list(&ChangeKind::ALL, ChangeKind::as_str),
            Self::FindingKind => list(&FindingKind::ALL, FindingKind::as_str),
            Self::Severity => list(&Severity::ALL, Severity::as_str),
            Self::Reason => list(&Reason::ALL, Reason::as_str),
            Self::Event => list(&EventKind::ALL, EventKind::as_str),
            Self::Code => list(&ProblemCode::ALL, ProblemCode::as_str),
            Self::HostKind => list(&HostKind::ALL, HostKind::as_str),
        }
    }
}

impl Metric {
    /// How many series it can become with `hosts` hosts.
    pub(super) fn series(&self, hosts: u64) -> u64 {
        let combinations: u64 = self.labels.iter().map(|label| label.values(hosts)).product();
        match self.shape {
            Shape::Counter | Shape::Gauge => combinations,
            // Each bucket, the bucket without a bound, the sum and the count.
            Shape::Histogram => combinations * (DURATION_BUCKETS.len() as u64 + 3),
        }
    }
}

/// The most series `/metrics` can show with `hosts` hosts; with 0 hosts, or with `metrics.per_host
/// = false`, what remains.
pub fn worst_case(hosts: u64) -> u64 {
    ALL.iter().map(|metric| metric.series(hosts)).sum()
}

macro_rules! metrics {
    ($($id:ident $name:literal $shape:ident [$($label:ident),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: Metric = Metric {
                name: concat!("driftline_", $name),
                shape: Shape::$shape,
                labels: &[$(Label::$label),*],
                help: $help,
            };
        )*
        /// Every metric, in the order of the reference page.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    BUILD_INFO "build_info" Gauge [Version]
        "Always 1; the labels say which collector this is";
    PORTAL_INFO "portal_info" Gauge [Url]
        "Always 1; the address of the portal, for links in alerts";
    HOSTS "hosts" Gauge [State]
        "Hosts by how long they have been silent";
    HOSTS_ASLEEP "hosts_asleep" Gauge []
        "Stale hosts whose silence their groups take for sleep";
    HOSTS_UNASSIGNED "hosts_unassigned" Gauge []
        "Hosts that no host entry of the configuration matches";
    HOSTS_IMBALANCED "hosts_imbalanced" Gauge []
        "Hosts whose ledger does not balance; must be 0";
    HOST_INFO "host_info" Gauge [Host, HostKind, Site, Team, Service, HostOwner]
        "Always 1; where a host belongs, to be joined on host";
    LAST_REPORT "last_report_timestamp_seconds" Gauge [Host]
        "When a host was last heard, by the collector's clock";
    HOST_SLEEP "host_sleep_seconds" Gauge [Host]
        "How long a host that sleeps may be silent before that wakes anybody; none of others";
    CLOCK_SKEW "clock_skew_seconds" Gauge [Host]
        "How far a host's clock is ahead of the collector's, travel time included";
    LEDGER_IMBALANCE "ledger_imbalance" Gauge [Host]
        "Section versions of a host that nobody can account for; must be 0";
    SOURCE_SUCCESS "source_success" Gauge [Host, Source]
        "Whether the last reading of a source came to its end";
    SOURCE_OVER_BUDGET "source_over_budget" Gauge [Host, Source]
        "Whether a source was stopped because its last pass passed its budget";
    SOURCE_READ "source_read_seconds" Gauge [Host, Source]
        "How long the last reading of a source took";
    PARTS_UNOBSERVED "parts_unobserved" Gauge [Host, Reason]
        "Files and tables of a host that cannot be read now, by reason";
    FLEET_PARTS_UNOBSERVED "fleet_parts_unobserved" Gauge [Reason]
        "Files and tables of all hosts that cannot be read now, by reason";
    PARTS_BLIND "parts_blind" Gauge [Host, Reason]
        "Files and tables of a host that were read and have not been for an hour, by reason";
    FLEET_PARTS_BLIND "fleet_parts_blind" Gauge [Reason]
        "Files and tables of all hosts that were read and have not been for an hour, by reason";
    WATCH_LIMITED "watch_limited" Gauge [Host]
        "Whether an agent may watch no more, so that changes wait for its rescan";
    AGENT_CPU "agent_cpu_seconds_total" Counter [Host]
        "CPU time of a host's agent since it started";
    AGENT_MEMORY "agent_memory_bytes" Gauge [Host]
        "Memory that a host's agent holds";
    AGENT_FILES "agent_open_files" Gauge [Host]
        "Files that a host's agent has open";
    SPOOL_BYTES "spool_bytes" Gauge [Host]
        "Bytes that wait in the spool of a host's agent";
    SPOOL_LIMIT "spool_limit_bytes" Gauge [Host]
        "Bytes that the spool of a host's agent may hold";
    CHANGES "changes_total" Counter [Domain, ChangeKind]
        "Changes of items since the store was made, imports left out";
    CLASSES "changes_classified_total" Counter [Domain, Class]
        "Classes given to changes; one that is judged again counts again under its new class";
    WINDOW_OPEN "change_window_open" Gauge [Window, WindowKind]
        "Whether a change window or blackout is open now";
    REQUEST_SOURCE_GOOD "change_source_last_good_timestamp_seconds" Gauge [RequestSource]
        "When a source of change requests was last read whole; 0 before its first such reading";
    REQUESTS_LEFT_OUT "change_requests_left_out_total" Counter []
        "Passes that held changes against fewer requests than there were, since the start";
    REQUESTS_REFUSED "change_requests_refused_total" Counter []
        "Change requests refused because their source has too many, since the start";
    FINDINGS_OPEN "findings_open" Gauge [FindingKind, Domain, Severity]
        "Open findings of all hosts that no exception permits, neither meant nor noise";
    FINDINGS_EXCEPTED "findings_excepted" Gauge [FindingKind, Domain, Severity]
        "Open findings of all hosts that an exception permits";
    DRIFT_OPEN "drift_open" Gauge [Host, Domain, Severity]
        "Open drifts of a host that no exception permits, neither meant nor noise";
    DRIFT_BY_CLASS "drift_by_class" Gauge [Domain, DriftClass]
        "Open drifts that no exception permits, by what was meant by the change that led to them";
    FINDINGS_BY_OWNER "findings_by_owner" Gauge [Owner, Severity, DriftClass]
        "Open findings that no exception permits, by who answers for them and what was meant";
    FINDINGS_BY_SITE "findings_by_site" Gauge [FindingSite, Severity, DriftClass]
        "Open findings that no exception permits, by where their hosts stand and what was meant";
    DRIFT_OWNED "drift_owned" Gauge [Host, Owner, Severity]
        "Open drifts of a host that ask for somebody, by who answers for them; none where 0";
    EVENTS "events_total" Counter [Event]
        "What befell hosts and the store since it was made";
    REQUESTS "requests_total" Counter [Route]
        "Requests received since the collector started";
    REFUSED "refused_total" Counter [Code]
        "Requests refused since the collector started, by reason";
    ENROLMENTS_REFUSED "enrolments_refused_total" Counter [EnrolmentRefusal]
        "Enrolments refused since the collector started, by reason";
    CONNECTIONS_REFUSED "connections_refused_total" Counter []
        "Connections closed at once because there were too many";
    IN_FLIGHT "in_flight_bytes" Gauge []
        "Bytes of request bodies in memory";
    INGEST_DURATION "ingest_duration_seconds" Histogram []
        "From a report read to its versions durable";
    WRITER_QUEUE "writer_queue_jobs" Gauge []
        "Requests that wait for the store's writer";
    WRITER_BATCHES "writer_batches_total" Counter []
        "Groups of requests made durable together since the collector started";
    PART_HITS "part_store_hits_total" Counter []
        "Parts received that were stored already, since the collector started";
    PART_MISSES "part_store_misses_total" Counter []
        "Parts received that were new, since the collector started";
    STORE_SIZE "store_size_bytes" Gauge []
        "Bytes of the store on disk";
    STORE_PARTS "store_parts" Gauge []
        "Distinct parts in the store";
    STORE_VERSIONS "store_versions" Gauge []
        "Section versions in the store";
    STAGE_PANICS "stage_panics_total" Counter [Stage]
        "How often a stage of the collector broke and was restarted; each is a bug";
    CASES_OPENED "cases_opened" Gauge [CaseService, CaseSite]
        "Cases opened in the last whole hour of which nearly all are known";
    CASES_EXPECTED "cases_expected" Gauge [CaseService]
        "Cases expected in that hour by the same hours of past weeks";
    CASES_BOUND "cases_bound" Gauge [CaseService]
        "The largest count of that hour that is no alarm; a quiet hour is above it once in 1000";
    CASES_OPEN "cases_open" Gauge [CaseService, CaseTeam, CasePriority, Level]
        "Open cases by where they stand against their targets, merged and child cases left out";
    CASES_UNMAPPED "cases_unmapped" Gauge [CaseColumn]
        "Cases of the look-back whose service or site the configuration does not name";
    CASES_BEYOND "cases_beyond_total" Counter []
        "Cases removed early because their source had too many, since the store was made";
    CASE_WORDS_LEFT_OUT "case_words_left_out_total" Counter []
        "Words of cases left out because there were too many of them, since the store was made";
    CASE_SOURCE_GOOD "case_source_last_good_timestamp_seconds" Gauge [CaseSource]
        "Up to when a source of cases told all it had; 0 before its first whole reading";
    CASE_SOURCE_WAITED "case_source_waited_timestamp_seconds" Gauge [CaseSource]
        "As far as a source told all it had, where changes wait for it; the least holds all";
    CASE_SOURCE_UNREAD "case_source_unread" Gauge [CaseSource]
        "Sources that speak and were never read to their end, so that their cases do not count";
    SUSPECTS "suspects" Gauge [CaseService, Tier]
        "Changes of the look-back held against cases, by tier; an empty service is all of them";
    WATERMARK "correlation_watermark_timestamp_seconds" Gauge []
        "Cases opened before are known and held against changes; the engine lags so far behind";
    LAST_PASS "correlation_last_pass_timestamp_seconds" Gauge []
        "When the engine last said anything";
    PASS_TOOK "correlation_pass_seconds" Gauge []
        "How long the engine took for that";
    PASS_LEFT_OUT "correlation_left_out" Gauge []
        "Changes left out of that pass because there were too many";
    PROBE_ANSWERED "probe_answered_ratio" Gauge [PathService, Hop]
        "Of the targets of a hop that hosts probe, how many answer";
    PROBE_ROUND_TRIP "probe_round_trip_seconds" Gauge [PathService, Hop]
        "The longest round trip among the targets of a hop";
    PROBE_LOSS "probe_loss_ratio" Gauge [PathService, Hop]
        "The largest share of tries without an answer among the targets of a hop";
    PROBE_EXPIRY "probe_certificate_expiry_timestamp_seconds" Gauge [PathService, Hop]
        "When the first certificate of the targets of a hop ends";
    TOKENS "tokens" Gauge [TokenKind, TokenState]
        "Tokens of people and programs, and the enrolment secret, by whether they end in 14 days";
    RELOAD_SUCCESS "reload_success" Gauge []
        "Whether the newest configuration is in use; 0 after a reload that was refused";
    RELOAD_TIME "reload_last_success_timestamp_seconds" Gauge []
        "When the configuration in use was loaded";
}
