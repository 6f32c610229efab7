//! `driftline finding accept N…`: findings that may be so.
//!
//! What is accepted is what was read: each finding is asked for and printed, whoever sits at the
//! terminal is asked once for all, and the tag that comes with each goes back with its acceptance.
//! Where the host moves on in between, that one is not accepted. Who has read them elsewhere gives
//! their tags; where nobody can be asked, nothing else is taken.
//!
//! Several are not all or nothing. Each acceptance is an act of its own in the log of its finding
//! and is durable once it is made, and one host that moves on meanwhile is no reason against the
//! other nineteen. What was accepted and what was not, and why, is said number by number, and the
//! exit code is 2 where anything was not.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _, stdin};
use std::ops::RangeInclusive;

use anyhow::Context as _;
use driftline_collector::analysis::exceptions::end;
use driftline_collector::analysis::sight::{Said, SaidItem};
use driftline_collector::store::FindingRecord;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::findings::sides;
use crate::client::{Client, Refused};
use crate::output::{self, Output, Row};
use crate::{Verdict, eprintln_message};

/// The most findings one command accepts: more than somebody reads before saying yes.
const ACCEPTED_MOST: usize = 100;

/// What may be so, and why.
#[derive(clap::Args)]
pub(crate) struct Accept {
    /// The finding's number, or several numbers and ranges, such as 12 13 20-25; up to 100 in all.
    #[arg(required = true, value_name = "NUMBER", value_parser = numbers)]
    numbers: Vec<RangeInclusive<i64>>,
    /// Why, for whoever asks later.
    #[arg(long)]
    reason: String,
    /// Until when: a day (its last moment), a wall time such as 2026-12-31T17:00, or RFC 3339.
    #[arg(long)]
    until: Option<String>,
    /// The time zone the end is written in.
    #[arg(long, default_value = "UTC")]
    zone: String,
    /// What you read of it, as `etag` in `driftline findings --output json` said; of several one
    /// for each in their order, separated by commas. Without it what they have now is printed, and
    /// you are asked.
    #[arg(long, value_delimiter = ',')]
    etag: Vec<String>,
}

/// A number, or all from one to another.
fn numbers(text: &str) -> Result<RangeInclusive<i64>, String> {
    let number = |text: &str| text.parse::<i64>().ok().filter(|number| *number > 0);
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        _ => Err("must be the number of a finding, such as 12, or a range such as 20-25".into()),
    }
}

/// What became of one finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Outcome {
    number: i64,
    accepted: bool,
    /// What it became, or why it was not accepted.
    says: String,
}

impl Outcome {
    fn not(number: i64, why: impl Into<String>) -> Self {
        Self { number, accepted: false, says: why.into() }
    }

    fn words(&self) -> String {
        let Self { number, accepted, says } = self;
        let not = if *accepted { "" } else { " was not accepted" };
        output::printable(&format!("finding {number}{not}: {says}"))
    }

    /// Says it, of one of `many`; a single one that was not accepted is the error of the command.
    fn tell(&self, many: usize) {
        if self.accepted || many > 1 {
            eprintln_message(&self.words());
        }
    }
}

impl Row for Outcome {
    const NAME: &'static str = "finding was named";
    const WHOLE: usize = 2;
    const HEADINGS: &'static [&'static str] = &["number", "accepted", "says"];

    fn cells(&self) -> Vec<String> {
        let accepted = if self.accepted { "yes" } else { "no" };
        vec![self.number.to_string(), accepted.to_owned(), output::printable(&self.says)]
    }
}

impl Accept {
    /// Runs the command.
    ///
    /// # Errors
    /// When anything was not accepted, with the numbers; what came of each is said before.
    pub(super) async fn run(self, client: &Client, output: Output) -> anyhow::Result<Verdict> {
        let numbers = each(&self.numbers)?;
        let many = numbers.len();
        if let Some(until) = &self.until {
            check_end(until, &self.zone, Timestamp::now())?;
        }
        let (tags, mut outcomes) = match self.etag.len() {
            0 => self.read(client, &numbers).await?,
            tags if tags == many => {
                (numbers.into_iter().zip(self.etag.iter().cloned()).collect(), Vec::new())
            }
            tags => anyhow::bail!(
                "--etag has {tags} for {many} findings; give one for each, in the order of the \
                 numbers, separated by commas"
            ),
        };
        let mut tags = tags.into_iter();
        for (number, etag) in tags.by_ref() {
            let (outcome, goes_on) = self.accept(client, number, &etag).await;
            outcome.tell(many);
            outcomes.push(outcome);
            if !goes_on {
                break;
            }
        }
        let rest = tags.map(|(number, _)| Outcome::not(number, "it was not tried"));
        outcomes.extend(rest.inspect(|outcome| outcome.tell(many)));
        outcomes.sort_by_key(|outcome| outcome.number);
        if output != Output::Table {
            output::print(output, &outcomes)?;
        }
        match summary(&outcomes) {
            Some(summary) => anyhow::bail!(summary),
            None => Ok(Verdict::Fine),
        }
    }

