//! Folders that exports of cases are put into, looked at in turns.
//!
//! A file is read when it is new or was written again, and left alone while it may still be being
//! written. As long as one file of a folder cannot be read to the end its source counts as not
//! read: what the file holds is unobserved, not absent. What was read is known in memory only;
//! after a start everything is read once more, which changes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use super::case_intake::{self, Taken};
use super::folders::{LOOK_EVERY, Problems, SETTLED, Stamp, list, open, stamp_of};
use super::state::Collector;
use super::upkeep::goes_on;
use crate::cases::{ColumnNotes, Intake};
use crate::config::CaseSource;
use crate::store::CaseReading;
use crate::writer::WriteError;

/// What is known of the files of all folders.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: BTreeMap<PathBuf, FileRead>,
    /// What was last noted of each source.
    noted: BTreeMap<String, (Option<Timestamp>, String)>,
}

/// How a file was when it was read, and what was odd about it then.
#[derive(Debug)]
struct FileRead {
    stamp: Stamp,
    problem: Option<String>,
    columns: ColumnNotes,
}

/// Looks at every folder until the collector stops.
pub(super) async fn watch(collector: Arc<Collector>, mut stopped: watch::Receiver<()>) {
    let mut known = Known::default();
    while goes_on(&mut stopped, LOOK_EVERY).await {
        look(&collector, &mut known, SETTLED).await;
    }
}

/// Looks at every folder once.
pub(super) async fn look(collector: &Arc<Collector>, known: &mut Known, settled: Duration) {
    for source in &collector.settings().config.case_sources {
        let Some(folder) = &source.folder else { continue };
        if let Err(error) = look_at(collector, (source, folder), (known, settled)).await {
            tracing::warn!(source = source.name, %error, "cases could not be kept; tried again");
        }
    }
}

async fn look_at(
    collector: &Arc<Collector>,
    (source, folder): (&CaseSource, &Path),
    (known, settled): (&mut Known, Duration),
) -> Result<(), WriteError> {
    let listed = folder.to_owned();
    let files = tokio::task::spawn_blocking(move || list(&listed)).await;
    let (mut rows, mut refused) = (0, 0);
    let mut through = None;
    let mut problems = Problems::default();
    let mut columns = ColumnNotes::default();
    match files.map_err(|_| WriteError::Failed)? {
        Err(error) => problems.push(format!("reading {}: {error}", folder.display())),
        Ok((files, left_out)) => {
            problems = left_out;
            known.files.retain(|path, _| {
                path.parent() != Some(folder) || files.iter().any(|(listed, _)| listed == path)
            });
            for (path, stamp) in files {
                if stamp.is_fresh(settled) {
                    continue;
                }
                if known.files.get(&path).is_none_or(|file| file.stamp != stamp) {
                    let (taken, wrong) = read(collector, source, (&path, &stamp)).await?;
                    let Intake { rows: more, refused: lost, columns, .. } = taken.intake;
                    rows += more;
                    refused += lost.total;
                    let file = FileRead { stamp, problem: wrong, columns };
                    known.files.insert(path.clone(), file);
                }
                if let Some(file) = known.files.get(&path) {
                    through = through.max(file.stamp.written());
                    file.problem.iter().for_each(|problem| problems.push(problem.clone()));
                    if !file.columns.is_empty() {
                        columns.clone_from(&file.columns);
                    }
                }
            }
        }
    }
    let problem = problems.into_text();
    collector.case_columns.note(&source.name, &columns);
    let good_through = through.filter(|_| problem.is_empty());
    let noted = (good_through, problem.clone());
    let before = known.noted.get(&source.name).cloned().unwrap_or_default();
    if rows == 0 && before == noted {
        return Ok(());
    }
    let source = source.name.clone();
    known.noted.insert(source.clone(), noted);
    if !problem.is_empty() {
        tracing::warn!(source, problem, "cases were not read to the end");
    }
    let at = Timestamp::now();
    let reading = CaseReading { source, at, good_through, rows, refused, problem };
    case_intake::note(collector, reading).await
}

/// Reads one file; says what came of it, and what was wrong if anything was.
async fn read(
    collector: &Arc<Collector>,
    source: &CaseSource,
    (path, stamp): (&Path, &Stamp),
) -> Result<(Taken, Option<String>), WriteError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let file = match open(path) {
        Ok(file) => file,
        Err(error) => {
            let broken = crate::cases::ReadError::Input { line: 0, source: error };
            let taken = Taken { intake: Default::default(), broken: Some(broken) };
            let problem = taken.problem().map(|problem| format!("{name}: {problem}"));
            return Ok((taken, problem));
        }
    };
    let taken = case_intake::take(collector, source, file).await?;
    let unread = taken.intake.columns.unread.words();
    if !unread.is_empty() {
        tracing::info!(source = source.name, file = name, columns = unread, "columns nobody reads");
    }
    for lacking in taken.intake.columns.lacking() {
        tracing::warn!(source = source.name, file = name, lacking, "columns that are not there");
    }
    let grew = stamp_of(path).as_ref() != Some(stamp);
    let problem = taken.problem().or(grew.then(|| "it was written while it was read".to_owned()));
    let problem = problem.map(|problem| format!("{name}: {problem}"));
    Ok((taken, problem))
}
