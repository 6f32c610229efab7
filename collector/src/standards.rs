//! What hosts are held to, and which of it concerns which host: rules and places, read together.
//!
//! One value, swapped as a whole at each reload, so that a host is never judged by new rules in an
//! old group. Reading is done here and judging in [`crate::analysis::rules`]; a folder with one
//! mistake gives no standards at all, and the old ones stay.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftline_protocol::ids::HostId;
use driftline_protocol::limits;
use driftline_protocol::wire::HostKind;

use crate::analysis::rules::reading::{self, Mistake, PACK_BYTES};
use crate::analysis::rules::{About, Pack, RuleSet, Setting, shipped};
use crate::config::Config;
use crate::config::place::matches;

/// The most packs of a site; more is a mistake in the path.
const SITE_PACKS: usize = 200;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A file or folder cannot be read.
    #[error(
        "reading rules from {} (it must be a pack in TOML, or a folder of them; [rules] folder \
         names the site's)",
        file.display()
    )]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There are more files than anybody means.
    #[error("{} holds more than {SITE_PACKS} packs; is it the right folder?", .0.display())]
    TooMany(PathBuf),
    /// Packs have mistakes; all of them are named.
    #[error("{}", lines(.0))]
    Mistakes(Vec<Mistake>),
    /// The configuration names what no pack has.
    #[error("{problem}; {hint}")]
    Config {
        /// What is wrong.
        problem: String,
        /// What to do.
        hint: String,
    },
}

