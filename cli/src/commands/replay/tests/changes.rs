//! What is said of each file that a commit touched.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use super::*;

#[test]
fn whatever_git_keeps_is_accounted_for() {
    let made = Made::new();
    made.commit(
        1,
        &[("a", "x\n"), ("b.json", "{}"), ("empty", ""), ("d/e", "1\n"), ("secret", "1")],
    );
    made.write("blob", b"\0\x01");
    made.write("key.pem", b"-----BEGIN PRIVATE KEY-----\n");
    symlink("a", made.path().join("link")).unwrap();
    made.write("quote\"\t'\\.ini", b"[a]\nb=1\n");
    made.write("C x 1", b"1\n");
    fs::write(made.path().join(std::ffi::OsStr::from_bytes(b"\xff")), "1\n").unwrap();
    made.keep(2);
    made.write("blob", b"\0\x02");
    made.write("key.pem", b"-----BEGIN PRIVATE KEY-----\n2\n");
    made.write("b.json", b"{");
    made.write("secret", b"2");
    fs::remove_file(made.path().join("link")).unwrap();
    symlink("b.json", made.path().join("link")).unwrap();
    fs::set_permissions(made.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    made.keep(3);
    made.git(&["mv", "a", "moved"]);
    made.git(&["rm", "-q", "-r", "d", "empty"]);
    made.write("d", b"now a file\n");
    made.write("b.json", b"{\"a\":1}");
    let id = made.git(&["rev-parse", "HEAD"]);
    let module = format!("160000,{},module", id.trim());
    made.git(&["add", "-A", "."]);
    made.git(&["update-index", "--add", "--cacheinfo", &module]);
    made.commit_staged(4);
    let lines = replay(made.path(), &[]).unwrap();
    for (line, files) in lines.iter().zip([5, 6, 6, 7]) {
        assert_eq!(set(&line["files"], "").len(), files, "{line}");
        let named =
            [("changes", "part"), ("cosmetic", ""), ("moved", "part"), ("unobserved", "part")];
        let named: BTreeSet<String> =
            named.iter().flat_map(|(list, member)| set(&line[list], member)).collect();
        assert_eq!(named, set(&line["files"], ""), "{line}");
    }
    let unobserved = json!([
        {"part": "b.json", "reason": "malformed"},
        {"part": "key.pem", "reason": "withheld"},
        {"part": "secret", "reason": "withheld"},
    ]);
    assert_eq!(lines[2]["unobserved"], unobserved);
    let said = said(&lines[3]);
    for expected in [
        "removed a @mode \"0755\" -",
        "added moved @mode - \"0755\"",
        "added module @type - \"submodule\"",
        "removed empty @type \"file\" -",
        "removed d/e @type \"file\" -",
        "added b.json a - 1",
    ] {
        assert!(said.iter().any(|said| said == expected), "no {expected:?} in {said:?}");
    }
    let odd = set(&lines[1]["files"], "");
    assert!(odd.contains("quote\"\\x09'\\x5c.ini") && odd.contains("\\xff"), "{odd:?}");
}

#[test]
fn the_way_back_is_the_mirror_of_the_way_there() {
    let made = Made::new();
    let (one, other) = ("[a]\nx=1\ny=1\n", "[a]\nx=2\n[b]\nz=1\n");
    made.commit(1, &[("a.ini", one), ("s.json", "[1]")]);
    made.commit(2, &[("a.ini", other), ("s.json", "[2]")]);
    made.commit(3, &[("a.ini", one), ("s.json", "[1]")]);
    let lines = made.replay(&[]);
    let mirrored = |row: &Value| {
        let kind = match row["kind"].as_str().unwrap() {
            "added" => "removed",
            "removed" => "added",
            kind => kind,
        };
        json!([row["part"], row["key"], kind, row["after"], row["before"]])
    };
    let plain =
        |row: &Value| json!([row["part"], row["key"], row["kind"], row["before"], row["after"]]);
    let rows = |line: &Value| line["changes"].as_array().unwrap().clone();
    let back: Vec<Value> = rows(&lines[2]).iter().map(mirrored).collect();
    let there: Vec<Value> = rows(&lines[1]).iter().map(plain).collect();
    assert_eq!((back, there.len()), (there, 4));
}

#[test]
fn a_file_that_becomes_another_says_what_it_held_and_holds() {
    let made = Made::new();
    symlink("x.conf", made.path().join("b.conf")).unwrap();
    made.commit(1, &[("a.conf", "x\n")]);
    fs::remove_file(made.path().join("b.conf")).unwrap();
    made.commit(2, &[("a.conf", "[s]\nk=v\n"), ("b.conf", "now a file\n")]);
    let lines = made.replay(&[]);
    let expected = [
        "removed a.conf lines [\"x\"] -",
        "added a.conf s/k - \"v\"",
        "added b.conf lines - [\"now a file\"]",
        "modified b.conf @mode \"0777\" \"0644\"",
        "removed b.conf @target \"x.conf\" -",
        "modified b.conf @type \"link\" \"file\"",
    ];
    assert_eq!(said(&lines[1]), expected);
}

#[test]
fn a_person_may_say_what_format_files_are_in() {
    let made = Made::new();
    made.commit(1, &[("x.rules", "a = 1\nb = 2\n")]);
    made.commit(2, &[("x.rules", "b = 2\na = 1\n")]);
    let said_of = |arguments: &[&str]| said(&made.replay(arguments)[1]).len();
    assert_eq!(said_of(&[]), 1);
    assert_eq!(said_of(&["--format", "*.txt=json", "--format", "*.rules=ini"]), 0);
}

#[test]
fn secrets_of_a_history_are_not_printed() {
    let made = Made::new();
    let secret = "hunter2canary";
    let texts = [("a.ini", "[a]\npassword = "), ("b", "x https://u:"), ("c.json", "{\"token\":\"")];
    let ends = ["\n", "@h/\n", "\"}"];
    for number in [1, 2] {
        let files = texts.iter().zip(ends);
        let files: Vec<(&str, String)> = files
            .map(|((name, begin), end)| (*name, format!("{begin}{secret}{number}{end}")))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (*n, t.as_str())).collect();
        made.commit(number, &files);
    }
    let lines = made.replay(&[]);
    assert_eq!(said(&lines[1]).len(), 3);
    assert!(!json!(lines).to_string().contains(secret));
    assert_eq!(lines, made.replay(&[]));
}

