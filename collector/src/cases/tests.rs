//! Files as people send them, and what is taken of them.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::analysis::cases::Exposure;
use crate::analysis::site_clock::SiteClock;

fn form() -> Form {
    let required = vec![Column::OpenedAt, Column::Service, Column::Site];
    Form { zone: TimeZone::UTC, required, blanks: Blanks::Refused }
}

fn cases(text: &str) -> Cases {
    read_cases(text.as_bytes(), &form(), &[]).unwrap()
}

/// Each case as `seconds service/site/category`.
fn shown(cases: &Cases) -> Vec<String> {
    let stream = &cases.stream;
    let show = |case: &crate::analysis::cases::Case| {
        format!(
            "{} {}/{}/{}",
            case.opened_at,
            stream.services[case.service as usize],
            stream.sites[case.site as usize],
            stream.categories[case.category as usize],
        )
    };
    stream.cases.iter().map(show).collect()
}

fn refusals(refused: &Refusals) -> Vec<String> {
    refused.first.iter().map(ToString::to_string).collect()
}

/// An inch sign that opens a quote swallows what follows, up to the next one.
#[test]
fn a_field_that_goes_on_after_its_quote_is_refused_with_its_line() {
    let text = "opened_at,service,site,about\n\
        2026-11-22 12:00,voice,graz,\"19 inch\n\
        2026-11-22 13:00,voice,linz,screen\n\
        2026-11-22 14:00,voice,graz,\"21 inch\n\
        2026-11-22 15:00,voice,linz,\"says \"\"no\"\" twice\" \n\
        2026-11-22 16:00,\"voice\",graz,21\" screen\n";
    let cases = cases(text);
    assert_eq!(cases.rows, 3);
    assert_eq!(refusals(&cases.refused), [format!("line 2: {}", Why::Quote)]);
    assert_eq!(shown(&cases).len(), 2, "{:?}", shown(&cases));
}

#[test]
fn a_byte_order_mark_hides_no_form() {
    let line = r#"{"opened_at":"2026-11-22T12:00:00Z","service":"voice","site":"graz"}"#;
    for mark in ["", "\u{feff}", "\u{feff}\n"] {
        assert_eq!(shown(&cases(&format!("{mark}{line}\n"))).len(), 1, "{mark:?}");
    }
    let column = "opened_at".to_owned();
    let wanted = [Wanted { name: "opened", column, required: true, list: false }];
    for form in [line.to_owned(), format!("[{line}]"), "opened_at\n2026-11-22\n".to_owned()] {
        let text = format!("\u{feff}{form}");
        let mut taken = 0;
        read_records(text.as_bytes(), &wanted, &mut |_| {
            taken += 1;
            Ok(true)
        })
        .unwrap();
        assert_eq!(taken, 1, "{form}");
    }
}

/// Spreadsheets write semicolons where numbers have commas, and tabs where text is copied.
#[test]
fn semicolons_and_tabs_separate_where_the_header_makes_sense_only_so() {
    let comma = "opened_at,service,site,note\n\
        2026-11-22 12:00,voice,graz,\"a, b; c\td\"\n2026-11-22 13:00,\"voice\" ,linz,\n";
    let expect = shown(&cases(comma));
    assert_eq!(expect.len(), 2);
    for separator in [";", "\t"] {
        let text = comma.replace("a, b; c\td", "§").replace(',', separator);
        let text = text.replace('§', "a, b; c\td");
        let read = cases(&text);
        assert_eq!((shown(&read), read.refused.total), (expect.clone(), 0), "{text}");
    }
    // A header may go on between quotes, before what it must have.
    for separator in [",", ";", "\t"] {
        let text =
            "\"a\nb; \"\"c\"\"\r\n\";opened_at;service;site\nx;2026-11-22 12:00;voice;graz\n";
        let text = text.replace("b; ", "§").replace(';', separator).replace('§', "b; ");
        let read = cases(&text);
        assert_eq!((shown(&read).len(), read.refused.total), (1, 0), "{text}");
    }
    // Where commas make sense they separate, whatever else the header holds.
    let both = cases("opened_at,service,site,a;b\n2026-11-22 12:00,voice,graz;x,y\n");
    assert_eq!(shown(&both), ["1795348800 voice/graz;x/"]);
    let changes = "id;at;service;exposed_sites\nc1;2026-11-22 12:00;voice;graz linz\n";
    assert_eq!(read_changes(changes.as_bytes(), &TimeZone::UTC).unwrap().candidates.len(), 1);
    let late = cases("\n\r\nopened_at;service;site\n2026-11-22 12:00;voice\n");
    assert_eq!(refusals(&late.refused), ["line 4: the row has 2 columns and the header 3"]);
}

