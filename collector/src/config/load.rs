//! From files to a [`Config`]: read, check, merge.
//!
//! Every mistake names file and line and says what to do. The whole is checked before anything is
//! used, so a file with a mistake changes nothing.

use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use driftline_protocol::limits;
use serde::{Deserialize, Deserializer, de};

use super::ignores::{self, IgnoreRule};
use super::intent::{PartialClassification, WINDOWS_MOST, WindowRule};
use super::owners::{self, OwnerRule};
use super::rules::PartialRules;
use super::service_levels::PartialServiceLevels;
use super::{
    CaseMap, CaseSource, ChangeSource, Config, GroupRule, HostRule, ParameterRule, ServicePath,
    SiteCalendar, Tls,
};
use crate::analysis::correlate::MAX_WINDOW_HOURS;

/// Where the configuration stands unless the command line says otherwise.
pub const DEFAULT_FILE: &str = "/etc/driftline/collector.toml";

/// The largest configuration file, in bytes: some 10,000 host entries.
const FILE_BYTES: u64 = 1024 * 1024;

/// Beside the file: one folder for everything on this machine, and one of the collector's own,
/// since an agent on the same machine reads the first as well.
pub const FOLDERS: [&str; 2] = ["conf.d", "collector.d"];

/// The most files in such a folder; more is a mistake in the path.
const FOLDER_FILES: usize = 200;

/// Why the configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file or folder cannot be read.
    #[error("reading the configuration {} ({})", file.display(), way_out(source))]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A line says something it must not.
    #[error("{file}:{line}: {problem}; {hint}")]
    Line {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// There are more files than anybody means.
    #[error("{} holds more than {FOLDER_FILES} files; is it the right folder?", .0.display())]
    TooMany(PathBuf),
}

/// What to do about a file of the configuration that cannot be read.
fn way_out(error: &std::io::Error) -> &'static str {
    let known = WAYS_OUT.iter().find(|(kind, _)| *kind == error.kind());
    known.map_or("it must be a file of text of up to 1 MiB", |(_, way)| way)
}

const WAYS_OUT: [(ErrorKind, &str); 2] = [
    (
        ErrorKind::NotFound,
        "`driftline-collector sample-config` prints one to begin with, --config FILE names another",
    ),
    (
        ErrorKind::PermissionDenied,
        "read it as root or as the user of the service, or let that user read it",
    ),
];

/// One file: whatever it leaves out stays as it was.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Partial {
    #[serde(default, deserialize_with = "listen")]
    listen: Option<SocketAddr>,
    #[serde(default, deserialize_with = "url")]
    public_url: Option<String>,
    state_dir: Option<PathBuf>,
    enrolment_secret_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "heartbeat")]
    heartbeat_seconds: Option<u64>,
    #[serde(default, deserialize_with = "retention")]
    retention_days: Option<u64>,
    #[serde(default, deserialize_with = "stale")]
    stale_seconds: Option<u64>,
    #[serde(default, deserialize_with = "dormant")]
    dormant_days: Option<u64>,
    tls: Option<Tls>,
    #[serde(default)]
    metrics: PartialMetrics,
    #[serde(default)]
    host: Vec<HostRule>,
    #[serde(default, deserialize_with = "owners::bounded")]
    owner: Vec<OwnerRule>,
    #[serde(default)]
    group: Vec<GroupRule>,
    #[serde(default)]
    service_path: Vec<ServicePath>,
    #[serde(default)]
    case_source: Vec<CaseSource>,
    #[serde(default)]
    case_map: Vec<CaseMap>,
    #[serde(default)]
    calendar: Vec<SiteCalendar>,
    #[serde(default)]
    correlation: PartialCorrelation,
    #[serde(default)]
    change_source: Vec<ChangeSource>,
    #[serde(default, deserialize_with = "windows")]
    change_window: Vec<WindowRule>,
    #[serde(default, deserialize_with = "windows")]
    blackout: Vec<WindowRule>,
    #[serde(default, deserialize_with = "ignores::bounded")]
    ignore: Vec<IgnoreRule>,
    #[serde(default)]
    classification: PartialClassification,
    #[serde(default)]
    service_levels: PartialServiceLevels,
    #[serde(default)]
    rules: PartialRules,
    #[serde(default)]
    parameter: Vec<ParameterRule>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct PartialCorrelation {
    #[serde(default, deserialize_with = "every")]
    every_seconds: Option<u64>,
    #[serde(default, deserialize_with = "look_back")]
    look_back_days: Option<u64>,
    #[serde(default, deserialize_with = "window")]
    window_hours: Option<u64>,
    #[serde(default, deserialize_with = "wrong_claims")]
    wrong_claims_percent: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct PartialMetrics {
    per_host: Option<bool>,
}

/// Reads `file` and every `*.toml` of `conf.d` and `collector.d` beside it, in this order and in
/// the order of their names. A relative path of a file in it is then made absolute by
/// `credentials`.
///
/// # Errors
/// [`ConfigError`], the first one found.
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    for file in files(file)? {
        let text = read(&file)?;
        merge(&mut config, partial(&file.display().to_string(), &text)?);
    }
    let given = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let folder = file.parent().unwrap_or(Path::new("."));
    credentials(&mut config, folder, given.as_deref());
    // An absolute path replaces the one it is joined to.
    config.rules.folder = folder.join(&config.rules.folder);
    Ok(config)
}

