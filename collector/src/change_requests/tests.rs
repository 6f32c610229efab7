//! Change requests in all three forms: what is taken, and what is refused and why.

use super::*;

fn form() -> RequestForm {
    let meanings = "[[change_source]]\nname = 'itsm'\n\
        approvals = { approved = ['genehmigt'], requested = ['Closed'] }\n\
        kinds = { emergency = ['Notfall'] }";
    let source = crate::config::load::parse("t", meanings).unwrap().change_sources.remove(0);
    let columns = [(Field::Id, "number"), (Field::Hosts, "cmdb_ci")];
    RequestForm {
        source: "itsm".into(),
        zone: TimeZone::get("Europe/Vienna").unwrap(),
        columns: columns.map(|(field, name)| (field, name.to_owned())).into(),
        approvals: source.approvals,
        kinds: source.kinds,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn read(text: &str) -> (Vec<ChangeRequest>, Result<Came, ReadError>) {
    read_as(text, &form())
}

fn read_as(text: &str, form: &RequestForm) -> (Vec<ChangeRequest>, Result<Came, ReadError>) {
    let mut all = Vec::new();
    let came = read_requests(text.as_bytes(), form, &mut |request| {
        all.push(request);
        true
    });
    (all, came)
}

#[test]
fn all_three_forms_say_the_same() {
    let object = "{\"number\":\"CHG1\",\"approval\":\"Approved\",\"kind\":\"Emergency\",\
        \"start\":\"2026-11-28 22:00:00\",\"end\":\"2026-11-28T22:00:00Z\",\
        \"cmdb_ci\":[\"sbc-1\",\"sbc-2\"],\"short_description\":\"Ada calls\",\
        \"url\":\"https://itsm.example/CHG1\"}";
    let table = "number,approval,kind,start,end,cmdb_ci,short_description,url\n\
        CHG1,approved,emergency,2026-11-28 22:00:00,2026-11-28T22:00:00Z,\
        \"sbc-1, sbc-2\",Ada calls,https://itsm.example/CHG1\n";
    let expect = ChangeRequest {
        source: "itsm".into(),
        id: "CHG1".into(),
        kind: RequestKind::Emergency,
        approval: Approval::Approved,
        start: "2026-11-28T21:00:00Z".parse().unwrap(),
        end: "2026-11-28T22:00:00Z".parse().unwrap(),
        scope: IntentScope {
            hosts: vec!["sbc-1".into(), "sbc-2".into()],
            ..IntentScope::default()
        },
        url: "https://itsm.example/CHG1".into(),
        received_at: Timestamp::UNIX_EPOCH,
    };
    for text in [table.to_owned(), format!("{object}\n"), format!("[{object}]")] {
        let (all, came) = read(&text);
        assert_eq!(all, std::slice::from_ref(&expect), "{text}");
        assert_eq!((came.as_ref().unwrap().rows, came.unwrap().refused.total), (1, 0));
    }
}

#[test]
fn a_request_that_cannot_be_is_refused_by_line_and_column() {
    let header = "number,approval,start,end,cmdb_ci\n";
    let long = format!("{};", "a".repeat(100)).repeat(90);
    let (day, next) = ("2026-11-28 00:00:00", "2026-11-29 00:00:00");
    for (row, expect) in [
        (format!(",approved,{day},{next},a"), "line 2, column 1 (number, that is id): is empty"),
        (format!("1,perhaps,{day},{next},a"), "line 2, column 2 (approval): is none of"),
        (format!("1,approved,soon,{next},a"), "line 2, column 3 (start): is not a time"),
        (format!("1,approved,{day},{day},a"), "line 2, column 4 (end): is not after"),
        (format!("1,approved,{day},2028-01-04 00:00:00,a"), "line 2, column 4 (end): is more"),
        (format!("1,approved,{day},{next},{}", "abcdefghi;".repeat(499).repeat(2)), "line 2"),
        (
            format!("1,approved,{day},{next},{long}"),
            "line 2, column 5 (cmdb_ci, that is hosts): has",
        ),
        (
            format!("1,approved,{day},{next}, ;"),
            "line 2, column 5 (cmdb_ci, that is hosts): names no host",
        ),
    ] {
        let (all, came) = read(&format!("{header}{row}\n"));
        let told = came.unwrap().refused.first[0].to_string();
        assert!(all.is_empty() && told.starts_with(expect), "{told}");
    }
    let lacks = read("number,start,end,cmdb_ci\n").1.unwrap_err().to_string();
    assert!(lacks.contains("must name number, approval, start, end"), "{lacks}");
}

/// What was meant for one host must never be approved on all of them.
#[test]
fn items_are_of_every_host_only_where_that_is_said() {
    let object = |rest: &str| {
        format!(
            "{{\"number\":\"1\",\"approval\":\"approved\",\"start\":\"28.11.2026 22:00\",\
             \"end\":\"29.11.2026\",\"parts\":[\"/etc/a\"]{rest}}}"
        )
    };
    let row = |header: &str, hosts: &str| {
        format!(
            "number,approval,start,end,parts,{header}\n\
             1,approved,28.11.2026 22:00,29.11.2026,/etc/a,{hosts}\n"
        )
    };
    let (sbc, all) = (Ok(vec!["sbc-1".to_owned()]), Ok(Vec::new()));
    let (no, lost) = (Err("its hosts are *"), Err("cmdb_ci, that is hosts: is not there"));
    for (text, hosts) in [
        (object(",\"cmdb_ci\":[\"sbc-1\"]"), &sbc),
        (object(",\"hosts\":[\"sbc-1\"]"), &sbc),
        (object(",\"Hosts\":\"sbc-1\""), &sbc),
        (row("cmdb_ci", "sbc-1"), &sbc),
        (row("Hosts", "sbc-1"), &sbc),
        (row(" CMDB_CI ", "sbc-1"), &sbc),
        (object(""), &lost),
        (object(",\"host\":[\"sbc-1\"]"), &lost),
        (object(",\"cmdb_ci\":null"), &no),
        (object(",\"cmdb_ci\":[],\"hosts\":[\"sbc-1\"]"), &no),
        (row("hosts", ""), &no),
        (object(",\"hosts\":\"*\""), &all),
        (row("cmdb_ci", "*"), &all),
    ] {
        let (found, came) = read(&text);
        let found = found.first().map(|request| request.scope.hosts.clone());
        assert_eq!(found.as_ref(), hosts.as_ref().ok(), "{text}");
        let refused = came.unwrap().refused;
        let told = refused.first.first().map(ToString::to_string).unwrap_or_default();
        assert!(hosts.as_ref().err().is_none_or(|why| told.contains(why)), "{told}");
    }
    let neither = read(&row("host", "sbc-1")).1.unwrap_err().to_string();
    assert!(neither.contains("neither the column cmdb_ci, which"), "{neither}");
    assert!(neither.contains("for hosts, nor hosts"), "{neither}");
    let (_, came) = read(&object(",\"host\":[\"sbc-1\"]"));
    assert_eq!(came.unwrap().columns.unread.words(), "host");
}

/// What was meant for one file must never be approved for all of its host.
#[test]
fn a_list_that_the_configuration_names_is_sent_or_the_request_is_refused() {
    let form = |columns: &[(Field, &str)]| RequestForm {
        columns: columns.iter().map(|(field, name)| (*field, (*name).to_owned())).collect(),
        ..form()
    };
    let object = |rest: &str| {
        format!(
            "{{\"id\":\"1\",\"approval\":\"approved\",\"start\":\"28.11.2026 22:00\",\
             \"end\":\"29.11.2026\",\"hosts\":\"sbc-1\"{rest}}}"
        )
    };
    let files = [(Field::Parts, "u_task.files")];
    let optional = [(Field::Url, "link"), (Field::Kind, "type")];
    let lacks = "u_task.files, that is parts: is not there";
    for (columns, rest, refused) in [
        (&[][..], "", None),
        (&optional, "", None),
        (&files, "", Some(lacks)),
        (&files, ",\"u_taks\":{\"files\":\"/etc/a\"}", Some(lacks)),
        (&files, ",\"u_task\":{}", Some(lacks)),
        // Nothing is something said, also as a reference to nothing.
        (&files, ",\"u_task\":{\"files\":null}", None),
        (&files, ",\"u_task\":null", None),
        (&files, ",\"u_task\":\"\"", None),
        (&files, ",\"u_task\":{\"files\":[\"/etc/a\"]}", None),
        (&files, ",\"parts\":[]", None),
    ] {
        let (found, came) = read_as(&object(rest), &form(columns));
        let told = came.unwrap().refused.first.first().map(ToString::to_string);
        assert_eq!(found.len(), usize::from(refused.is_none()), "{rest}: {told:?}");
        let said = refused.is_none_or(|why| told.as_ref().unwrap().contains(why));
        assert!(said, "{told:?}");
    }
    let (_, came) = read_as(&object(""), &form(&optional));
    let lacking = came.unwrap().columns.lacking();
    let expected = [
        "1 record has neither type, which the configuration names for kind, nor kind.",
        "1 record has neither link, which the configuration names for url, nor url.",
    ];
    assert_eq!(lacking, expected);
}

#[test]
fn the_words_of_a_source_come_before_those_everybody_knows() {
    for (approval, kind, expect) in [
        ("Genehmigt", "NOTFALL", Some((Approval::Approved, RequestKind::Emergency))),
        ("approved", "", Some((Approval::Approved, RequestKind::Normal))),
        ("closed", "", Some((Approval::Requested, RequestKind::Normal))),
        ("abgelehnt", "", None),
    ] {
        let text = format!(
            "number,approval,kind,start,end,cmdb_ci\n\
             1,{approval},{kind},28.11.2026 22:00:00,29.11.2026 02:00,a\n"
        );
        let (found, _) = read(&text);
        let found = found.first().map(|request| (request.approval, request.kind));
        assert_eq!(found, expect, "{approval} {kind}");
    }
}

#[test]
fn a_request_that_ends_on_a_day_covers_that_day() {
    for (end, expect) in [
        ("28.11.2026", Some("2026-11-28T23:00:00Z")),
        ("2026-11-28", Some("2026-11-28T23:00:00Z")),
        ("2026-11-28 00:00", None),
        ("28.11.2026 00:00", None),
    ] {
        let text = format!("number,approval,start,end,cmdb_ci\n1,approved,2026-11-28,{end},a\n");
        let (found, _) = read(&text);
        let expect = expect.map(|end| (at("2026-11-27T23:00:00Z"), at(end)));
        assert_eq!(found.first().map(|one| (one.start, one.end)), expect, "{end}");
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn an_address_leads_to_the_web_or_nowhere() {
    let row = "number,approval,start,end,cmdb_ci,url\n\
        1,,2026-11-28 00:00:00,2026-11-29 00:00:00,a,javascript:alert(1)\n";
    let (all, _) = read(row);
    assert_eq!((all[0].url.as_str(), all[0].approval), ("", Approval::Requested));
}
