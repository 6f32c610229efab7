//! What `driftline volume` says beyond its numbers: when buckets begin, how far they reach, what
//! its options mean, and that a long answer costs no memory.

#![allow(clippy::disallowed_types, reason = "the program is watched while it writes")]

use std::io::Read;
use std::process::{Command, Stdio};

use driftline_tests::programs;
use driftline_tests::trials::answer::{Program, Ran};
use driftline_tests::trials::random::Random;
use driftline_tests::trials::stream::{DAY, time};
use serde_json::Value;

/// Monday, 4 March 2024, in UTC.
const FROM: i64 = 1_709_510_400;
const HOUR: i64 = 3_600;

/// What is said of these cases.
fn ran(cases: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("cases.csv"), cases).unwrap();
    let mut words = vec!["volume", "--cases", "cases.csv"];
    words.extend(more);
    Program::built().unwrap().run(folder.path(), &words).unwrap()
}

fn rows(cases: &str, more: &[&str]) -> Vec<Value> {
    let more: Vec<&str> = more.iter().copied().chain(["--output", "ndjson"]).collect();
    ran(cases, &more).objects().unwrap()
}

/// One case of one service at each of these moments.
fn cases(at: impl IntoIterator<Item = i64>) -> String {
    let rows = at.into_iter().map(|at| format!("{},voice,graz\n", time(at)));
    rows.fold("opened_at,service,site\n".to_owned(), |text, row| text + &row)
}

/// Two cases a day for so many days, from midnight on.
fn daily(days: i64) -> String {
    cases((0..days).flat_map(|day| [9, 14].map(|hour| FROM + day * DAY + hour * HOUR)))
}

#[test]
fn an_array_holds_what_the_lines_say() {
    let file = daily(20);
    for more in [["--bucket", "day"], ["--bucket", "week"]] {
        let array = ran(&file, &[more[0], more[1], "--output", "json"]);
        let array: Vec<Value> = serde_json::from_str(&array.stdout).unwrap();
        assert_eq!(array, rows(&file, &more));
        assert!(!array.is_empty());
    }
    let nothing = ran("opened_at,service,site\n", &["--bucket", "day", "--output", "json"]);
    assert_eq!((nothing.stdout.as_str(), nothing.code), ("[]\n", Some(0)), "{}", nothing.stderr);
}

/// On 31 March 2024 clocks of Vienna go from two to three.
#[test]
fn a_day_begins_by_the_clock_that_made_it() {
    let days = cases((0..4).map(|day| FROM + 25 * DAY + day * DAY + 12 * HOUR));
    let vienna = ["--bucket", "day", "--timezone", "Europe/Vienna"];
    let starts = |file: &str, more: &[&str]| -> Vec<String> {
        let start = |row: &Value| row["bucket_start"].as_str().unwrap().to_owned();
        rows(file, more).iter().map(start).collect()
    };
    let local = [
        "2024-03-29T00:00:00+01:00",
        "2024-03-30T00:00:00+01:00",
        "2024-03-31T00:00:00+01:00",
        "2024-04-01T00:00:00+02:00",
    ];
    assert_eq!(starts(&days, &vienna), local);
    assert_eq!(starts(&days, &["--bucket", "day"])[0], "2024-03-29T00:00:00Z");
    // The clock of a calendar makes the days as that of --timezone does.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calendar.toml");
    std::fs::write(&path, "timezone = 'Europe/Vienna'\n").unwrap();
    let calendar = ["--bucket", "day", "--calendar", path.to_str().unwrap()];
    assert_eq!(starts(&days, &calendar), local);
    // Half past eleven in the evening, in UTC, is the next day in Vienna and counted there.
    let late = cases([FROM + 23 * HOUR + 1_800, FROM + DAY + 12 * HOUR]);
    let said = rows(&late, &vienna);
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(
        (said[0]["observed"].as_u64(), said[0]["bucket_start"].as_str()),
        (Some(2), Some("2024-03-05T00:00:00+01:00"))
    );
    let table = ran(&days, &[&vienna[..], &["--all"]].concat()).stdout;
    assert!(table.contains("2024-04-01 00:00:00+02:00"), "{table}");
}

#[test]
fn a_lone_case_far_away_makes_no_empty_buckets_and_is_told() {
    let plain = daily(70);
    for (lone, more) in [("2199-01-01T00:00:00Z", "after"), ("1999-01-01T00:00:00Z", "before")] {
        let file = format!("{plain}{lone},voice,graz\n");
        let said = ran(&file, &["--bucket", "hour", "--output", "ndjson"]);
        let without = ran(&plain, &["--bucket", "hour", "--output", "ndjson"]);
        assert_eq!(said.stdout, without.stdout, "{lone}");
        let told = |word: &&str| said.stderr.contains(*word);
        assert!(["1 case", lone, more].iter().all(told), "{}", said.stderr);
        assert_eq!(without.stderr, "");
    }
    // Of two cases none is the lone one; hours of two centuries are no answer either.
    let two = cases([FROM, FROM + 170 * 365 * DAY]);
    let beyond = ran(&two, &["--bucket", "hour"]);
    assert_eq!((beyond.code, beyond.stdout.as_str()), (Some(2), ""), "{}", beyond.stderr);
    assert!(beyond.stderr.contains("2024-03-04") && beyond.stderr.contains("buckets"));
    assert_eq!(ran(&two, &["--bucket", "day", "--method", "ears"]).code, Some(0));
}