    /// Prints what each finding is about and what it has now, and asks whether that is accepted;
    /// gives the tag of each, and what cannot be accepted anyway.
    async fn read(
        &self,
        client: &Client,
        numbers: &[i64],
    ) -> anyhow::Result<(Vec<(i64, String)>, Vec<Outcome>)> {
        let (mut tags, mut outcomes) = (Vec::new(), Vec::new());
        for number in numbers {
            match read(client, *number).await {
                Ok(etag) => tags.push((*number, etag)),
                Err(error) => {
                    let refused = error.downcast::<Refused>()?;
                    outcomes.push(Outcome::not(*number, refused.0));
                }
            }
        }
        outcomes.iter().for_each(|outcome| outcome.tell(numbers.len()));
        if tags.is_empty() {
            return Ok((tags, outcomes));
        }
        let (nothing, question) = match tags.as_slice() {
            [(number, _)] => {
                (format!("finding {number} was not accepted"), "accept it as it is now?".to_owned())
            }
            all => (
                format!("none of these {} findings was accepted", all.len()),
                format!("accept all {} as they are now?", all.len()),
            ),
        };
        if !stdin().is_terminal() {
            anyhow::bail!(
                "{nothing}: nobody can be asked here whether it may be so; once you have read it, \
                 run: driftline finding accept {}",
                self.command(&tags)
            );
        }
        eprintln_message(&format!("{question} [y/N]"));
        let mut answer = String::new();
        stdin().lock().read_line(&mut answer)?;
        anyhow::ensure!(is_yes(&answer), nothing);
        Ok((tags, outcomes))
    }

    /// What to write behind the command for `tags`, which were read.
    fn command(&self, tags: &[(i64, String)]) -> String {
        let until = self.until.as_ref();
        let until = until
            .map(|until| format!(" --until {} --zone {}", quoted(until), quoted(&self.zone)))
            .unwrap_or_default();
        let numbers: Vec<String> = tags.iter().map(|(number, _)| number.to_string()).collect();
        let etags: Vec<&str> = tags.iter().map(|(_, etag)| etag.as_str()).collect();
        format!(
            "{} --reason {}{until} --etag {}",
            numbers.join(" "),
            quoted(&self.reason),
            etags.join(",")
        )
    }

    /// Accepts one finding; says what came of it, and whether another may be tried.
    async fn accept(&self, client: &Client, number: i64, etag: &str) -> (Outcome, bool) {
        let body = json!({
            "reason": self.reason, "expires": self.until, "zone": self.zone, "etag": etag,
        });
        let path = format!("/api/v1/findings/{number}/accept");
        let done: anyhow::Result<Value> = client.post(&path, &body).await;
        match done {
            Ok(done) => {
                let says = match done.get("name").and_then(Value::as_str) {
                    Some(name) => format!("the exception {name} permits it"),
                    None => "the baseline moved to it".to_owned(),
                };
                (Outcome { number, accepted: true, says }, true)
            }
            Err(error) => {
                let refused = error.downcast_ref::<Refused>().map(|refused| refused.0.clone());
                let goes_on = refused.is_some();
                (Outcome::not(number, refused.unwrap_or_else(|| format!("{error:#}"))), goes_on)
            }
        }
    }
}

/// Each number once, in the order in which they were said.
fn each(ranges: &[RangeInclusive<i64>]) -> anyhow::Result<Vec<i64>> {
    let mut known = BTreeSet::new();
    let all: Vec<i64> = ranges
        .iter()
        .flat_map(|range| range.clone().take(ACCEPTED_MOST + 1))
        .filter(|number| known.insert(*number))
        .take(ACCEPTED_MOST + 1)
        .collect();
    anyhow::ensure!(
        all.len() <= ACCEPTED_MOST,
        "these are more than {ACCEPTED_MOST} findings; accept them in several commands, or the \
         state of the host with `driftline baseline approve`"
    );
    Ok(all)
}

/// Which were accepted and which were not; nothing where all were.
fn summary(outcomes: &[Outcome]) -> Option<String> {
    let of = |accepted: bool| outcomes.iter().filter(move |one| one.accepted == accepted);
    let listed = |accepted: bool| {
        let numbers: Vec<String> = of(accepted).map(|one| one.number.to_string()).collect();
        if numbers.is_empty() { "none".to_owned() } else { numbers.join(", ") }
    };
    let not = of(false).next()?;
    Some(match outcomes {
        [_] => not.words(),
        _ => format!(
            "accepted {} of {}: {}; not accepted: {}",
            of(true).count(),
            outcomes.len(),
            listed(true),
            listed(false)
        ),
    })
}

/// Refuses an end that cannot be before anybody reads the finding or copies a command with it.
fn check_end(until: &str, zone: &str, now: Timestamp) -> anyhow::Result<()> {
    let in_zone = TimeZone::get(zone)
        .map_err(|_| anyhow::anyhow!("--zone {zone:?} is no time zone, such as Europe/Vienna"))?;
    let at = end(until.trim(), &in_zone).context("--until")?;
    anyhow::ensure!(at > now, "--until {until} is over already");
    Ok(())
}

