//! `driftline correlate`: which change of a file goes together with a rise in the cases of another.
//!
//! No collector is needed. The analysis is the collector's own; this command reads files and
//! prints.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context;
use driftline_collector::analysis::cases::{Candidate, Exposure, Stream};
use driftline_collector::analysis::correlate::{
    Evidence, Settings, Tier, Verdict as Judged, correlate,
};
use driftline_collector::cases::{Blanks, Column, Form, SEPARATOR, read_changes, read_sites};
use jiff::tz::TimeZone;

use super::input::{self, CaseFile};
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// The most names that no case has and that are told one by one.
const UNKNOWN_NAMES: usize = 20;

/// The most columns that nobody looks at and that are named, and how much of a name is shown.
const COLUMNS_NAMED: usize = 5;
const COLUMN_CHARACTERS: usize = 40;

/// Ranks changes by how well they go together with a rise in cases.
#[derive(clap::Args)]
pub(crate) struct Correlate {
    #[command(flatten)]
    input: CaseFile,
    /// Changes, as CSV with the columns id, at, service and exposed_sites.
    #[arg(long, value_name = "FILE")]
    changes: PathBuf,
    /// The share of wrong claims among all claims that is put up with.
    #[arg(long, default_value = "0.10", value_parser = input::share)]
    q: f64,
    /// All sites, one a line; without it those seen in the cases.
    #[arg(long, value_name = "FILE")]
    sites: Option<PathBuf>,
}

impl Correlate {
    /// Runs the command.
    pub(crate) fn run(self, output: Output) -> anyhow::Result<Verdict> {
        output::print(output, &self.judged()?)?;
        Ok(Verdict::Fine)
    }

    fn judged(&self) -> anyhow::Result<Vec<Judged>> {
        let twice = [&self.input.cases, &self.changes].map(|path| input::is_standard_input(path));
        anyhow::ensure!(twice != [true, true], "standard input cannot be both cases and changes");
        let zone = self.input.zone()?;
        let until = self.input.until(&zone)?;
        let calendar = self.input.calendar(&zone)?;
        let candidates = self.changes(&zone)?;
        let sites = self.sites()?;
        let required = vec![Column::OpenedAt, Column::Service, Column::Site];
        let form = Form { zone, required, blanks: Blanks::Refused };
        let cases = self.input.read(&form, &sites)?;
        self.input.tell_apart(&cases.stream, until);
        self.tell_unknown(&cases.stream, &candidates);
        let settings = Settings {
            q: self.q,
            until,
            holidays: calendar.days_off(),
            clocks: calendar.clocks,
            ..Settings::default()
        };
        Ok(correlate(&cases.stream, &candidates, &settings))
    }

    fn changes(&self, zone: &TimeZone) -> anyhow::Result<Vec<Candidate>> {
        let file = input::name(&self.changes);
        let changes = read_changes(input::open(&self.changes)?, zone);
        let changes = changes.with_context(|| format!("reading {file}"))?;
        input::tell(&self.changes, changes.rows, &changes.refused);
        tell_passed_over(&file, &changes.passed_over);
        let taken = changes.rows == 0 || !changes.candidates.is_empty();
        anyhow::ensure!(taken, "{file}: no row could be taken");
        Ok(changes.candidates)
    }

    fn sites(&self) -> anyhow::Result<Vec<String>> {
        let Some(path) = &self.sites else { return Ok(Vec::new()) };
        let read = read_sites(input::open(path)?);
        let (sites, refused) = read.with_context(|| format!("reading {}", path.display()))?;
        input::tell(path, sites.len() as u64 + refused.total, &refused);
        Ok(sites)
    }

    /// Tells which sites and services of the changes no case has: most often two systems that
    /// write one name in two ways.
    fn tell_unknown(&self, stream: &Stream, candidates: &[Candidate]) {
        let known = |names: &[String], name: &String| names.binary_search(name).is_ok();
        let mut unknown = BTreeSet::new();
        for candidate in candidates {
            let service = candidate.service.iter().map(|name| ("service", name));
            let sites: &[String] = match &candidate.exposure {
                Exposure::Sites(sites) => sites,
                Exposure::Everywhere | Exposure::Unknown => &[],
            };
            let sites = sites.iter().filter(|site| !known(&stream.sites, site));
            unknown.extend(service.filter(|(_, name)| !known(&stream.services, name)));
            unknown.extend(sites.map(|site| ("site", site)));
        }
        let file = input::name(&self.changes);
        for (what, name) in unknown.iter().take(UNKNOWN_NAMES) {
            let name = output::printable(name);
            eprintln_message(&format!("{file}: no case has the {what} {name}"));
        }
        if unknown.len() > UNKNOWN_NAMES {
            let total = unknown.len();
            eprintln_message(&format!("{file}: {total} sites or services have no case"));
        }
        let words = unknown.iter().filter(|(what, _)| *what == "site");
        if let Some(whole) = words.filter_map(|(_, word)| whole(&stream.sites, word)).next() {
            let whole = output::printable(whole);
            eprintln_message(&format!(
                "{file}: a name with a space, such as {whole}, is written with a {SEPARATOR} after \
                 it: {whole}{SEPARATOR}"
            ));
        }
    }
}