/// Finds the files of `config` that hold secrets: `a/b` is the credential `a_b` where the service
/// manager gives one (systemd.exec(5), `LoadCredential=` of a folder), else `a/b` in `folder`. So
/// one configuration serves a service without rights of its own and a person who tries it by hand.
fn credentials(config: &mut Config, folder: &Path, given: Option<&Path>) {
    let tls = config.tls.iter_mut().flat_map(|tls| [&mut tls.cert_file, &mut tls.key_file]);
    for path in config.enrolment_secret_file.iter_mut().chain(tls) {
        if path.is_absolute() {
            continue;
        }
        let name = path.to_string_lossy().replace('/', "_");
        *path = match given.map(|given| given.join(name)) {
            Some(credential) if credential.exists() => credential,
            Some(_) | None => folder.join(&*path),
        };
    }
}

/// Reads one text, as [`load`] does one file.
///
/// # Errors
/// [`ConfigError::Line`].
pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
    let mut config = Config::default();
    merge(&mut config, partial(name, text)?);
    Ok(config)
}

/// The files that [`load`] reads.
fn files(file: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let mut files = vec![file.to_path_buf()];
    for folder in FOLDERS {
        files.append(&mut drop_ins(&file.with_file_name(folder))?);
    }
    Ok(files)
}

/// How the files stand: path, size and time of change of each. Two that are equal, some time apart,
/// say that nobody was writing.
pub(crate) type Standing = Vec<(PathBuf, u64, Option<SystemTime>)>;

/// How the files that [`load`] reads stand now. What cannot be looked at is missing here; reading
/// it will say why.
pub(crate) fn standing(file: &Path, beside: &[&Path]) -> Standing {
    let state = |path: PathBuf| {
        let found = std::fs::metadata(&path).ok()?;
        Some((path, found.len(), found.modified().ok()))
    };
    let beside = beside.iter().map(|path| path.to_path_buf());
    files(file).unwrap_or_default().into_iter().chain(beside).filter_map(state).collect()
}

fn drop_ins(folder: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let failed = |source| ConfigError::Read { file: folder.to_path_buf(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut files: Vec<PathBuf> = entries
        .take(FOLDER_FILES + 1)
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    if files.len() > FOLDER_FILES {
        return Err(ConfigError::TooMany(folder.to_path_buf()));
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read { file: file.to_path_buf(), source };
    let mut opened = File::open(file).map_err(failed)?;
    let bytes = limits::read_bounded(&mut opened, FILE_BYTES).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| failed(std::io::Error::other(error)))
}

fn partial(name: &str, text: &str) -> Result<Partial, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        ConfigError::Line {
            file: name.to_owned(),
            line: before.matches('\n').count() + 1,
            problem: error.message().replace('\n', " "),
            hint: hint(error.message()),
        }
    })
}