/// A finding as it is read before it is accepted.
#[derive(Deserialize)]
struct Read {
    #[serde(flatten)]
    record: FindingRecord,
    /// The tag of it; one that is over has none.
    etag: Option<String>,
    /// What its part says, where all of that is accepted.
    #[serde(default)]
    says: Option<Said>,
}

/// Prints what finding `number` is about and what it has now; gives the tag of it.
async fn read(client: &Client, number: i64) -> anyhow::Result<String> {
    let Read { record, etag, says } =
        client.get(&format!("/api/v1/findings/{number}"), &[]).await?;
    let Some(etag) = etag else { return Err(Refused("it is over already".to_owned()).into()) };
    let [should, now] = sides(&record.finding);
    let id = &record.finding.id;
    let key = id.key.as_ref().map_or("the whole part", |key| key.as_str());
    let what = format!("{}, {}, {key}", id.host, id.part);
    let line = format!("finding {number}: {what}: should be {should}, is {now}");
    eprintln_message(&output::printable(&line));
    says.iter().flat_map(said_lines).for_each(|line| eprintln_message(&line));
    Ok(etag)
}

/// What a part says, line by line.
pub(super) fn said_lines(said: &Said) -> Vec<String> {
    let unread = said.unread.map(|reason| {
        let wrong = said.wrong.as_ref().map(|wrong| format!(": {wrong}")).unwrap_or_default();
        let why = format!("{}{wrong}", reason.as_str());
        output::printable(&format!("  its content cannot be read ({why}): its bytes are accepted"))
    });
    let item = |one: &SaidItem| {
        output::printable(&format!("  {} = {}", one.key.as_str(), output::value(Some(&one.now))))
    };
    let left_out = said.left_out();
    let left_out = (!left_out.is_empty()).then(|| format!("  {left_out}"));
    unread.into_iter().chain(said.items.iter().map(item)).chain(left_out).collect()
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// `text` as one word for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_to_run_is_one_word_for_each_text() {
        assert_eq!(quoted("as agreed"), "'as agreed'");
        assert_eq!(quoted("it's $HOME"), r"'it'\''s $HOME'");
    }

    #[test]
    fn an_end_that_cannot_be_is_refused_before_anything_is_read() {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        for (until, zone, told) in [
            ("gestern", "UTC", "--until: \"gestern\" is no end"),
            ("31.12.2026", "UTC", "is no end"),
            ("2026-11-21", "UTC", "is over already"),
            ("2026-12-31", "Wien", "is no time zone"),
        ] {
            let refused = format!("{:#}", check_end(until, zone, now).unwrap_err());
            assert!(refused.contains(told), "{refused}");
        }
        check_end("2026-11-22", "Europe/Vienna", now).unwrap();
    }

    #[test]
    fn numbers_and_ranges_name_each_finding_once_and_not_too_many() {
        let all = |words: &[&str]| -> Result<Vec<i64>, String> {
            let ranges: Vec<_> =
                words.iter().map(|word| numbers(word)).collect::<Result<_, _>>()?;
            each(&ranges).map_err(|error| error.to_string())
        };
        assert_eq!(all(&["12", "20-22", "13", "21"]).unwrap(), [12, 20, 21, 22, 13]);
        assert_eq!(all(&["1-100"]).unwrap().len(), ACCEPTED_MOST);
        for (words, told) in [
            (&["1-101"][..], "more than 100 findings"),
            (&["1-9223372036854775807"], "more than 100 findings"),
            (&["1-60", "61-120"], "more than 100 findings"),
            (&["5-3"], "must be the number of a finding"),
            (&["0"], "must be the number of a finding"),
            (&["1-"], "must be the number of a finding"),
            (&["all"], "must be the number of a finding"),
        ] {
            let refused = all(words).unwrap_err();
            assert!(refused.contains(told), "{words:?}: {refused}");
        }
    }

    #[test]
    fn the_last_line_names_what_was_accepted_and_what_was_not() {
        let outcome = |number, accepted| Outcome { number, accepted, says: "why".into() };
        for (outcomes, told) in [
            (vec![outcome(1, true)], None),
            (vec![outcome(1, true), outcome(2, true)], None),
            (vec![outcome(7, false)], Some("finding 7 was not accepted: why")),
            (
                vec![outcome(1, true), outcome(2, false), outcome(3, true)],
                Some("accepted 2 of 3: 1, 3; not accepted: 2"),
            ),
            (
                vec![outcome(1, false), outcome(2, false)],
                Some("accepted 0 of 2: none; not accepted: 1, 2"),
            ),
        ] {
            assert_eq!(summary(&outcomes).as_deref(), told);
        }
    }

    #[test]
    fn nothing_but_yes_is_yes() {
        assert!(["y\n", "Yes\n"].iter().all(|text| is_yes(text)));
        assert!(!["", "\n", "n\n", "yesterday"].iter().any(|text| is_yes(text)));
    }
}