#[test]
fn a_header_of_semicolons_that_lacks_a_column_says_which() {
    let error = read_cases("opened_at;service;where\n".as_bytes(), &form(), &[]).unwrap_err();
    assert!(error.to_string().contains("lacks the column site"), "{error}");
}

#[test]
fn text_in_two_bytes_a_character_is_named() {
    let text = "opened_at;service;site\r\n";
    let little = || text.encode_utf16().flat_map(u16::to_le_bytes);
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let marked: Vec<u8> = [0xff, 0xfe].into_iter().chain(little()).collect();
    for bytes in [marked, little().collect(), big] {
        let error = read_cases(bytes.as_slice(), &form(), &[]).unwrap_err();
        assert!(error.to_string().contains("UTF-16"), "{error}");
        let error = read_changes(bytes.as_slice(), &TimeZone::UTC).unwrap_err();
        assert!(error.to_string().contains("UTF-16"), "{error}");
        assert!(read_records(bytes.as_slice(), &[], &mut |_| Ok(true)).is_err());
        assert!(read_sites(bytes.as_slice()).is_err());
    }
}

/// A reader that gives one byte at a time, as a pipe may.
struct Drops<'a>(&'a [u8]);

impl std::io::Read for Drops<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(1);
        std::io::Read::read(&mut self.0, &mut buffer[..most])
    }
}

#[test]
fn how_a_file_begins_is_known_whatever_pieces_it_comes_in() {
    let json = r#"{"opened_at":"2026-11-22T12:00:00Z","service":"voice","site":"graz"}"#;
    for text in [json, "opened_at;service;site\n2026-11-22 12:00;voice;graz\n"] {
        let text = format!("\u{feff}\n\n{text}");
        let read = read_cases(Drops(text.as_bytes()), &form(), &[]).unwrap();
        assert_eq!(shown(&read), shown(&cases(&text)));
        assert_eq!(shown(&read).len(), 1, "{text}");
    }
}

#[test]
fn columns_of_changes_that_nobody_looks_at_are_known() {
    let text = "id,at,service,exposed_sites,window_hour\nc1,2026-11-22 12:00,voice,graz,24\n";
    let changes = read_changes(text.as_bytes(), &TimeZone::UTC).unwrap();
    assert_eq!((changes.passed_over, changes.candidates.len()), (vec!["window_hour".into()], 1));
}

#[test]
fn a_time_is_read_in_either_form_and_in_no_other() {
    let check = |text: &str, expected: Result<i64, Why>| {
        assert_eq!(parse_moment(text.as_bytes(), &TimeZone::UTC), expected, "{text}");
    };
    check("1970-01-01T00:00:00Z", Ok(0));
    check("2000-02-29 12:34:56", Ok(951_827_696));
    check("2026-11-22T13:00:00+01:00", Ok(1_795_348_800));
    check("2026-11-22t12:00:00.123456z", Ok(1_795_348_800));
    check("2016-12-31T23:59:60Z", Ok(1_483_228_800));
    check("2026-11-22 12:00", Ok(1_795_348_800));
    check("2026-11-22T13:00+01:00", Ok(1_795_348_800));
    check("22.11.2026 12:00", Ok(1_795_348_800));
    check("22.11.2026 12:00:30", Ok(1_795_348_830));
    check("22.11.2026", Ok(1_795_348_800 - 43_200));
    check("2026-11-22", Ok(1_795_348_800 - 43_200));
    check("1.2.2026 9:05", Ok(1_769_936_700));
    check("01.02.2026 09:05", Ok(1_769_936_700));
    check("22.11.0026", Err(Why::FarTime));
    for text in [
        "",
        "yesterday",
        "2026-11-2",
        "2026-11-22 ",
        "2026-11-31",
        "2026-11-22Z",
        "2026-11-22T12:0",
        "2026-11-22T12:00.5",
        "2026-11-22T12:00:5",
        "2026-11-22T24:00",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T12:00:00.Z",
        "2026-11-22T12:00:00+0100",
        "22/11/2026 12:00:00",
        "22.13.2026",
        "29.02.2026 12:00",
        "22.11.26",
        "22.11.2026 24:00",
        "22.11.2026 12",
        "22.11.2026 12:0",
        "22.11.2026 12:00:00Z",
        "222.11.2026",
        "22.11.2026T12:00",
        "2026-11-22T12:00:00Z ",
    ] {
        check(text, Err(Why::NotATime));
    }
    check("0016-02-29 01:16:00", Err(Why::FarTime));
}

