//! Where cases come from and what their words mean here. Pure.
//!
//! A case system has its own names of services, sites and categories. They are kept as they came
//! and mapped when they are read, so a rule that is added later counts for old cases too. A name
//! that no rule maps stays what it is; whether the configuration knows it is a question of its own
//! ([`Mapper::knows_service`]), so that what is not mapped is counted and never lost.

#![deny(
    clippy::disallowed_methods,
    reason = "what a word means depends on the configuration alone"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::place::matches;
use super::{Config, Meanings, columns};
use crate::cases::Field;
use crate::store::CaseStatus;

/// A system that cases come from.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseSource {
    /// Its name: 1 to 63 of a-z, 0-9, '.', '_' and '-'.
    #[serde(deserialize_with = "source_name")]
    pub name: String,
    /// The folder its exports are put into; none for a system that posts its cases.
    pub folder: Option<PathBuf>,
    /// Where its times without an offset are local. Default UTC.
    #[serde(default = "utc", deserialize_with = "zone")]
    pub timezone: String,
    /// The tokens that may post its cases, by name; one of the source's own name always may.
    #[serde(default)]
    pub tokens: Vec<String>,
    /// What its columns or members are called; a field that is not named is called as we call it.
    #[serde(default, deserialize_with = "columns::of_cases")]
    pub columns: BTreeMap<Field, String>,
    /// What its words for where a case stands mean, beside those of the shipped list.
    #[serde(default)]
    pub statuses: Meanings<CaseStatus>,
    /// Whether it sends no more, so that nothing waits for it; its cases stay. Default false.
    #[serde(default)]
    pub ended: bool,
}

/// One rule of what the words of a case mean here; every condition that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseMap {
    /// Only of this source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// A pattern of the service as the case system writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_service: Option<String>,
    /// A pattern of the site as the case system writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_site: Option<String>,
    /// A pattern of the category as the case system writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_category: Option<String>,
    /// The service it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The site it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// The category it is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
}

/// The words of one case: as its system writes them, or as they are here.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Words {
    /// The service.
    pub service: String,
    /// The site.
    pub site: String,
    /// The category.
    pub category: String,
}

/// Maps words by rules; the first rule that holds and says something of a word decides that word.
///
/// Patterns know `*` and `?`, and capitals do not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapper {
    rules: Vec<CaseMap>,
    /// Names of the configuration, by how they are written in small letters.
    services: BTreeMap<String, String>,
    sites: BTreeMap<String, String>,
}

impl Mapper {
    /// What `words` of `source` mean here. Without a rule a word that is a name of the
    /// configuration is written as there, and any other word stays as it is.
    pub fn map(&self, source: &str, words: &Words) -> Words {
        let small = Words {
            service: words.service.to_lowercase(),
            site: words.site.to_lowercase(),
            category: words.category.to_lowercase(),
        };
        let held: Vec<&CaseMap> =
            self.rules.iter().filter(|rule| holds(rule, source, &small)).collect();
        let first =
            |pick: fn(&CaseMap) -> &Option<String>| held.iter().find_map(|rule| pick(rule).clone());
        let known = |names: &BTreeMap<String, String>, small: &str, own: &str| {
            names.get(small).map_or_else(|| own.to_owned(), String::clone)
        };
        Words {
            service: first(|rule| &rule.service)
                .unwrap_or_else(|| known(&self.services, &small.service, &words.service)),
            site: first(|rule| &rule.site)
                .unwrap_or_else(|| known(&self.sites, &small.site, &words.site)),
            category: first(|rule| &rule.category).unwrap_or_else(|| words.category.clone()),
        }
    }

    /// Whether the configuration has a service of this name.
    pub fn knows_service(&self, name: &str) -> bool {
        self.services.values().any(|known| known == name)
    }

    /// Whether the configuration has a site of this name.
    pub fn knows_site(&self, name: &str) -> bool {
        self.sites.values().any(|known| known == name)
    }

    /// The services of the configuration.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.values().map(String::as_str)
    }

    /// Every word that the configuration names, of its own or of a case system, in small letters.
    pub fn named(&self) -> BTreeSet<String> {
        let words = |rule: &CaseMap| {
            [&rule.from_service, &rule.from_site, &rule.from_category].map(Clone::clone)
        };
        // A pattern names no word: `*` would let every one through.
        let words = self.rules.iter().flat_map(words).flatten();
        let words = words.filter(|word| !word.contains(['*', '?'])).map(|word| word.to_lowercase());
        words.chain(self.services.keys().chain(self.sites.keys()).cloned()).collect()
    }

    /// The sites of the configuration.
    pub fn sites(&self) -> impl Iterator<Item = &str> {
        self.sites.values().map(String::as_str)
    }
}

