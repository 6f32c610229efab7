//! Suspects, what people say of them, and the volume of cases behind them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::Uri;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Semaphore;

use super::change::{act, body};
use super::read::{moment, query, read};
use super::{Answer, Shared};
use crate::analysis::correlate::Tier;
use crate::analysis::volume::{Bucket, CellKey};
use crate::auth::Person;
use crate::ingest::IngestError;
use crate::pass::sources;
use crate::pass::volumes::{VolumeAsked, VolumesError, volumes};
use crate::serve::answer::{self, Refusal};
use crate::serve::state::Collector;
use crate::store::{
    EventKind, EventRecord, Outcome, OutcomeRecord, Step, SuspectFilter, SuspectRecord,
};
use crate::writer::Reads;

/// The longest reason, in bytes: a paragraph.
const REASON_BYTES: usize = 2_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SuspectsQuery {
    service: Option<String>,
    tier: Option<String>,
    from: Option<String>,
    to: Option<String>,
    #[serde(default)]
    limit: u32,
}

/// `GET /api/v1/suspects`
pub async fn suspects(State(collector): Shared, uri: Uri) -> Answer {
    let SuspectsQuery { service, tier, from, to, limit } = query(&uri)?;
    let filter = SuspectFilter {
        number: None,
        service,
        tier: tier.map(|word| find_tier(&word)).transpose()?,
        from: from.map(|text| moment(&text)).transpose()?,
        to: to.map(|text| moment(&text)).transpose()?,
        limit,
    };
    let latest = collector.correlated.get();
    let config = collector.settings().config;
    let found =
        read(&collector, move |store| Ok((store.suspects(&filter)?, store.case_feeds()?))).await?;
    let (found, feeds) = found;
    let held = sources::held(&feeds, &config, Timestamp::now());
    let known = Known {
        watermark: latest.as_ref().map(|latest| latest.watermark),
        pass_at: latest.as_ref().map(|latest| latest.at),
        held: held.map(|(feed, good)| Held { source: feed.source.clone(), good_through: good }),
        waiting: latest.is_none().then(|| sources::waiting(&feeds)),
    };
    Ok(answer::json(&SuspectsAnswer { suspects: found, known }))
}

/// Suspects, and how much of what they rest on is known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuspectsAnswer {
    /// The suspects.
    pub suspects: Vec<SuspectRecord>,
    /// Up to when cases are known.
    #[serde(flatten)]
    pub known: Known,
}

/// Up to when cases are known, and what changes wait for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// Nearly all cases opened before are known; `None` before the first pass.
    pub watermark: Option<Timestamp>,
    /// When changes were last held against cases.
    pub pass_at: Option<Timestamp>,
    /// The source that later changes wait for, where it is further behind than an export a day.
    pub held: Option<Held>,
    /// Why there was no pass yet, in a sentence.
    pub waiting: Option<String>,
}

/// What changes wait for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Held {
    /// The source.
    pub source: String,
    /// Up to when it told all it had.
    pub good_through: Timestamp,
}

impl Known {
    /// The same in a sentence, with moments as `moment` writes them.
    pub fn sentence(&self, moment: impl Fn(Timestamp) -> String) -> String {
        let held = self.held.as_ref().map(|held| {
            let since = moment(held.good_through);
            let source = &held.source;
            format!("; changes wait for the source {source}, which told all it had up to {since}")
        });
        let known = match (self.watermark, &self.waiting) {
            (Some(watermark), _) => format!(
                "cases are known up to {}, and later changes are not held against them yet",
                moment(watermark)
            ),
            (None, Some(waiting)) => waiting.trim_end_matches('.').to_owned(),
            (None, None) => "up to when cases are known is not known".to_owned(),
        };
        format!("{known}{}", held.unwrap_or_default())
    }
}

fn find_tier(word: &str) -> Result<Tier, Refusal> {
    let found = Tier::ALL.into_iter().find(|tier| tier.as_str() == word);
    let all = Tier::ALL.map(Tier::as_str).join(", ");
    found.ok_or_else(|| Refusal::malformed(format!("{word:?} is none of {all}")))
}