#[test]
fn huge_files_are_known_by_their_digest() {
    let made = Made::new();
    for (at, byte) in [(1, b'a'), (2, b'b')] {
        made.write("huge.txt", &vec![byte; 5 * 1024 * 1024]);
        made.keep(at);
    }
    let lines = made.replay(&[]);
    assert_eq!(lines[1]["unobserved"], json!([{"part": "huge.txt", "reason": "too_large"}]));
    assert!(said(&lines[1])[0].starts_with("modified huge.txt"), "{:?}", said(&lines[1]));
}

#[test]
fn a_change_that_is_felt_elsewhere_says_where() {
    let made = Made::new();
    let phones = |codec: &str| {
        format!(
            "[base](!)\ntype=endpoint\ndtmf_mode={codec}\n[desk](!,base)\n[alice](desk)\n\
             [bob](desk)\n[carol](base)\ndtmf_mode=auto\n[dave]\ntype=endpoint\n"
        )
    };
    let script = |address: &str| {
        format!(
            "#!KAMAILIO\n#!define DBURL \"{address}\"\n#!define DBURLS \"x\"\n\
             modparam(\"usrloc\", \"db_url\", DBURL)\nmodparam(\"acc\", \"db_url\", DBURL)\n\
             request_route {{ xlog(\"DBURL\"); exit; }}\n"
        )
    };
    let vars = |domain: &str| {
        format!("<include><X-PRE-PROCESS cmd=\"set\" data=\"domain={domain}\"/></include>")
    };
    let profile = "<profile name=\"a\"><settings><param name=\"realm\" value=\"$${domain}\"/>\
                   <param name=\"presence\" value=\"x.$${domain}\"/></settings></profile>";
    made.commit(
        1,
        &[
            ("etc/asterisk/pjsip.conf", &phones("rfc4733")),
            ("etc/kamailio/kamailio.cfg", &script("text:///a")),
            ("etc/freeswitch/vars.xml", &vars("a.example")),
            ("etc/freeswitch/sip_profiles/a.xml", profile),
        ],
    );
    made.commit(2, &[("etc/asterisk/pjsip.conf", &phones("inband"))]);
    made.commit(3, &[("etc/kamailio/kamailio.cfg", &script("text:///b"))]);
    made.commit(4, &[("etc/freeswitch/vars.xml", &vars("b.example"))]);
    let lines = made.replay(&[]);
    let reach = |n: usize| {
        let changes = lines[n]["changes"].as_array().unwrap();
        assert_eq!(changes.len(), 1, "{changes:#?}");
        let first = changes[0]["reach"]["first"].as_array().unwrap().clone();
        let keys: Vec<String> =
            first.iter().map(|place| place["key"].as_str().unwrap().to_owned()).collect();
        (changes[0]["reach"]["places"].clone(), keys)
    };
    let keys = |keys: &[&str]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let phones = keys(&["alice/type=endpoint", "bob/type=endpoint"]);
    assert_eq!(reach(1), (json!(2), phones), "carol says it herself, dave takes from nobody");
    let script = keys(&["modparam/acc/db_url", "modparam/usrloc/db_url", "request_route"]);
    assert_eq!(reach(2), (json!(3), script));
    assert_eq!(reach(3).0, json!(2));
    let first = &lines[0]["changes"].as_array().unwrap()[0];
    assert!(first.get("reach").is_none(), "{first}");
}