fn lines(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// What hosts are held to.
#[derive(Clone, Debug, Default)]
pub struct Standards {
    /// The rules that are on.
    pub rules: RuleSet,
    /// Where hosts belong.
    pub config: Arc<Config>,
}

impl Standards {
    /// The standards of `config`, its folder of packs included.
    ///
    /// # Errors
    /// [`RulesError`]; every mistake of every pack is named.
    pub fn load(config: &Arc<Config>) -> Result<Self, RulesError> {
        let own = site_packs(&config.rules.folder)?;
        let shipped = shipped::PACKS.iter().filter(|(name, _)| {
            let on = config.rules.packs.iter().any(|pattern| matches(pattern, name));
            on && !own.iter().any(|pack| pack.name == *name)
        });
        let shipped: Vec<_> = shipped.map(|(name, text)| shipped::pack(name, text)).collect();
        let packs = gather(shipped.into_iter().chain(own.into_iter().map(Ok)))?;
        refuse_doubles(&packs)?;
        let settings = config.parameters.iter().map(|parameter| Setting {
            name: parameter.name.clone(),
            site: parameter.site.clone(),
            values: reading::values(&parameter.value),
        });
        let rules = RuleSet::new(packs, &config.rules.off, settings.collect());
        check_names(config, &rules)?;
        Ok(Self { rules, config: Arc::clone(config) })
    }

    /// Where a host that calls itself a `kind` stands.
    pub fn about(&self, host: &HostId, kind: HostKind) -> About {
        let place = self.config.place(host, kind);
        About { kind: place.kind, site: place.site, groups: place.groups }
    }
}

fn gather(
    packs: impl Iterator<Item = Result<Pack, Vec<Mistake>>>,
) -> Result<Vec<Pack>, RulesError> {
    let (mut good, mut mistakes) = (Vec::new(), Vec::new());
    for pack in packs {
        match pack {
            Ok(pack) => good.push(pack),
            Err(mut more) => mistakes.append(&mut more),
        }
    }
    if mistakes.is_empty() { Ok(good) } else { Err(RulesError::Mistakes(mistakes)) }
}

/// Findings carry the name of their rule, so two rules of one name would be taken for each other.
fn refuse_doubles(packs: &[Pack]) -> Result<(), RulesError> {
    let mut known = std::collections::BTreeMap::new();
    for rule in packs.iter().flat_map(|pack| &pack.rules) {
        if let Some(other) = known.insert(&rule.name, &rule.pack) {
            let problem = format!("{other} and {} both have a rule {}", rule.pack, rule.name);
            return Err(RulesError::Config { problem, hint: "give one another name".to_owned() });
        }
    }
    Ok(())
}

/// A slip of the finger must not turn off nothing in silence.
fn check_names(config: &Config, rules: &RuleSet) -> Result<(), RulesError> {
    let unused = |pattern: &&String| !shipped::PACKS.iter().any(|(name, _)| matches(pattern, name));
    if let Some(pattern) = config.rules.packs.iter().find(unused) {
        let names: Vec<&str> = shipped::PACKS.iter().map(|(name, _)| *name).collect();
        let problem = format!("[rules] packs: no pack comes with the name {pattern:?}");
        return Err(RulesError::Config {
            problem,
            hint: format!("there are {}", names.join(", ")),
        });
    }
    if let Some(setting) = rules.unknown_settings().next() {
        let problem = format!("[[parameter]] {}: no pack that is on has it", setting.name);
        let hint = "`driftline rules` lists packs and parameters".to_owned();
        return Err(RulesError::Config { problem, hint });
    }
    Ok(())
}

/// The site's own packs, by name; none where the folder is not there.
fn site_packs(folder: &Path) -> Result<Vec<Pack>, RulesError> {
    let failed = |source| RulesError::Read { file: folder.to_path_buf(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(source)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
        if files.len() > SITE_PACKS {
            return Err(RulesError::TooMany(folder.to_path_buf()));
        }
    }
    files.sort();
    let packs: Vec<_> = files.iter().map(|file| read_pack(file)).collect::<Result<_, _>>()?;
    gather(packs.into_iter())
}

/// One file of rules: the pack, or its mistakes.
///
/// # Errors
/// [`RulesError::Read`] when there is nothing to judge.
pub fn read_pack(file: &Path) -> Result<Result<Pack, Vec<Mistake>>, RulesError> {
    let failed = |source| RulesError::Read { file: file.to_path_buf(), source };
    let mut opened = File::open(file).map_err(failed)?;
    let bytes = limits::read_bounded(&mut opened, PACK_BYTES).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|e| failed(std::io::Error::other(e)))?;
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(reading::read(&file.display().to_string(), &name.unwrap_or_default(), &text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    const PACK: &str = "title = 'Ours'\n[[rule]]\nname = 'ours-one'\ntitle = 'One'\n\
        severity = 'info'\nreason = 'because'\nreference = 'us'\nsource = 'os'\npart = 'kernel'\n\
        key = 'release'\noperator = 'present'\n[[rule.example]]\nfires = true\nitems = {}\n\
        [[rule.example]]\nfires = false\nitems = { release = '6' }\n";

    fn load(text: &str, files: &[(&str, &str)]) -> Result<Standards, RulesError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let mut config = parse("t", text).unwrap();
        config.rules.folder = folder.path().to_path_buf();
        Standards::load(&Arc::new(config))
    }

    fn packs(standards: &Standards) -> Vec<&str> {
        let mut packs: Vec<&str> = standards.rules.all().map(|rule| rule.pack.as_str()).collect();
        packs.sort_unstable();
        packs.dedup();
        packs
    }

    #[test]
    fn shipped_packs_are_on_by_name_and_a_sites_own_always() {
        assert!(packs(&load("", &[]).unwrap()).is_empty());
        assert_eq!(
            packs(&load("[rules]\npacks = ['s*']", &[]).unwrap()),
            ["services", "sshd", "sudo"]
        );
        assert_eq!(packs(&load("", &[("ours.toml", PACK)]).unwrap()), ["ours"]);
        let replaced = load("[rules]\npacks = ['sshd']", &[("sshd.toml", PACK)]).unwrap();
        assert_eq!(replaced.rules.all().count(), 1, "a file of the same name takes its place");
    }

    #[test]
    fn a_rule_can_be_turned_off_and_a_parameter_set_for_a_site() {
        let text = "[rules]\npacks = ['sshd']\noff = ['sshd-pam']\n\
            [[parameter]]\nname = 'sshd.max_auth_tries'\nvalue = 6\n\
            [[parameter]]\nname = 'sshd.max_auth_tries'\nvalue = 3\nsite = 'graz'";
        let standards = load(text, &[]).unwrap();
        assert!(standards.rules.all().all(|rule| rule.name.as_str() != "sshd-pam"));
        let tries = |site| format!("{:?}", standards.rules.parameter("sshd.max_auth_tries", site));
        assert_eq!(
            (tries("graz").as_str(), tries("linz").as_str()),
            ("[Integer(3)]", "[Integer(6)]")
        );
    }

    #[test]
    fn what_names_nothing_is_refused() {
        let check = |text: &str, files: &[(&str, &str)], expect: &str| {
            let error = load(text, files).expect_err(text).to_string();
            assert!(error.contains(expect), "{error} does not say {expect}");
        };
        check("[rules]\npacks = ['ssh']", &[], "no pack comes with the name \"ssh\"");
        check("[[parameter]]\nname = 'sshd.x'\nvalue = 1", &[], "[[parameter]] sshd.x");
        check("", &[("a.toml", PACK), ("b.toml", PACK)], "a and b both have a rule ours-one");
        check("", &[("a.toml", "title = 3")], "a.toml:1:9: ");
    }
}
