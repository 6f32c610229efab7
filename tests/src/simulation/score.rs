//! Holds what was said against what is true, and counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use super::intent::{DAY, HOUR};
use super::truth::{Expect, NOTHING, Noise, Truth};
use crate::trials::measure::Share;

/// The classes that are measured, in the order of the specification.
pub const CLASSES: [&str; 10] = [
    "expected",
    "early",
    "late",
    "out_of_scope",
    "unapproved",
    "unauthorised",
    "emergency",
    "excepted",
    "reverted",
    "flapping",
];

/// Classes somebody should look at; a change without any class is one too.
const LOOKED_AT: [&str; 7] =
    ["early", "late", "out_of_scope", "unapproved", "unauthorised", "emergency", UNCLASSIFIED];

/// What is said where a change has no class.
const UNCLASSIFIED: &str = "unclassified";

/// The same change within so many seconds is one thing to look at.
const TOGETHER: i64 = 4 * DAY;

/// What an agent saw, and what is true of it.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The truth.
    pub truth: Truth,
    /// The host's number.
    pub host: usize,
    /// Which version of the section told of it.
    pub generation: u64,
    /// When.
    pub at: i64,
}

/// A change as the product tells it.
#[derive(Clone, Debug)]
pub struct Said {
    /// The host's number.
    pub host: usize,
    /// Where.
    pub source: String,
    /// Where.
    pub part: String,
    /// The item; empty for the part as a whole.
    pub key: String,
    /// Which version brought it.
    pub generation: u64,
    /// Its kind.
    pub kind: String,
    /// Its class, if it has one.
    pub class: Option<String>,
    /// Why, in the product's words.
    pub why: String,
    /// Its value afterwards.
    pub after: String,
    /// When, in seconds of the world.
    pub at: i64,
}

impl Said {
    fn word(&self) -> &str {
        match (self.kind.as_str(), &self.class) {
            ("cosmetic" | "recast", _) => &self.kind,
            (_, Some(class)) => class,
            (_, None) => UNCLASSIFIED,
        }
    }
}

/// A finding as the product tells it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The host's number.
    pub host: usize,
    /// Where.
    pub source: String,
    /// Where.
    pub part: String,
    /// The item.
    pub key: String,
    /// What it says.
    pub current: String,
    /// When it opened, in seconds of the world.
    pub at: i64,
    /// Whether it asks for nobody: somebody permitted it, or what led to it was meant or is noise.
    /// Such drift is told by its class and in nobody's way.
    pub quiet: bool,
    /// Its class, and why.
    pub why: String,
}

/// One truth and what was said of it.
#[derive(Clone, Debug)]
pub struct Unit {
    /// What is true.
    pub seen: Observed,
    /// What was said; several words where several things were.
    pub said: String,
    /// Whether that is right.
    pub right: bool,
    /// Whether the sentences say what they must.
    pub because: bool,
    /// One of the changes that told of it.
    pub example: Option<Said>,
}

/// What all of it came to.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Each truth.
    pub units: Vec<Unit>,
    /// Changes of which nothing is true.
    pub strays: Vec<Said>,
    /// Findings of what should open none.
    pub noise: Vec<(Noise, &'static str, Found)>,
    /// All findings that ever opened.
    pub findings: usize,
    /// Those of them that ask for nobody.
    pub quiet: usize,
    /// Things to look at, by day: the same change on many hosts is one.
    pub things: BTreeMap<i64, usize>,
    /// The same, each change and finding of each host by itself.
    pub single: usize,
    /// How many days there were.
    pub days: i64,
}

type Where<'a> = (usize, &'a str, u64, &'a str);

/// Holds `said` and `found` against `seen`.
pub fn score(seen: Vec<Observed>, said: &[Said], found: &[Found], days: i64) -> Score {
    let mut by_place: HashMap<Where<'_>, Vec<usize>> = HashMap::new();
    for (index, one) in seen.iter().enumerate() {
        let place = (one.host, one.truth.place.0, one.generation, one.truth.place.1);
        by_place.entry(place).or_default().push(index);
    }
    let mut told: Vec<Vec<&Said>> = vec![Vec::new(); seen.len()];
    let quiet = found.iter().filter(|finding| finding.quiet).count();
    let mut score = Score { days, findings: found.len(), quiet, ..Score::default() };
    for change in said {
        let place = (change.host, change.source.as_str(), change.generation, change.part.as_str());
        let there = by_place.get(&place).map_or(&[][..], Vec::as_slice);
        match meant(&seen, there, &change.key) {
            Some(index) => told[index].push(change),
            None => score.strays.push(change.clone()),
        }
    }
    score.noise = noise_of(&seen, found, days * DAY);
    (score.things, score.single) = things(said, found);
    score.units = seen.into_iter().zip(told).map(|(seen, told)| unit(seen, &told)).collect();
    score
}