/// The site of several words of which `word` is one: most often a list that spaces cut into pieces.
fn whole<'s>(sites: &'s [String], word: &str) -> Option<&'s String> {
    let has = |site: &&String| {
        site.contains(char::is_whitespace) && site.split_whitespace().any(|one| one == word)
    };
    sites.iter().find(has)
}

/// Tells which columns nobody looks at, once: a misspelt one is as if it were not there.
fn tell_passed_over(file: &str, columns: &[String]) {
    if columns.is_empty() {
        return;
    }
    let named = columns.iter().take(COLUMNS_NAMED).map(|name| {
        let short: String = name.chars().take(COLUMN_CHARACTERS).collect();
        format!("{:?}", output::printable(&short))
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let more = if columns.len() > COLUMNS_NAMED { " and others" } else { "" };
    let count = columns.len();
    eprintln_message(&format!("{file}: columns not looked at ({count}): {named}{more}"));
}

impl Row for Judged {
    const NAME: &'static str = "change";
    const WHOLE: usize = 3;
    const HEADINGS: &'static [&'static str] =
        &["score", "tier", "change", "service", "cases", "ratio", "p", "q", "reason", "detectable"];
    const FIRST_LINE: usize = 4;

    fn cells(&self) -> Vec<String> {
        let evidence = &self.evidence;
        let number = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        let cases = match (evidence.observed, evidence.expected) {
            (Some(observed), Some(expected)) => format!("{observed} ({expected:.1} expected)"),
            (Some(observed), None) => observed.to_string(),
            (None, _) => "-".to_owned(),
        };
        let ratio = match (evidence.rate_ratio, evidence.ci_low, evidence.ci_high) {
            (Some(ratio), Some(low), Some(high)) => format!("{ratio:.2} ({low:.2}-{high:.2})"),
            (ratio, _, _) => number(ratio, 2),
        };
        vec![
            number(evidence.score, 3),
            evidence.tier.as_str().to_owned(),
            output::printable(&self.id),
            output::printable(self.service.as_deref().unwrap_or("*")),
            cases,
            ratio,
            number(evidence.p_value, 4),
            number(evidence.q_value, 4),
            evidence.reason.map_or("-", |reason| reason.as_str()).to_owned(),
            detectable(evidence),
        ]
    }
}

/// Beside a null result: the rise that would have been noticed. Where there is one nobody asks.
fn detectable(evidence: &Evidence) -> String {
    match (evidence.tier, evidence.detectable_ratio, evidence.p_value) {
        (Tier::Supported | Tier::Possible | Tier::Coincident, _, _) => "-".to_owned(),
        (Tier::Refuted | Tier::Undetermined, Some(ratio), _) => format!("{ratio:.2}"),
        (Tier::Refuted | Tier::Undetermined, None, Some(_)) => ">1000".to_owned(),
        (Tier::Refuted | Tier::Undetermined, None, None) => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        correlate: Correlate,
    }

    #[test]
    fn a_word_of_a_name_with_spaces_is_known_as_one() {
        let sites = ["graz", "Klagenfurt am Wörthersee"].map(str::to_owned);
        for (word, expect) in [("am", Some(&sites[1])), ("graz", None), ("a", None)] {
            assert_eq!(whole(&sites, word), expect, "{word}");
        }
    }

    /// What is said of the page's example.
    fn example() -> Vec<Judged> {
        let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let file = |name: &str| docs.join("correlate").join(name).display().to_string();
        let (cases, changes) = (file("cases.csv"), file("changes.csv"));
        let words = ["correlate", "--cases", &cases, "--changes", &changes];
        Alone::parse_from(words).correlate.judged().unwrap()
    }

    #[test]
    fn beside_what_shows_nothing_stands_what_would_have_been_noticed() {
        let judged = example();
        assert_eq!(judged.iter().map(detectable_cell).collect::<Vec<_>>(), ["-", "2.28"]);
        let text = output::table(&judged);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert_eq!(text.lines().last().map(str::trim), Some("detectable 2.28"), "{text}");
        let mut nothing = judged[1].clone();
        nothing.evidence.detectable_ratio = None;
        assert_eq!(detectable_cell(&nothing), ">1000");
        nothing.evidence.p_value = None;
        assert_eq!(detectable_cell(&nothing), "-");
    }

    fn detectable_cell(judged: &Judged) -> String {
        judged.cells().pop().unwrap()
    }

    /// The page's example, from the command to the end of what is indented; with `UPDATE_PAGES` set
    /// it is written anew.
    #[test]
    fn the_manual_shows_what_the_command_prints() {
        let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let judged = example();
        let printed = output::text(Output::Json, &judged).unwrap();
        let printed: String = printed.lines().map(|line| format!("    {line}\n")).collect();

        let path = docs.join("correlate.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let start = "    $ driftline correlate";
        let (before, rest) = page.split_once(start).unwrap();
        let (words, rest) = rest.split_once('\n').unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let shown = format!("{before}{start}{words}\n{printed}\n{after}");
        if std::env::var_os("UPDATE_PAGES").is_some() {
            std::fs::write(&path, &shown).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(kept == shown, "docs/correlate.md is old; run this once with UPDATE_PAGES=1");
    }
}