fn hint(message: &str) -> String {
    let mut names = message.split('`').skip(1).step_by(2);
    let general = "`driftline-collector sample-config` shows every setting with its meaning";
    if !message.starts_with("unknown field") {
        return general.to_owned();
    }
    let given = names.next().unwrap_or_default();
    match names.map(|name| (likeness(given, name), name)).max() {
        Some((likeness, name)) if likeness * 2 >= given.len() => format!("did you mean `{name}`?"),
        _ => general.to_owned(),
    }
}

/// How many characters `a` and `b` share at their beginnings and ends: enough to catch a slip of
/// the finger.
fn likeness(a: &str, b: &str) -> usize {
    let same = |(x, y): &(u8, u8)| x == y;
    let head = a.bytes().zip(b.bytes()).take_while(same).count();
    let tail = a.bytes().rev().zip(b.bytes().rev()).take_while(same).count();
    (head + tail).min(a.len()).min(b.len())
}

/// Lays `partial` over `config`; destructured, so that a new field cannot be forgotten here.
fn merge(config: &mut Config, partial: Partial) {
    let Partial {
        listen,
        public_url,
        state_dir,
        enrolment_secret_file,
        heartbeat_seconds,
        retention_days,
        stale_seconds,
        dormant_days,
        tls,
        metrics: PartialMetrics { per_host },
        host,
        owner,
        group,
        service_path,
        case_source,
        case_map,
        calendar,
        correlation,
        change_source,
        change_window,
        blackout,
        ignore,
        classification,
        service_levels,
        rules,
        parameter,
    } = partial;
    set(&mut config.listen, listen);
    set(&mut config.state_dir, state_dir);
    set(&mut config.heartbeat_seconds, heartbeat_seconds);
    set(&mut config.retention_days, retention_days);
    set(&mut config.dormant_days, dormant_days);
    set(&mut config.metrics.per_host, per_host);
    config.public_url = public_url.or(config.public_url.take());
    config.enrolment_secret_file = enrolment_secret_file.or(config.enrolment_secret_file.take());
    config.stale_seconds = stale_seconds.or(config.stale_seconds);
    config.tls = tls.or(config.tls.take());
    config.hosts.extend(host);
    config.owners.extend(owner);
    config.groups.extend(group);
    config.service_paths.extend(service_path);
    config.case_sources.extend(case_source);
    config.case_maps.extend(case_map);
    config.calendars.extend(calendar);
    service_levels.merge(&mut config.service_levels);
    let PartialCorrelation { every_seconds, look_back_days, window_hours, wrong_claims_percent } =
        correlation;
    set(&mut config.correlation.every_seconds, every_seconds);
    set(&mut config.correlation.look_back_days, look_back_days);
    let window_hours = window_hours.and_then(|hours| u32::try_from(hours).ok());
    set(&mut config.correlation.window_hours, window_hours);
    set(&mut config.correlation.wrong_claims_percent, wrong_claims_percent);
    config.change_sources.extend(change_source);
    config.change_windows.extend(change_window.into_iter().map(|rule| rule.0));
    config.blackouts.extend(blackout.into_iter().map(|rule| rule.0));
    config.ignores.extend(ignore.into_iter().map(|rule| rule.0));
    classification.merge(&mut config.classification);
    rules.merge(&mut config.rules);
    config.parameters.extend(parameter);
}

fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn windows<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<WindowRule>, D::Error> {
    at_most(deserializer, (WINDOWS_MOST, "windows of one kind"))
}

/// A list of at most so many entries, which are called so.
pub(super) fn at_most<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    (most, what): (usize, &str),
) -> Result<Vec<T>, D::Error> {
    let all = Vec::<T>::deserialize(deserializer)?;
    if all.len() <= most {
        return Ok(all);
    }
    Err(de::Error::custom(format!("there are more than {most} {what}")))
}

pub(super) fn within<'de, D: Deserializer<'de>>(
    deserializer: D,
    (name, range): (&str, RangeInclusive<u64>),
) -> Result<Option<u64>, D::Error> {
    let value = u64::deserialize(deserializer)?;
    if range.contains(&value) {
        return Ok(Some(value));
    }
    let (least, most) = (range.start(), range.end());
    Err(de::Error::custom(format!("{name} is {value} and must be {least} to {most}")))
}

fn heartbeat<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("heartbeat_seconds", 5..=3_600))
}