/// Which of the truths `there` an item belongs to: one that names it, else one that names none.
fn meant(seen: &[Observed], there: &[usize], key: &str) -> Option<usize> {
    let key = key.to_lowercase();
    let names = |index: &&usize| {
        let hint = seen[**index].truth.key;
        !hint.is_empty() && key.contains(hint)
    };
    let blank = |index: &&usize| seen[**index].truth.key.is_empty();
    there.iter().find(names).or_else(|| there.iter().find(blank)).copied()
}

fn unit(seen: Observed, told: &[&Said]) -> Unit {
    let words: BTreeSet<&str> = told.iter().map(|said| said.word()).collect();
    let expect = seen.truth.expect;
    let right = match words.is_empty() {
        true => expect.allows(NOTHING),
        false => words.iter().all(|word| expect.allows(word)),
    };
    let said = match words.is_empty() {
        true => NOTHING.to_owned(),
        false => words.iter().copied().collect::<Vec<_>>().join(" + "),
    };
    let because = told.iter().all(|said| said.why.contains(seen.truth.says));
    let example = told.iter().find(|said| !expect.allows(said.word())).or(told.first());
    Unit { seen, said, right, because, example: example.map(|said| (*said).clone()) }
}

/// The findings whose item was last touched by noise, and that ask for somebody all the same.
///
/// A finding is open until its value goes back, and speaks of what its item says now: so whatever
/// somebody did to the item since then explains it, everyday work in a freeze among it. A value
/// that alternated and has stayed for a day is where somebody should look.
fn noise_of(seen: &[Observed], found: &[Found], end: i64) -> Vec<(Noise, &'static str, Found)> {
    let mut by_part: HashMap<(usize, &str, &str), Vec<&Observed>> = HashMap::new();
    for one in seen {
        let part = (one.host, one.truth.place.0, one.truth.place.1);
        by_part.entry(part).or_default().push(one);
    }
    let mut all = Vec::new();
    for finding in found.iter().filter(|finding| !finding.quiet) {
        let part = (finding.host, finding.source.as_str(), finding.part.as_str());
        let there = by_part.get(&part).map_or(&[][..], Vec::as_slice);
        let key = finding.key.to_lowercase();
        let touches = |one: &&&Observed| key.is_empty() || key.contains(one.truth.key);
        let asks =
            |one: &&Observed| one.truth.noise.is_none() || one.truth.expect.allows("unauthorised");
        // Somebody's deed explains a finding that opens a moment after it, whatever came between.
        let deed = |one: &&Observed| asks(one) && finding.at - one.at < HOUR;
        // The product knows a moment to a minute at best.
        let before = there.iter().filter(touches).filter(|one| one.at <= finding.at + 120);
        let Some(last) = before.max_by_key(|one| one.at) else { continue };
        let Some(noise) = last.truth.noise else { continue };
        let turned = there.iter().filter(touches).map(|one| one.at).max().unwrap_or(end);
        let settled = noise == Noise::Volatile && end - turned > DAY;
        if !settled && !there.iter().filter(touches).any(deed) {
            all.push((noise, last.truth.story, finding.clone()));
        }
    }
    all
}

/// What somebody has to look at, by day, and each by itself.
fn things(said: &[Said], found: &[Found]) -> (BTreeMap<i64, usize>, usize) {
    let looked = said.iter().filter(|said| LOOKED_AT.contains(&said.word()));
    let looked =
        looked.map(|said| ((&said.source, &said.part, &said.key, &said.after), said.at, said.host));
    let open = found.iter().filter(|finding| !finding.quiet);
    let open = open.map(|f| ((&f.source, &f.part, &f.key, &f.current), f.at, f.host));
    let mut all: Vec<_> = looked.chain(open).collect();
    all.sort();
    let single: BTreeSet<_> = all.iter().map(|(what, at, host)| (what, at / DAY, host)).collect();
    let mut things = BTreeMap::new();
    for same in all.chunk_by(|a, b| a.0 == b.0 && b.1 - a.1 <= TOGETHER) {
        let day = same.first().map_or(0, |(_, at, _)| at / DAY);
        *things.entry(day).or_default() += 1;
    }
    (things, single.len())
}

