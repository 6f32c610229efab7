//! Folders that exports of cases are put into, looked at in turns.
//!
//! A file is read when it is new or was written again, and left alone while it may still be being
//! written. As long as one file of a folder cannot be read to the end its source counts as not
//! read: what the file holds is unobserved, not absent. What was read is known in memory only;
//! after a start everything is read once more, which changes nothing.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::fs::{Mode, OFlags};
use tokio::sync::watch;

use super::case_intake::{self, Taken};
use super::state::Collector;
use super::upkeep::goes_on;
use crate::config::CaseSource;
use crate::store::CaseReading;
use crate::writer::WriteError;

/// How often folders are looked at: cases are told in minutes, not in seconds.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// How long a file must have been left alone before it is read.
const SETTLED: Duration = Duration::from_secs(2);

/// The most files of one folder that are looked at, by name the last ones.
const FILES: usize = 10_000;

/// Which endings name a file of cases.
const ENDINGS: [&str; 4] = ["csv", "json", "ndjson", "jsonl"];

/// A file as it was when it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    written: SystemTime,
    bytes: u64,
}

/// What is known of the files of all folders.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: BTreeMap<PathBuf, (Stamp, Option<String>)>,
    /// What was last noted of each source.
    noted: BTreeMap<String, (Option<Timestamp>, String)>,
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
    let mut problem;
    match files.map_err(|_| WriteError::Failed)? {
        Err(error) => problem = format!("reading {}: {error}", folder.display()),
        Ok((files, left_out)) => {
            problem = left_out;
            known.files.retain(|path, _| {
                path.parent() != Some(folder) || files.iter().any(|(listed, _)| listed == path)
            });
            for (path, stamp) in files {
                // A time to come is another clock's, not a file that is still being written.
                if stamp.written.elapsed().unwrap_or(settled) < settled {
                    continue;
                }
                if known.files.get(&path).is_none_or(|(read, _)| *read != stamp) {
                    let (taken, whole) = read(collector, source, (&path, &stamp)).await?;
                    rows += taken.intake.rows;
                    refused += taken.intake.refused.total;
                    known.files.insert(path.clone(), (stamp.clone(), whole));
                }
                if let Some((stamp, wrong)) = known.files.get(&path) {
                    through = through.max(Timestamp::try_from(stamp.written).ok());
                    problem = wrong.clone().unwrap_or(problem);
                }
            }
        }
    }
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
    let grew = stamp_of(path).as_ref() != Some(stamp);
    let problem = taken.problem().or(grew.then(|| "it was written while it was read".to_owned()));
    let problem = problem.map(|problem| format!("{name}: {problem}"));
    Ok((taken, problem))
}

/// Opens a regular file, whatever was put into its place since it was listed: a link leads nowhere
/// and a pipe is not waited for.
fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::RDONLY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// The files of cases in `folder` by name, and what was wrong with those left out.
fn list(folder: &Path) -> std::io::Result<(Vec<(PathBuf, Stamp)>, String)> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if ENDINGS.contains(&ending) && !hidden {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    let first = paths.len().saturating_sub(FILES);
    let mut problem = String::new();
    if first > 0 {
        problem = format!("{first} files beyond {FILES} are not read; move old ones away");
    }
    let mut files = Vec::new();
    for path in paths.into_iter().skip(first) {
        match fs::metadata(&path) {
            Ok(_) => files.extend(stamp_of(&path).map(|stamp| (path, stamp))),
            Err(error) => problem = format!("{}: {error}", path.display()),
        }
    }
    Ok((files, problem))
}

/// When a regular file was written and how large it is.
fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    Some(Stamp { written: metadata.modified().ok()?, bytes: metadata.len() })
}