/// One suspect by its number.
///
/// # Errors
/// A [`Refusal`] when there is none.
pub fn one(store: &dyn Reads, number: i64) -> Result<SuspectRecord, Refusal> {
    let filter = SuspectFilter { number: Some(number), limit: 1, ..SuspectFilter::default() };
    let found = store.suspects(&filter)?.pop();
    found.ok_or_else(|| missing(number))
}

fn number(text: &str) -> Result<i64, Refusal> {
    text.parse().map_err(|_| missing(text))
}

fn missing(number: impl std::fmt::Display) -> Refusal {
    Refusal::unknown(format!("suspect {number}"), "driftline suspects")
}

/// `GET /api/v1/suspects/{number}`
pub async fn suspect(State(collector): Shared, Path(text): Path<String>) -> Answer {
    let number = number(&text)?;
    let found = read(&collector, move |store| {
        let suspect = one(store, number)?;
        let pass = store.pass(suspect.pass)?;
        Ok(json!({ "suspect": suspect, "pass": pass }))
    });
    Ok(answer::json(&found.await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutcomeBody {
    outcome: Outcome,
    #[serde(default)]
    reason: String,
}

/// `POST /api/v1/suspects/{number}/outcome`
pub async fn say(
    State(collector): Shared,
    Extension(person): Extension<Person>,
    Path(text): Path<String>,
    request: Request,
) -> Answer {
    let OutcomeBody { outcome, reason } = body(&collector, request).await?;
    judge(&collector, (person, &text), (outcome, reason)).await
}

/// Keeps what `person` says of the suspect of this number.
///
/// # Errors
/// A [`Refusal`]: there is no such suspect, the reason is too long, or the store failed.
pub async fn judge(
    collector: &Arc<Collector>,
    (person, text): (Person, &str),
    (outcome, reason): (Outcome, String),
) -> Answer {
    let number = number(text)?;
    if reason.len() > REASON_BYTES {
        let detail = format!("the reason must have at most {REASON_BYTES} bytes");
        return Err(Refusal::malformed(detail));
    }
    let suspect = read(collector, move |store| one(store, number)).await?;
    let who = person.name;
    act(collector, move |_, context| {
        let detail = format!("{who} {} suspect {}", outcome.as_str(), suspect.key);
        let event = EventRecord { at: context.now, host: None, kind: EventKind::Judged, detail };
        let said = OutcomeRecord {
            suspect: number,
            at: context.now,
            who,
            outcome,
            reason,
            kind: suspect.kind,
            tier: suspect.evidence.tier,
            score: suspect.evidence.score,
        };
        Ok::<_, IngestError>(vec![Step::Outcome(said), Step::Event(event)])
    })
    .await
}

/// How often people confirmed suspects of one sort of change, or of one tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseRate {
    /// The sort of change, or the tier.
    pub name: String,
    /// Suspects confirmed.
    pub confirmed: u64,
    /// Suspects rejected.
    pub rejected: u64,
    /// The share confirmed, drawn towards one half as by one of each: with few it says little.
    pub rate: f64,
}

/// What was said last of each suspect, by its number.
pub fn said_last(outcomes: &[OutcomeRecord]) -> BTreeMap<i64, &OutcomeRecord> {
    outcomes.iter().map(|said| (said.suspect, said)).collect()
}

/// Base rates by sort of change and by tier, from what was said last of each suspect.
pub fn base_rates(outcomes: &[OutcomeRecord]) -> (Vec<BaseRate>, Vec<BaseRate>) {
    let last = said_last(outcomes);
    let rates = |pick: fn(&OutcomeRecord) -> &str| {
        let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for said in last.values() {
            let count = counts.entry(pick(said)).or_default();
            match said.outcome {
                Outcome::Confirmed => count.0 += 1,
                Outcome::Rejected => count.1 += 1,
            }
        }
        let rate = |(name, (confirmed, rejected)): (&str, (u64, u64))| BaseRate {
            name: name.to_owned(),
            confirmed,
            rejected,
            rate: (confirmed as f64 + 1.0) / ((confirmed + rejected) as f64 + 2.0),
        };
        counts.into_iter().map(rate).collect()
    };
    (rates(|said| &said.kind), rates(|said| said.tier.as_str()))
}

/// `GET /api/v1/suspects/outcomes`
pub async fn outcomes(State(collector): Shared) -> Answer {
    let said = read(&collector, |store| Ok(store.outcomes()?)).await?;
    let (by_kind, by_tier) = base_rates(&said);
    Ok(answer::json(&json!({ "outcomes": said, "by_kind": by_kind, "by_tier": by_tier })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VolumeQuery {
    service: Option<String>,
    site: Option<String>,
    bucket: Option<String>,
    by: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// The most rows of one answer.
const ROWS: usize = 10_000;

/// Whose turn it is to count all cases. Each count reads up to two million of them on a thread that
/// reports need too; whoever waits here holds none.
pub(crate) static COUNTING: Semaphore = Semaphore::const_new(2);

/// `GET /api/v1/cases/volume`
pub async fn volume(State(collector): Shared, uri: Uri) -> Answer {
    let _turn = COUNTING.acquire().await.map_err(|_| Refusal::failed())?;
    let VolumeQuery { service, site, bucket, by, from, to } = query(&uri)?;
    let now = Timestamp::now();
    let until = collector.correlated.get().map_or(now, |latest| latest.watermark);
    let to = to.map(|text| moment(&text)).transpose()?.unwrap_or(until);
    let week = SignedDuration::from_hours(7 * 24);
    let early = to.checked_sub(week).unwrap_or(Timestamp::UNIX_EPOCH);
    let from = from.map(|text| moment(&text)).transpose()?.unwrap_or(early);
    let bucket = match bucket.as_deref() {
        None | Some("hour") => Bucket::Hour,
        Some("day") => Bucket::Day,
        Some("week") => Bucket::Week,
        Some(_) => return Err(Refusal::malformed("bucket must be hour, day or week")),
    };
    let by = by.as_deref().unwrap_or("service").split(',').map(cell_key);
    let by = by.collect::<Result<Vec<_>, _>>()?;
    let asked = VolumeAsked { service, site, bucket, by, from, to, until };
    let (config, cached) = (collector.settings().config, collector.correlated.cases());
    let rows = read(&collector, move |store| {
        volumes((store, cached.as_deref()), &config, &asked).map_err(|error| match error {
            VolumesError::Store(error) => Refusal::from(error),
            VolumesError::Count(error) => Refusal::malformed(error),
        })
    });
    let rows = rows.await?;
    if rows.len() > ROWS {
        let detail =
            format!("more than {ROWS} rows; take longer buckets, fewer cells or less time");
        return Err(Refusal::malformed(detail));
    }
    Ok(answer::json(&json!({ "volume": rows, "watermark": until })))
}

fn cell_key(word: &str) -> Result<CellKey, Refusal> {
    match word {
        "service" => Ok(CellKey::Service),
        "site" => Ok(CellKey::Site),
        "category" => Ok(CellKey::Category),
        _ => Err(Refusal::malformed("by must name service, site or category")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_known_is_said_in_a_sentence() {
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        let known = Known { watermark: at("2026-11-22T11:00:00Z"), ..Known::default() };
        let say = |known: &Known| known.sentence(|moment| moment.to_string());
        assert!(say(&known).starts_with("cases are known up to 2026-11-22T11:00:00Z"));
        let good_through = "2026-11-21T00:00:00Z".parse().unwrap();
        let held = Known { held: Some(Held { source: "desk".into(), good_through }), ..known };
        let told = "changes wait for the source desk, which told all it had up to 2026-11-21T00";
        assert!(say(&held).contains(told), "{}", say(&held));
        let none = Known { waiting: Some("No source.".into()), ..Known::default() };
        assert_eq!(say(&none), "No source");
    }
}