fn holds(rule: &CaseMap, source: &str, small: &Words) -> bool {
    let CaseMap { source: of, from_service, from_site, from_category, .. } = rule;
    let fits = |pattern: &Option<String>, word: &str| {
        pattern.as_ref().is_none_or(|pattern| matches(&pattern.to_lowercase(), word))
    };
    of.as_ref().is_none_or(|of| of == source)
        && fits(from_service, &small.service)
        && fits(from_site, &small.site)
        && fits(from_category, &small.category)
}

impl Config {
    /// What the words of cases mean by this configuration.
    pub fn mapper(&self) -> Mapper {
        let rules = || self.case_maps.iter();
        let paths = || self.service_paths.iter();
        let services = rules().filter_map(|rule| rule.service.as_ref());
        let services = services.chain(self.hosts.iter().filter_map(|host| host.service.as_ref()));
        let services = services.chain(paths().map(|path| &path.service));
        let sites = rules().filter_map(|rule| rule.site.as_ref());
        let sites = sites.chain(self.hosts.iter().filter_map(|host| host.site.as_ref()));
        let sites = sites.chain(paths().flat_map(|path| &path.sites).filter(|site| *site != "*"));
        let by_small = |name: &String| (name.to_lowercase(), name.clone());
        Mapper {
            rules: self.case_maps.clone(),
            services: services.map(by_small).collect(),
            sites: sites.map(by_small).collect(),
        }
    }

    /// The source `name`, as configured or as it is when nothing is said of it.
    pub fn case_source(&self, name: &str) -> CaseSource {
        let known = self.case_sources.iter().find(|source| source.name == name);
        known.cloned().unwrap_or_else(|| CaseSource {
            name: name.to_owned(),
            folder: None,
            timezone: utc(),
            tokens: Vec::new(),
            columns: BTreeMap::new(),
            statuses: Meanings::default(),
            ended: false,
        })
    }
}

pub(super) fn utc() -> String {
    "UTC".to_owned()
}

/// What [`is_source_name`] asks for, in words.
pub const SOURCE_NAME_RULE: &str = "must be 1 to 63 of a-z, 0-9, '.', '_' and '-'";

/// Whether `name` may name a source of cases or of change requests.
pub fn is_source_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || matches!(byte, b'.' | b'_' | b'-'))
}

pub(super) fn source_name<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if is_source_name(&name) {
        return Ok(name);
    }
    Err(serde::de::Error::custom(format!("the source {name:?} {SOURCE_NAME_RULE}")))
}

pub(super) fn zone<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match jiff::tz::TimeZone::get(&name) {
        Ok(_) => Ok(name),
        Err(_) => Err(serde::de::Error::custom(format!(
            "timezone {name:?} is not known; one such as Europe/Vienna is"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    const CONFIG: &str = "
        [[host]]
        name = 'sbc-*'
        site = 'Vienna'
        service = 'voice'
        [[case_map]]
        source = 'desk'
        from_category = 'telephon*'
        service = 'voice'
        [[case_map]]
        from_site = 'VIE-*'
        site = 'Vienna'
        [[case_map]]
        from_service = '*'
        from_category = 'queue?'
        service = 'contact-centre'
        category = 'queues'
        [[case_map]]
        from_category = 'queue*'
        service = 'never reached for queue1'";

    fn words(service: &str, site: &str, category: &str) -> Words {
        let own = |text: &str| text.to_owned();
        Words { service: own(service), site: own(site), category: own(category) }
    }

    #[test]
    fn the_first_rule_that_says_something_of_a_word_decides_it() {
        let mapper = parse("t", CONFIG).unwrap().mapper();
        for (source, from, to) in [
            ("desk", words("UC", "vie-1", "Telephony"), words("voice", "Vienna", "Telephony")),
            ("other", words("UC", "vie-1", "Telephony"), words("UC", "Vienna", "Telephony")),
            ("desk", words("x", "y", "queue1"), words("contact-centre", "y", "queues")),
            // By default a name of the configuration is written as there, and the rest stays.
            ("desk", words("VOICE", "vienna", ""), words("voice", "Vienna", "")),
            ("desk", words("", "", ""), words("", "", "")),
        ] {
            assert_eq!(mapper.map(source, &from), to, "{source} {from:?}");
        }
        let named = ["vienna", "voice", "contact-centre", "never reached for queue1"];
        assert_eq!(mapper.named(), named.map(str::to_owned).into());
        assert!(mapper.knows_service("voice") && !mapper.knows_service("UC"));
        assert!(mapper.knows_site("Vienna") && !mapper.knows_site("y"));
    }

    #[test]
    fn a_source_that_cannot_be_is_refused_by_line() {
        for (text, expect) in [
            ("[[case_source]]\nname = 'Desk 1'", "t:2: the source \"Desk 1\" must be 1 to 63"),
            ("[[case_source]]\nname='d'\ntimezone='Mars'", "t:3: timezone \"Mars\" is not known"),
            ("[[case_source]]\nname='d'\n[case_source.columns]\nbody='b'", "unknown variant"),
        ] {
            let error = parse("t", text).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        }
    }
}
