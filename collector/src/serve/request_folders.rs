//! Folders that exports of change requests are put into, looked at in turns.
//!
//! A file is read when it is new or was written again, and left alone while it may still be being
//! written. What one file got wrong stays told until it is written again or goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::folders::{LOOK_EVERY, SETTLED, Stamp, list, open, stamp_of};
use super::request_intake::{self, RequestReading};
use super::state::Collector;
use super::upkeep::goes_on;
use crate::config::ChangeSource;
use crate::writer::WriteError;

/// What is known of the files of all folders: how each was when it was read, and what came of it.
pub(super) type Known = BTreeMap<PathBuf, (Stamp, RequestReading)>;

/// Looks at every folder until the collector stops.
pub(super) async fn watch(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    let mut known = Known::new();
    let mut wait = Duration::ZERO; // after a start nothing is known, and changes wait for it
    while goes_on(&mut stopped, wait).await {
        look(&collector, &mut known, SETTLED).await;
        wait = LOOK_EVERY;
    }
}

/// Looks at every folder once.
pub(super) async fn look(collector: &Arc<Collector>, known: &mut Known, settled: Duration) {
    for source in &collector.settings().config.change_sources {
        let Some(folder) = &source.folder else { continue };
        match look_at(collector, (source, folder), (known, settled)).await {
            Ok(reading) => {
                let problem = reading.problem.clone();
                let news = collector.request_readings.note(reading);
                if news && !problem.is_empty() {
                    tracing::warn!(source = source.name, problem, "change requests were refused");
                }
            }
            Err(error) => {
                let source = &source.name;
                tracing::warn!(source, %error, "change requests could not be kept; tried again");
            }
        }
    }
}

async fn look_at(
    collector: &Arc<Collector>,
    (source, folder): (&ChangeSource, &Path),
    (known, settled): (&mut Known, Duration),
) -> Result<RequestReading, WriteError> {
    let now = Timestamp::now();
    let listed = folder.to_owned();
    let files = tokio::task::spawn_blocking(move || list(&listed)).await;
    let mut sum = RequestReading { source: source.name.clone(), at: now, ..Default::default() };
    let (files, mut problems) = match files.map_err(|_| WriteError::Failed)? {
        Ok(found) => found,
        Err(error) => {
            sum.problem = format!("reading {}: {error}", folder.display());
            return Ok(sum);
        }
    };
    known.retain(|path, _| {
        path.parent() != Some(folder) || files.iter().any(|(listed, _)| listed == path)
    });
    for (path, stamp) in files {
        if stamp.is_fresh(settled) {
            continue;
        }
        if known.get(&path).is_none_or(|(read, _)| *read != stamp) {
            let reading = read(collector, source, (&path, &stamp)).await?;
            known.insert(path.clone(), (stamp, reading));
        }
        if let Some((_, reading)) = known.get(&path) {
            sum.rows += reading.rows;
            sum.refused += reading.refused;
            sum.too_old += reading.too_old;
            if !reading.problem.is_empty() {
                problems.push(reading.problem.clone());
            }
            if !reading.columns.is_empty() {
                sum.columns.clone_from(&reading.columns);
            }
        }
    }
    sum.problem = problems.into_text();
    Ok(sum)
}

/// Reads one file.
async fn read(
    collector: &Arc<Collector>,
    source: &ChangeSource,
    (path, stamp): (&Path, &Stamp),
) -> Result<RequestReading, WriteError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let now = Timestamp::now();
    let mut reading = match open(path) {
        Err(error) => RequestReading {
            source: source.name.clone(),
            at: now,
            problem: format!("opening it: {error}"),
            ..Default::default()
        },
        Ok(file) => {
            let who = format!("the folder of {}", source.name);
            let taken = request_intake::take(collector, (source, &who), file).await?;
            let mut reading = taken.reading(&source.name, now);
            if reading.problem.is_empty() && stamp_of(path).as_ref() != Some(stamp) {
                reading.problem = "it was written while it was read".to_owned();
            }
            reading
        }
    };
    if !reading.problem.is_empty() {
        reading.problem = format!("{name}: {}", reading.problem);
    }
    Ok(reading)
}