fn retention<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("retention_days", 1..=36_500))
}

fn stale<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("stale_seconds", 10..=86_400))
}

fn dormant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("dormant_days", 1..=3_650))
}

fn every<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("every_seconds", 1..=86_400))
}

fn look_back<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("look_back_days", 1..=90))
}

fn window<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("window_hours", 1..=u64::from(MAX_WINDOW_HOURS)))
}

fn wrong_claims<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    within(deserializer, ("wrong_claims_percent", 1..=50))
}

fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let must = || {
        format!(
            "listen is {text:?} and must be ADDRESS:PORT, such as 127.0.0.1:9470, or 0.0.0.0:9470 \
             for every address of this machine"
        )
    };
    text.parse().map(Some).map_err(|_| de::Error::custom(must()))
}

fn url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'<>".contains(&byte));
    if plain && (text.starts_with("https://") || text.starts_with("http://")) {
        return Ok(Some(text.trim_end_matches('/').to_owned()));
    }
    Err(de::Error::custom(format!(
        "public_url is {text:?} and must begin with http:// or https://"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        let error = parse("collector.toml", text).expect_err(text);
        assert!(error.to_string().contains(expect), "{error} does not say {expect}");
    }

    #[test]
    fn a_mistake_names_file_line_and_hint() {
        check(
            "\nlisten = ':9470'",
            "collector.toml:2: listen is \":9470\" and must be ADDRESS:PORT",
        );
        check("heartbeat_second = 3", "did you mean `heartbeat_seconds`?");
        check("colour = 3", "sample-config");
        check(
            "\n\nheartbeat_seconds = 0",
            "collector.toml:3: heartbeat_seconds is 0 and must be 5 to 3600",
        );
        check("retention_days = 0", "retention_days is 0 and must be 1 to 36500");
        check("public_url = 'ftp://x'", "public_url is \"ftp://x\" and must begin with http");
        check("[[host]]\nname = 'a'\nkind = 'sbc'", "collector.toml:3: unknown variant");
        check("[tls]\ncert_file = 'a'", "missing field `key_file`");
    }

    #[test]
    fn a_relative_secret_is_a_credential_where_there_is_one() {
        let given = tempfile::tempdir().unwrap();
        std::fs::write(given.path().join("credentials_enrolment.secret"), "x").unwrap();
        let check = |written: &str, credentials_in: Option<&Path>, expect: PathBuf| {
            let text = format!("enrolment_secret_file = '{written}'");
            let mut config = parse("collector.toml", &text).unwrap();
            credentials(&mut config, Path::new("/etc/driftline"), credentials_in);
            assert_eq!(config.enrolment_secret_file, Some(expect), "{written}");
        };
        let secret = "credentials/enrolment.secret";
        check(secret, Some(given.path()), given.path().join("credentials_enrolment.secret"));
        check(secret, None, Path::new("/etc/driftline").join(secret));
        check("other", Some(given.path()), "/etc/driftline/other".into());
        check("/abs/olute", Some(given.path()), "/abs/olute".into());
    }

    #[test]
    fn later_files_replace_values_and_add_entries() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("collector.toml");
        let (more, own) = (folder.path().join("conf.d"), folder.path().join("collector.d"));
        std::fs::create_dir(&more).unwrap();
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("1.toml"), "[[host]]\nname = 'c'").unwrap();
        std::fs::write(&file, "heartbeat_seconds = 10\n[[host]]\nname = 'a'\n").unwrap();
        std::fs::write(more.join("2.toml"), "heartbeat_seconds = 30\n").unwrap();
        std::fs::write(more.join("1.toml"), "heartbeat_seconds = 20\n[[host]]\nname = 'b'")
            .unwrap();
        std::fs::write(more.join("3.toml~"), "not toml").unwrap();
        let config = load(&file).unwrap();
        assert_eq!(config.heartbeat_seconds, 30);
        let names: Vec<&str> = config.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load(Path::new("/nonexistent/collector.toml")).unwrap_err();
        let told = error.to_string();
        assert!(told.starts_with("reading the configuration /nonexistent/collector.toml ("));
        assert!(told.contains("sample-config"), "{told}");
    }
}
