//! Cases beside changes: the series with its bound, where changes fall, and the suspects, ranked.

use askama::Template;
use jiff::{SignedDuration, Timestamp};

use super::case_chart::{self, Mark};
use super::{Frame, Moment, PageError, Query, Reader, STYLE_PATH, link, plain};
use crate::analysis::cases::Exposure;
use crate::analysis::service_levels::ServiceLevel;
use crate::analysis::site_clock::common_zone;
use crate::analysis::volume::{Bucket, CellKey};
use crate::cases::ColumnNotes;
use crate::pass::levels::Desk;
use crate::pass::sources;
use crate::pass::unmapped::{Unmapped, unmapped};
use crate::pass::volumes::{DatedMove, VolumeAsked, VolumesError, volumes_and_moves};
use crate::store::{FeedRecord, SuspectFilter, SuspectRecord};
use crate::words::counted;

/// How many suspects the page shows: the best of them.
const SUSPECTS: u32 = 50;

/// The most words that mean nothing here that the page shows: the commonest of them.
const UNMAPPED: usize = 20;

/// The longest stretch of hours; a longer one is shown by days.
const HOURLY: SignedDuration = SignedDuration::from_hours(8 * 24);

/// The longest stretch shown.
const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);

/// The sites a suspect names in its heading.
const SITES_NAMED: usize = 12;

#[derive(Template)]
#[template(path = "cases.html")]
struct Page {
    style: &'static str,
    service: String,
    services: Vec<(String, bool)>,
    site: String,
    from: String,
    to: String,
    bucket: &'static str,
    /// Whose clock the times of the chart are of.
    zone: String,
    chart: String,
    total: u64,
    above: Vec<Above>,
    moves: Vec<String>,
    suspects: Vec<SuspectRow>,
    levels: Vec<LevelRow>,
    feeds: Vec<FeedRow>,
    /// Why nothing is held against changes, where nothing is.
    waiting: String,
    /// What changes wait for, where that is long ago.
    held: Option<Held>,
    unmapped: Vec<Unmapped>,
    known: Option<Moment>,
}

/// Open cases of one service, team and priority, each level by its heading.
struct LevelRow {
    service: String,
    team: String,
    priority: String,
    counts: Vec<(&'static str, u64)>,
    findings: String,
}

/// A stretch of time above its bound, as text beside the chart.
struct Above {
    start: String,
    observed: u64,
    expected: String,
}

/// One suspect as the page shows it.
pub(super) struct SuspectRow {
    pub(super) number: i64,
    pub(super) tier: &'static str,
    pub(super) at: Moment,
    pub(super) heading: String,
    pub(super) what: String,
    pub(super) reach: String,
    pub(super) verdict: String,
    pub(super) sentences: Vec<String>,
    pub(super) hosts: Vec<(String, String)>,
    pub(super) more_hosts: u64,
    pub(super) changes: Vec<(i64, String)>,
    pub(super) said: String,
    pub(super) link: String,
}

/// The source that holds what is known, and up to when it told all it had.
struct Held {
    source: String,
    good: Moment,
}

struct FeedRow {
    source: String,
    good: Option<Moment>,
    problem: String,
    /// Words left out because the source has no room for more.
    words_beyond: u64,
    /// What was odd about the columns of its newest reading.
    columns: ColumnNotes,
}

/// Draws the page.
///
/// # Errors
/// [`PageError::Query`] for a field that cannot be, [`PageError::Store`] when the store fails.
pub(super) fn page(store: &dyn Reader, frame: &Frame, query: &Query) -> Result<String, PageError> {
    let until = frame.cases_known.unwrap_or(frame.now);
    let to = query.moment("to", frame.now)?.unwrap_or(until).min(until);
    let back = |by| to.checked_sub(by).unwrap_or(Timestamp::UNIX_EPOCH);
    let week = SignedDuration::from_hours(7 * 24);
    let from = query.moment("from", frame.now)?.unwrap_or(back(week)).max(back(LONGEST));
    let hourly = to.duration_since(from) <= HOURLY;
    let (bucket, seconds) = if hourly { (Bucket::Hour, 3_600) } else { (Bucket::Day, 86_400) };
    let given = |field: &str| query.get(field).map(str::to_owned);
    let (service, site) = (given("service"), given("site"));
    let asked = VolumeAsked {
        service: service.clone(),
        site: site.clone(),
        bucket,
        by: vec![if service.is_some() { CellKey::Service } else { CellKey::Category }],
        from,
        to,
        until,
    };
    // Without a service all cases are one series.
    let asked = if service.is_none() { VolumeAsked { by: Vec::new(), ..asked } } else { asked };
    let cached = frame.cases.as_deref();
    let (rows, moves) =
        volumes_and_moves((store, cached), &frame.config, &asked).map_err(|error| match error {
            VolumesError::Store(error) => PageError::Store(error),
            VolumesError::Count(_) => {
                PageError::Query { field: "from", rule: "a time less long ago" }
            }
        })?;
    let filter = SuspectFilter {
        service: service.clone(),
        from: Some(from),
        to: Some(to),
        limit: SUSPECTS,
        ..SuspectFilter::default()
    };
    let suspects = store.suspects(&filter)?;
    let feeds = store.case_feeds()?;
    let marks: Vec<Mark> = suspects.iter().map(mark).collect();
    let mut services: Vec<String> = frame.config.mapper().services().map(str::to_owned).collect();
    services.sort();
    services.dedup();
    let zone = common_zone(&frame.config.clocks());
    let above = rows.iter().filter(|row| row.alarm).map(|row| Above {
        start: case_chart::shown(row.bucket_start, &zone, seconds),
        observed: row.observed,
        expected: row.expected.map_or_else(|| "unknown".to_owned(), |e| format!("{e:.1}")),
    });
    let page = Page {
        style: STYLE_PATH,
        levels: level_rows(frame, service.as_deref()),
        services: services.into_iter().map(|s| (s.clone(), service.as_ref() == Some(&s))).collect(),
        service: service.unwrap_or_default(),
        site: site.unwrap_or_default(),
        from: query.get("from").unwrap_or_default().to_owned(),
        to: query.get("to").unwrap_or_default().to_owned(),
        bucket: if hourly { "hour" } else { "day" },
        total: rows.iter().map(|row| row.observed).sum(),
        chart: case_chart::draw(&rows, (from, seconds, &zone), &marks),
        above: above.collect(),
        zone: zone.iana_name().unwrap_or("UTC").to_owned(),
        moves: moves.iter().map(moved).collect(),
        suspects: suspects.iter().map(|suspect| row(suspect, frame)).collect(),
        waiting: sources::waiting(&feeds),
        held: held(&feeds, frame),
        unmapped: unmapped(store, &frame.config.mapper(), frame.now, UNMAPPED)?,
        feeds: feeds.into_iter().map(|feed| feed_row(feed, frame)).collect(),
        known: frame.cases_known.map(|known| Moment::new(known, frame.now)),
    };
    Ok(page.render()?)
}

/// A move of the level in words.
fn moved(found: &DatedMove) -> String {
    let (before, after) = (found.moved.before, found.moved.after);
    let word = if after > before { "rose" } else { "fell" };
    let day = found.day;
    format!(
        "On {day} the level {word} from {before:.1} to {after:.1} cases a day, and stayed there"
    )
}

/// Where open cases stand, of `only` this service where one is asked for.
fn level_rows(frame: &Frame, only: Option<&str>) -> Vec<LevelRow> {
    let wanted = frame.levels.iter().filter(|((name, ..), _)| only.is_none_or(|only| only == name));
    let row =
        |((service, team, priority), counts): (&Desk, &[u64; ServiceLevel::ALL.len()])| LevelRow {
            service: service.clone(),
            team: team.clone(),
            priority: priority.clone(),
            counts: ServiceLevel::ALL.map(heading).into_iter().zip(*counts).collect(),
            findings: link::findings_of(service),
        };
    wanted.map(row).collect()
}

/// What the column of a level is called.
fn heading(level: ServiceLevel) -> &'static str {
    match level {
        ServiceLevel::Due => "In time",
        ServiceLevel::AtRisk => "At risk",
        ServiceLevel::Breached => "Breached",
        ServiceLevel::NoTarget => "No target",
    }
}