#[test]
fn a_day_that_ends_something_is_over_when_the_next_begins() {
    let zone = TimeZone::get("Europe/Vienna").unwrap();
    let check = |texts: [&str; 2], utc: &str| {
        let expected = parse_moment(utc.as_bytes(), &TimeZone::UTC);
        for text in texts {
            assert_eq!(parse_end(text.as_bytes(), &zone), expected, "{text}");
        }
    };
    check(["2026-11-29", "29.11.2026"], "2026-11-29T23:00:00Z");
    check(["2026-11-30", "30.11.2026"], "2026-11-30T23:00:00Z");
    check(["2026-12-31", "31.12.2026"], "2026-12-31T23:00:00Z");
    check(["2028-02-28", "28.2.2028"], "2028-02-28T23:00:00Z");
    // A day of 25 hours, and one of 23.
    check(["2026-10-25", "25.10.2026"], "2026-10-25T23:00:00Z");
    check(["2026-03-29", "29.3.2026"], "2026-03-29T22:00:00Z");
    // A time is what it says.
    check(["2026-11-29 00:00", "29.11.2026 0:00"], "2026-11-28T23:00:00Z");
    assert_eq!(parse_end(b"29.02.2026", &zone), Err(Why::NotATime));
}

#[test]
fn a_time_without_offset_is_local_to_the_zone() {
    let zone = TimeZone::get("Europe/Vienna").unwrap();
    let check = |text: &str, utc: &str| {
        let found = parse_moment(text.as_bytes(), &zone).unwrap();
        assert_eq!(found, parse_moment(utc.as_bytes(), &TimeZone::UTC).unwrap(), "{text}");
    };
    check("2026-07-01 12:00:00", "2026-07-01T10:00:00Z");
    check("2026-07-01 12:00", "2026-07-01T10:00:00Z");
    check("2026-01-01 12:00:00", "2026-01-01T11:00:00Z");
    check("2026-01-01T12:00:00Z", "2026-01-01T12:00:00Z");
    check("1.7.2026 12:00", "2026-07-01T10:00:00Z");
    // The hour that is there twice is its first, the one that is not there comes after the gap.
    check("2026-10-25 02:30:00", "2026-10-25T00:30:00Z");
    check("2026-03-29 02:30:00", "2026-03-29T01:30:00Z");
}

#[test]
fn columns_stand_in_any_order_among_others() {
    let read = cases(
        "\u{feff}number,Site,text,service,opened_at,category\r\n\
         1,graz,\"a, \"\"b\"\"\r\nc\",voice,2026-01-01 00:00:01,line\r\n\
         \r\n\
         2, porto ,,mail,1970-01-01T00:00:00Z,\r\n",
    );
    assert_eq!(shown(&read), ["0 mail/porto/", "1767225601 voice/graz/line"]);
    assert_eq!((read.rows, read.refused.total), (2, 0));
}