impl Score {
    /// Adds another world's.
    pub fn add(&mut self, other: Self) {
        for (day, count) in other.things {
            self.things.insert(self.days + day, count);
        }
        self.days += other.days;
        self.units.extend(other.units);
        self.strays.extend(other.strays);
        self.noise.extend(other.noise);
        self.findings += other.findings;
        self.quiet += other.quiet;
        self.single += other.single;
    }

    /// Of what is of `class`, the share that is said to be; at least one change of each.
    pub fn recall(&self, class: &str) -> Share {
        let of = |unit: &&Unit| matches!(unit.seen.truth.expect, Expect::Class(is) if is == class);
        Share::of(self.units.iter().filter(of).map(|unit| unit.right))
    }

    /// Of the stories `which` picks, the share of which the right thing was said, and why.
    pub fn told(&self, which: impl Fn(&str) -> bool) -> Share {
        let told = self.units.iter().filter(|unit| which(unit.seen.truth.story));
        Share::of(told.map(|unit| unit.right && unit.because))
    }

    /// Of what is said to be of `class`, the share that is; what may be either does not count.
    pub fn precision(&self, class: &str) -> Share {
        let says = |unit: &&Unit| {
            let either = matches!(unit.seen.truth.expect, Expect::Either(_)) && unit.right;
            !either && unit.said.split(" + ").any(|word| word == class)
        };
        let mut share = Share::of(self.units.iter().filter(says).map(|unit| unit.right));
        share.of += self.strays.iter().filter(|said| said.word() == class).count();
        share
    }

    /// Findings of this sort of noise.
    pub fn noise_findings(&self, noise: Noise) -> usize {
        self.noise.iter().filter(|(of, _, _)| *of == noise).count()
    }

    /// Things to look at, a day.
    pub fn things_a_day(&self) -> f64 {
        self.things.values().sum::<usize>() as f64 / self.days as f64
    }

    /// The bars that are missed, each with its figure.
    pub fn missed(&self, bar: f64, a_day: f64) -> Vec<String> {
        let mut missed = Vec::new();
        for class in CLASSES {
            for (name, share) in
                [("recall", self.recall(class)), ("precision", self.precision(class))]
            {
                if share.of > 0 && share.value() < bar {
                    missed.push(format!("{name} of {class} is {}", share.text()));
                }
            }
        }
        for noise in Noise::ALL {
            let count = self.noise_findings(noise);
            if count > 0 {
                missed.push(format!("{count} findings of what is {}", noise.as_str()));
            }
        }
        if self.things_a_day() > a_day {
            missed.push(format!("{:.1} things a day", self.things_a_day()));
        }
        missed
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        let mut text =
            String::from("class          truths  recall                said  precision\n");
        for class in CLASSES {
            let (recall, precision) = (self.recall(class), self.precision(class));
            writeln!(
                text,
                "{class:<14} {:>6}  {:<20} {:>5}  {}",
                recall.of,
                recall.text(),
                precision.of,
                precision.text()
            )
            .ok();
        }
        text.push_str("\nstory                                              truths  right\n");
        let mut stories: BTreeMap<(&str, String), Vec<&Unit>> = BTreeMap::new();
        for unit in &self.units {
            let of = (unit.seen.truth.story, unit.seen.truth.expect.text());
            stories.entry(of).or_default().push(unit);
        }
        for ((story, expect), units) in &stories {
            let right = Share::of(units.iter().map(|unit| unit.right && unit.because));
            writeln!(text, "{story:<50} {:>6}  {} ({expect})", units.len(), right.text()).ok();
        }
        writeln!(
            text,
            "\nfindings: {}, {} of them quiet; of noise, of which none should ask for anybody:",
            self.findings, self.quiet
        )
        .ok();
        for noise in Noise::ALL {
            writeln!(text, "  {:<10} {}", noise.as_str(), self.noise_findings(noise)).ok();
        }
        writeln!(text, "changes nothing is true of: {}", self.strays.len()).ok();
        writeln!(
            text,
            "things to look at: {:.1} a day, {} on the worst day; each by itself {:.1} a day",
            self.things_a_day(),
            self.things.values().max().unwrap_or(&0),
            self.single as f64 / self.days as f64,
        )
        .ok();
        text + &self.mistakes()
    }