/// What changes wait for, where it is further behind than an export once a day.
fn held(feeds: &[FeedRecord], frame: &Frame) -> Option<Held> {
    let (feed, good) = sources::held(feeds, &frame.config, frame.now)?;
    Some(Held { source: feed.source.clone(), good: Moment::new(good, frame.now) })
}

fn mark(suspect: &SuspectRecord) -> Mark {
    let tier = suspect.evidence.tier.as_str();
    Mark { at: suspect.at, number: suspect.number, tier }
}

fn feed_row(feed: FeedRecord, frame: &Frame) -> FeedRow {
    FeedRow {
        good: feed.last_good.map(|good| Moment::new(good, frame.now)),
        problem: feed.problem,
        words_beyond: feed.words_beyond,
        columns: frame.case_columns.get(&feed.source).cloned().unwrap_or_default(),
        source: feed.source,
    }
}

/// One suspect as pages show it.
pub(super) fn row(suspect: &SuspectRecord, frame: &Frame) -> SuspectRow {
    let service = suspect.candidate.service.as_deref().unwrap_or("all services");
    let reach = match &suspect.candidate.exposure {
        Exposure::Everywhere => "every site".to_owned(),
        Exposure::Unknown => "sites nobody knows".to_owned(),
        Exposure::Sites(sites) if sites.len() <= SITES_NAMED => sites.join(", "),
        Exposure::Sites(sites) => {
            let named = sites.iter().take(SITES_NAMED).cloned().collect::<Vec<_>>().join(", ");
            format!("{named} and {} more", sites.len() - SITES_NAMED)
        }
    };
    let hosts = suspect.hosts.iter().map(|host| (host.clone(), format!("/hosts/{host}")));
    let hosts: Vec<(String, String)> = hosts.collect();
    let changes = suspect.changes.iter();
    let number = suspect.number;
    SuspectRow {
        number,
        tier: suspect.evidence.tier.as_str(),
        at: Moment::new(suspect.at, frame.now),
        heading: format!("{}, {service}", counted(suspect.host_count, "host")),
        what: suspect.parts.join(", "),
        reach,
        verdict: plain::verdict(suspect),
        sentences: plain::sentences(suspect),
        more_hosts: suspect.host_count.saturating_sub(hosts.len() as u64),
        hosts,
        changes: changes.map(|id| (*id, link::change(crate::store::ChangeId(*id)))).collect(),
        said: suspect.outcome.as_ref().map_or_else(String::new, |said| {
            format!("{} by {}: {}", said.outcome.as_str(), said.who, said.reason)
        }),
        link: format!("/suspects/{number}"),
    }
}