#[test]
fn a_bad_row_is_named_and_counted_and_the_others_are_taken() {
    let read = cases(
        "opened_at,service,site\n\
         2026-01-01 00:00:00,voice,graz\n\
         yesterday,voice,graz\n\
         2026-01-01 00:00:00,,graz\n\
         2026-01-01 00:00:00,voice,new\tyork\n\
         \n\
         2026-01-01 00:00:00,voice\n\
         ,voice,graz\n\
         2026-01-01 00:00:01,voice,graz\n",
    );
    assert_eq!(read.stream.cases.len(), 2);
    assert_eq!((read.rows, read.refused.total), (7, 5));
    let time = "is not a time such as 2026-11-22T13:00:00Z, 2026-11-22 13:00 or 22.11.2026 13:00, \
        nor a day such as 2026-11-22 or 22.11.2026";
    let site = "holds a tab, the end of a line or another character that no name has";
    assert_eq!(
        refusals(&read.refused),
        [
            format!("line 3, column 1 (opened_at): {time}"),
            "line 4, column 2 (service): is empty".to_owned(),
            format!("line 5, column 3 (site): {site}"),
            "line 7: the row has 2 columns and the header 3".to_owned(),
            "line 8, column 1 (opened_at): is empty".to_owned(),
        ]
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_only_where_they_are_looked_at() {
    let mut text = b"opened_at,service,site,note\n".to_vec();
    text.extend(b"2026-01-01 00:00:00,voice,graz,\xff\n");
    text.extend(b"2026-01-01 00:00:00,voice,\xff,fine\n");
    let read = read_cases(text.as_slice(), &form(), &[]).unwrap();
    assert_eq!(read.stream.cases.len(), 1);
    assert_eq!(refusals(&read.refused), ["line 3, column 3 (site): is not UTF-8"]);
}

#[test]
fn a_quote_left_open_costs_one_row_of_memory_and_is_told() {
    let mut text = "opened_at,service,site\n2026-01-01 00:00:00,voice,graz\n\"".to_owned();
    text.extend(std::iter::repeat_n("2026-01-01 00:00:00,voice,graz\n", 3 * ROW_BYTES / 31));
    let read = cases(&text);
    assert_eq!(read.stream.cases.len(), 1);
    assert_eq!(read.refused.total, 1);
    assert_eq!(read.refused.first[0].why, Why::LongRow);
    assert_eq!(read.refused.first[0].line, 3);
}

#[test]
fn more_refusals_than_are_remembered_are_still_counted() {
    let mut text = "opened_at,service,site\n".to_owned();
    text.extend(std::iter::repeat_n("never,voice,graz\n", 3 * REFUSALS));
    let read = cases(&text);
    assert_eq!(read.refused.first.len(), REFUSALS);
    assert_eq!(read.refused.total, 3 * REFUSALS as u64);
}

#[test]
fn a_case_that_is_said_again_keeps_when_it_was_opened() {
    let read = cases(
        "id,opened_at,service,site,recorded_at\n\
         A1,1970-01-01T00:00:05Z,voice,graz,1970-01-01T00:01:00Z\n\
         A2,1970-01-01T00:00:06Z,voice,graz,\n\
         A1,1970-01-01T00:00:09Z,mail,porto,1970-01-01T00:02:00Z\n\
         ,1970-01-01T00:00:07Z,voice,graz,\n\
         ,1970-01-01T00:00:07Z,voice,graz,\n",
    );
    let expected = ["5 mail/porto/", "6 voice/graz/", "7 voice/graz/", "7 voice/graz/"];
    assert_eq!(shown(&read), expected);
    assert_eq!(read.stream.cases[0].recorded_at, Some(60));
    assert_eq!((read.repeated, read.reopened), (1, 1));
}

#[test]
fn a_line_of_json_is_a_row() {
    let read = cases(
        "{\"opened_at\":\"1970-01-01T00:00:05Z\",\"service\":\"voice\",\"site\":143,\"x\":[{}]}\n\
         \n\
         {\"opened_at\":\"1970-01-01 00:00:06\",\"service\":\"a\\\"b\",\"site\":\"s\",\
         \"category\":null}\n\
         {\"opened_at\":\"1970-01-01 00:00:06\",\"service\":true,\"site\":\"s\"}\n\
         {\"opened_at\":\n\
         {\"service\":\"voice\",\"site\":\"s\"}\n",
    );
    assert_eq!(shown(&read), ["5 voice/143/", "6 a\"b/s/"]);
    assert_eq!((read.rows, read.refused.total), (5, 3));
    let lines: Vec<u64> = read.refused.first.iter().map(|refusal| refusal.line).collect();
    assert_eq!(lines, [4, 5, 6]);
    let whys: Vec<Why> = read.refused.first.iter().map(|refusal| refusal.why).collect();
    assert_eq!(whys, [Why::NotText, Why::NotJson, Why::Empty]);
}

#[test]
fn a_file_that_says_nothing_is_an_error_that_says_why() {
    let check = |text: &str, expected: &str| {
        let error = read_cases(text.as_bytes(), &form(), &[]).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("", "there is no header line");
    let required = "it must name opened_at, service, site";
    check("opened_at,service\n", &format!("the header (line 1) lacks the column site; {required}"));
    check("site,site,opened_at,service\n", "the header (line 1) names the column site twice");
}

#[test]
fn sites_without_a_case_are_sites() {
    let (sites, refused) =
        read_sites("site\r\nporto\r\n\r\ngraz\nnew york\na@b\nnew\u{7}york\n".as_bytes()).unwrap();
    assert_eq!(sites, ["porto", "graz", "new york", "a@b"]);
    assert_eq!(refused.total, 1);
    let text = "opened_at,service,site\n1970-01-01T00:00:05Z,voice,linz\n";
    let read = read_cases(text.as_bytes(), &form(), &sites).unwrap();
    assert_eq!(read.stream.sites, ["a@b", "graz", "linz", "new york", "porto"]);
}

#[test]
fn changes_are_candidates() {
    let text = "id,at,service,exposed_sites,kind,window_hours,waves\n\
         c1,1970-01-01T00:00:05Z,voice,porto graz,rollout,24.0,\n\
         c2,1970-01-01 00:00:06,,*,,,\n\
         c3,1970-01-01 00:00:06,voice,,,,\n\
         c4,1970-01-01 00:00:06,voice,graz,,,linz@1970-01-02T00:00:00Z graz@1970-01-01T00:00:09Z\n";
    let changes = read_changes(text.as_bytes(), &TimeZone::UTC).unwrap();
    assert_eq!(changes.refused, Refusals::default());
    let [c1, c2, c3, c4] = changes.candidates.as_slice() else { panic!("{changes:?}") };
    assert_eq!(c1.exposure, Exposure::Sites(vec!["graz".to_owned(), "porto".to_owned()]));
    assert_eq!((c1.kind.as_deref(), c1.window_hours), (Some("rollout"), Some(24)));
    assert_eq!((&c2.service, &c2.exposure), (&None, &Exposure::Everywhere));
    assert_eq!(c3.exposure, Exposure::Unknown);
    assert_eq!(c4.exposure, Exposure::Sites(vec!["graz".to_owned(), "linz".to_owned()]));
    assert_eq!(c4.waves, [("graz".to_owned(), 9), ("linz".to_owned(), 86_400)]);
}

#[test]
fn a_change_that_cannot_be_read_is_named() {
    let check = |row: &str, expected: &str| {
        let text = format!("id,at,service,exposed_sites,window_hours,waves\n{row}\n");
        let changes = read_changes(text.as_bytes(), &TimeZone::UTC).unwrap();
        assert_eq!(refusals(&changes.refused).join(";"), expected, "{row}");
        assert_eq!(changes.candidates.len() as u64 + changes.refused.total, changes.rows);
    };
    let at = "1970-01-01T00:00:05Z";
    check(&format!(",{at},voice,graz,,"), "line 2, column 1 (id): is empty");
    check("c,,voice,graz,,", "line 2, column 2 (at): is empty");
    check(
        &format!("c,{at},voice,a\u{7}b,,"),
        &format!("line 2, column 4 (exposed_sites): {}", Why::SiteName),
    );
    check(
        &format!("c,{at},voice,* graz,,"),
        "line 2, column 4 (exposed_sites): says everywhere (*) beside the names of sites",
    );
    let hours = "line 2, column 5 (window_hours): is not a whole number of hours from 1 to 8760";
    check(&format!("c,{at},voice,graz,0,"), hours);
    check(&format!("c,{at},voice,graz,1.5,"), hours);
    check(
        &format!("c,{at},voice,graz,,graz"),
        "line 2, column 6 (waves): is not a list of site@time separated by spaces or semicolons",
    );
    check(
        &format!("c,{at},voice,graz,,a\u{7}b@{at}"),
        &format!("line 2, column 6 (waves): {}", Why::SiteName),
    );
    check(
        &format!("c,{at},voice,graz,,graz@{at} graz@{at}"),
        "line 2, column 6 (waves): names a site twice",
    );
    check(
        &format!("c,{at},voice,graz,,\nc,{at},voice,graz,,"),
        "line 3, column 1 (id): is the id of an earlier change",
    );
}

#[test]
fn a_holiday_is_the_days_of_its_zone() {
    let text = "timezone = \"Europe/Vienna\"\n\
         [[holiday]]\nname = \"Christmas\"\ndate = \"2026-12-25\"\nuntil = \"2026-12-26\"\n\
         [[holiday]]\ndate = 2026-10-26\nsites = [\"graz\"]\n";
    let calendar = read_calendar(text.as_bytes(), &TimeZone::UTC).unwrap();
    let moment = |text: &str| parse_moment(text.as_bytes(), &TimeZone::UTC).unwrap();
    let everywhere = Holiday {
        site: None,
        from: moment("2026-12-24T23:00:00Z"),
        to: moment("2026-12-26T23:00:00Z"),
    };
    let graz = Holiday {
        site: Some("graz".to_owned()),
        from: moment("2026-10-25T23:00:00Z"),
        to: moment("2026-10-26T23:00:00Z"),
    };
    assert_eq!(calendar.holidays, [everywhere, graz]);
}

#[test]
fn a_site_has_its_own_clock_and_hours_or_those_of_all() {
    let text = "timezone = \"Europe/Vienna\"\nbusiness_hours = [\"mon-fri 08:00-18:00\"]\n\
         [[site]]\nnames = [\"porto\", \"faro\"]\ntimezone = \"Europe/Lisbon\"\n\
         [[site]]\nnames = [\"desk\"]\nbusiness_hours = []\n\
         [[holiday]]\ndate = 2026-12-25\nsites = [\"porto\", \"graz\"]\n";
    let calendar = read_calendar(text.as_bytes(), &TimeZone::UTC).unwrap();
    let told = |clock: &SiteClock| {
        let zone = clock.zone.iana_name().unwrap_or_default().to_owned();
        (clock.site.clone().unwrap_or_default(), zone, clock.hours.is_known())
    };
    let expect = [
        ("porto", "Europe/Lisbon", true),
        ("faro", "Europe/Lisbon", true),
        ("desk", "Europe/Vienna", false),
        ("", "Europe/Vienna", true),
    ];
    let expect = expect.map(|(site, zone, hours)| (site.to_owned(), zone.to_owned(), hours));
    assert_eq!(calendar.clocks.iter().map(told).collect::<Vec<_>>(), expect);
    let began = calendar.holidays.iter().map(|day| day.from).collect::<Vec<_>>();
    let moment = |text: &str| parse_moment(text.as_bytes(), &TimeZone::UTC).unwrap();
    assert_eq!(began, [moment("2026-12-25T00:00:00Z"), moment("2026-12-24T23:00:00Z")]);
}

#[test]
fn a_calendar_with_a_slip_is_refused() {
    let check = |text: &str| {
        assert!(read_calendar(text.as_bytes(), &TimeZone::UTC).is_err(), "{text}");
    };
    check("[[holliday]]\ndate = \"2026-12-25\"\n");
    check("[[holiday]]\ndate = \"2026-12-25\"\nsite = \"graz\"\n");
    check("[[holiday]]\ndate = \"2026-12-25\"\nuntil = \"2026-12-24\"\n");
    check("timezone = \"Europe/Atlantis\"\n");
    check("business_hours = [\"9 to 5\"]\n");
    check("[[site]]\nnames = [\"a\"]\ntimezone = \"Nowhere\"\n");
}

proptest! {
    /// Whatever comes, each row is taken or refused, and nothing is both.
    #[test]
    fn every_row_is_taken_or_refused(rows in "([a-z0-9T:,\" @-]{0,40}\n){0,20}") {
        let read = cases(&format!("opened_at,service,site\n{rows}"));
        prop_assert_eq!(read.stream.cases.len() as u64 + read.refused.total, read.rows);
    }

    #[test]
    fn no_bytes_make_a_reader_fall(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut text = b"opened_at,service,site\n".to_vec();
        text.extend(&bytes);
        let read = read_cases(text.as_slice(), &form(), &[]).unwrap();
        prop_assert_eq!(read.stream.cases.len() as u64 + read.refused.total, read.rows);
        let json = [b"{", bytes.as_slice()].concat();
        let read = read_cases(json.as_slice(), &form(), &[]);
        // What begins as text of two bytes a character is refused as a whole.
        prop_assert!(matches!(read, Ok(_) | Err(ReadError::Utf16)), "{read:?}");
    }

    /// The arithmetic of the calendar agrees with that of the library.
    #[test]
    fn every_second_is_read_as_it_is_written(second in 0..7_258_118_400i64) {
        let written = jiff::Timestamp::from_second(second).unwrap().to_string();
        prop_assert_eq!(parse_moment(written.as_bytes(), &TimeZone::UTC), Ok(second));
    }
}