/// A case on the second that is named is the first that is not known.
#[test]
fn until_has_one_meaning_in_every_form() {
    let file = daily(20);
    let last = |until: &str, more: &[&str]| {
        let words = [&["--bucket", "day", "--until", until], more].concat();
        let said = rows(&file, &words);
        let last = said.last().unwrap();
        (said.len(), last["observed"].as_u64().unwrap())
    };
    let day = FROM + 10 * DAY;
    assert_eq!(last(&time(day + 9 * HOUR), &[]), (11, 0));
    assert_eq!(last(&time(day + 9 * HOUR + 1), &[]), (11, 1));
    assert_eq!(last("2024-03-14 09:00", &[]), (11, 0));
    assert_eq!(last("2024-03-14", &[]), (10, 2));
    assert_eq!(last("2024-03-14 10:00:00", &["--timezone", "Europe/Vienna"]), (11, 0));
    let back = ran(&file, &["--bucket", "week", "--until", "-2h", "--output", "ndjson"]);
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert!(back.stdout.lines().count() > 100, "two hours ago is long after March 2024");
    for slip in ["soon", "20240314", "202403", "1710374400", "1710374400000"] {
        let slip = ran(&file, &["--bucket", "week", "--until", slip]);
        assert_eq!((slip.code, slip.stdout.as_str()), (Some(2), ""));
        assert!(slip.stderr.contains("-2h"), "{}", slip.stderr);
    }
    let early = ran(&file, &["--bucket", "week", "--until", "2016-05-20", "--output", "ndjson"]);
    assert_eq!((early.code, early.stdout.as_str()), (Some(0), ""));
    let told = ["no case is known", "2016-05-20T00:00:00Z", "opened 2024-03-04T09:00:00Z"];
    assert!(told.iter().all(|word| early.stderr.contains(word)), "{}", early.stderr);
}

#[test]
fn a_sum_alarms_more_where_more_alarms_are_put_up_with() {
    let mut random = Random::new(2_024);
    let counts: Vec<u32> = (0..600).map(|_| random.poisson(20.0)).collect();
    let of_day =
        |(day, count): (i64, u32)| (0..count).map(move |n| FROM + day * DAY + i64::from(n));
    let days = cases((0..).zip(counts).flat_map(of_day));
    let alarms = |more: &[&str]| {
        let words = [&["--bucket", "day", "--method", "cusum"], more].concat();
        let said = rows(&days, &words);
        said.iter().filter(|row| row["alarm"] == true).count()
    };
    let (strict, usual, loose) =
        (alarms(&["--alpha", "0.000001"]), alarms(&[]), alarms(&["--alpha", "0.1"]));
    // Of 544 quiet days three in a thousand, and one in ten.
    assert!(strict < loose && strict <= usual && usual < 8, "{strict} {usual} {loose}");
    assert!((27..=82).contains(&loose), "{strict} {usual} {loose}");
}

/// The most memory a process has had, in kB.
#[cfg(target_os = "linux")]
fn peak(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Twenty sites over a year of hours: 175,000 rows, of which the reader takes one byte.
#[cfg(target_os = "linux")]
#[test]
fn a_long_answer_does_not_stand_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = String::from("opened_at,service,site\n");
    for day in 0..365 {
        for site in 0..20 {
            file += &format!("{},voice,site-{site:02}\n", time(FROM + day * DAY + site * 60));
        }
    }
    std::fs::write(folder.path().join("cases.csv"), file).unwrap();
    for output in ["json", "ndjson"] {
        let mut command = Command::new(programs::program(programs::ADMIN).unwrap());
        if let Some(name) = programs::mutant_of(programs::ADMIN) {
            command.env(programs::MUTANT, name);
        }
        let words = ["volume", "--cases", "cases.csv", "--bucket", "hour", "--method", "ears"];
        let mut child = command
            .args(words)
            .args(["--output", output])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
        let peak = peak(child.id());
        // The pipe is closed and the program ends by itself.
        drop(child.stdout.take());
        assert!(child.wait().unwrap().success());
        eprintln!("{output}: {peak} kB");
        assert!(peak < 50_000, "{output}: {peak} kB for one byte");
    }
}