    /// Each sort of mistake with its smallest example.
    fn mistakes(&self) -> String {
        let mut sorts: BTreeMap<(&str, String, &str), Vec<&Unit>> = BTreeMap::new();
        for unit in self.units.iter().filter(|unit| !unit.right || !unit.because) {
            let sort = (unit.seen.truth.story, unit.seen.truth.expect.text(), unit.said.as_str());
            sorts.entry(sort).or_default().push(unit);
        }
        let mut text = String::from("\nmistakes, each with an example\n");
        for ((story, expect, said), units) in sorts {
            let first = units.first();
            writeln!(text, "{} x {story}: is {expect}, said {said}", units.len()).ok();
            if let Some(unit) = first {
                let seen = &unit.seen;
                if unit.right {
                    writeln!(text, "    the sentence lacks {:?}", seen.truth.says).ok();
                }
                writeln!(text, "    host {} {:?} at {}", seen.host, seen.truth.place, seen.at).ok();
                if let Some(said) = &unit.example {
                    writeln!(text, "    {} {:?} {}; {}", said.kind, said.key, said.after, said.why)
                        .ok();
                }
            }
        }
        for said in self.strays.iter().take(5) {
            writeln!(text, "stray: {said:?}").ok();
        }
        let mut told = BTreeSet::new();
        for (noise, story, found) in &self.noise {
            if told.insert((noise, story)) {
                writeln!(text, "finding of {} ({story}): {found:?}", noise.as_str()).ok();
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulation::host::DPKG;

    fn seen(generation: u64, expect: Expect) -> Observed {
        let truth = Truth::deed("a story", DPKG, expect);
        Observed { truth, host: 0, generation, at: 100 }
    }

    fn said(generation: u64, class: &str) -> Said {
        Said {
            host: 0,
            source: "packages".into(),
            part: "dpkg".into(),
            key: "a/version".into(),
            generation,
            kind: "modified".into(),
            class: Some(class.into()),
            why: String::new(),
            after: String::new(),
            at: 100,
        }
    }

    #[test]
    fn what_is_said_is_held_against_what_is_true() {
        let truths = vec![
            seen(1, Expect::Class("late")),
            seen(2, Expect::Class("late")),
            seen(3, Expect::Class("early")),
            seen(4, Expect::Either(&["late", "early"])),
            seen(5, Expect::Nothing),
            seen(6, Expect::Class("late")),
        ];
        let told =
            [said(1, "late"), said(2, "early"), said(3, "late"), said(4, "late"), said(9, "late")];
        let score = score(truths, &told, &[], 2);
        let hits = |share: Share| (share.hits, share.of);
        assert_eq!(hits(score.recall("late")), (1, 3), "the last one was not told of");
        assert_eq!(hits(score.precision("late")), (1, 3), "one of nothing counts against it");
        assert_eq!(hits(score.recall("early")), (0, 1));
        assert_eq!(score.strays.len(), 1);
        assert!((score.things_a_day() - 0.5).abs() < f64::EPSILON, "one value, two days");
        assert_eq!(score.missed(0.9, 0.4).len(), 5);
    }

    #[test]
    fn a_finding_belongs_to_what_touched_its_item_last() {
        let mut noise = seen(2, Expect::Class("expected"));
        noise.truth.noise = Some(Noise::Routine);
        noise.at = 3 * HOUR;
        let found = |at: i64| Found {
            host: 0,
            source: "packages".into(),
            part: "dpkg".into(),
            key: "a/version".into(),
            current: String::new(),
            at,
            quiet: false,
            why: String::new(),
        };
        let truths = vec![seen(1, Expect::Class("late")), noise];
        let score = score(truths, &[], &[found(100), found(3 * HOUR)], 1);
        assert_eq!(score.noise_findings(Noise::Routine), 1);
    }
}
