//! What the account files say, and the row of the shared check.

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::redact::RawItem;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};

const KEY: &str = "ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIOCKozE+uV+tO/zBHoV+Vm4Y9zB+npfnZfXCPKMBTsgx";

const KEYS: &str = "\
# the laptop
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOCKozE+uV+tO/zBHoV+Vm4Y9zB+npfnZfXCPKMBTsgx alice@laptop
environment=\"API_TOKEN=canary-77ad\" ssh-ed25519 \
AAAAC3NzaC1lZDI1NTE5AAAAIOCKozE+uV+tO/zBHoV+Vm4Y9zB+npfnZfXCPKMBTsgx again
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Accounts::new()),
        recast: || Box::new(Accounts { version: VERSION + 1, ..Accounts::new() }),
        tree: vec![
            (
                PASSWD,
                0o644,
                "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000:Alice,,,:/home/alice:/bin/sh\n",
            ),
            ("/etc/group", 0o644, "root:x:0:\nsudo:x:27:alice\n"),
            (
                "/etc/shadow",
                0o640,
                "root:!:19000:0:99999:7:::\nalice:$6$canary-77ad$abc:19001:0:99999:7:::\n",
            ),
            ("/etc/gshadow", 0o640, "root:*::\nsudo:!::alice\n"),
            (
                SUDOERS,
                0o440,
                "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n",
            ),
            ("/etc/sudoers.d/ops", 0o440, "%ops ALL=(root) NOPASSWD: /usr/bin/passwd\n"),
            ("/etc/sudoers.d/ops.dpkg-old", 0o440, "this is not read\n"),
            ("/home/alice/.ssh/authorized_keys", 0o600, KEYS),
        ],
        malformed: Some(Broken { path: "/etc/group", content: "root:x\n", part: "group" }),
        denied: Denied { path: "/home/alice", part: "authorized_keys/alice" },
        edit: ("/etc/sudoers.d/new", "alice ALL=ALL\n"),
        canary: Some("canary-77ad"),
    }
}

#[track_caller]
fn check(reader: Reader, text: &str, expect: &[(&str, ItemValue)]) {
    let items = reader(text.as_bytes()).unwrap();
    let found: Vec<_> =
        items.iter().map(|(key, item)| (key.as_str(), item.value.clone())).collect();
    assert_eq!(found, expect);
}

fn text(text: &str) -> ItemValue {
    ItemValue::text(text)
}

fn set(values: &[&str]) -> ItemValue {
    ItemValue::Set(values.iter().map(|value| text(value)).collect())
}

#[test]
fn an_account_is_its_fields() {
    check(
        tables::passwd,
        "a:x:1000:100:A:/home/a:/bin/sh\na::0:0::/:\n+@net::::::\n",
        &[
            ("+@net/compat", ItemValue::Nothing),
            ("a #2/gecos", text("")),
            ("a #2/gid", ItemValue::Integer(0)),
            ("a #2/home", text("/")),
            ("a #2/shell", text("")),
            ("a #2/state", text("no password")),
            ("a #2/uid", ItemValue::Integer(0)),
            ("a/gecos", text("A")),
            ("a/gid", ItemValue::Integer(100)),
            ("a/home", text("/home/a")),
            ("a/shell", text("/bin/sh")),
            ("a/uid", ItemValue::Integer(1000)),
        ],
    );
    check(
        tables::group,
        "g:x:7:b,a\n",
        &[("g/gid", ItemValue::Integer(7)), ("g/members", set(&["a", "b"]))],
    );
    check(
        tables::gshadow,
        "g:!:a:b\n",
        &[
            ("g/administrators", set(&["a"])),
            ("g/members", set(&["b"])),
            ("g/state", text("locked")),
        ],
    );
}

#[test]
fn a_password_is_its_state_and_its_hash_a_secret() {
    for (field, state, algorithm) in [
        ("", "no password", None),
        ("*", "locked", None),
        ("!", "locked", None),
        ("!!", "locked", None),
        ("!*", "locked", None),
        ("*NP*", "locked", None),
        ("$6$salt$hash", "has a password", Some("sha512crypt")),
        ("!$y$j9T$salt$hash", "locked, has a password", Some("yescrypt")),
        ("$2y$10$hash", "has a password", Some("bcrypt")),
        ("abJnggxhB/yWI", "has a password", Some("descrypt")),
        ("$new$hash", "has a password", Some("unknown")),
    ] {
        let mut expect = vec![("u/state", text(state))];
        expect.extend(algorithm.map(|name| ("u/algorithm", text(name))));
        expect.extend(algorithm.map(|_| ("u/hash", text(field.trim_start_matches('!')))));
        expect.sort();
        check(tables::shadow, &format!("u:{field}:::::::\n"), &expect);
    }
    check(
        tables::shadow,
        "u:*:19000:0:99999:7:30:20000:\n",
        &[
            ("u/changed", ItemValue::Integer(19_000)),
            ("u/expires", ItemValue::Integer(20_000)),
            ("u/inactive", ItemValue::Integer(30)),
            ("u/maximum", ItemValue::Integer(99_999)),
            ("u/minimum", ItemValue::Integer(0)),
            ("u/state", text("locked")),
            ("u/warning", ItemValue::Integer(7)),
        ],
    );
}

#[test]
fn a_replaced_hash_is_told_and_locking_it_replaces_nothing() {
    let fingerprint = |field: &str| {
        let mut items = tables::shadow(format!("u:{field}:1::::::\n").as_bytes()).unwrap();
        let item = items.remove(&ItemKey::of(["u", "hash"])).unwrap();
        assert!(item.sensitive, "the hash of {field} is no secret");
        item.value
    };
    assert_eq!(fingerprint("$6$a$b"), fingerprint("!$6$a$b"));
    assert_ne!(fingerprint("$6$a$b"), fingerprint("$6$a$c"));
}

#[test]
fn a_key_is_named_as_ssh_keygen_names_it() {
    let name = "SHA256:~1Dh8KmTZklu9e5urPSfNV~1ZNeAFDeLPJ1CLZGkaL9eE";
    let line = format!(
        "no-pty,from=\"b,a\",COMMAND=\"/bin/x \\\"a b\\\", c\" {KEY} alice at home\n{KEY}\n"
    );
    let expect = [
        (" #2/comment", text("")),
        (" #2/type", text("ssh-ed25519")),
        ("/comment", text("alice at home")),
        ("/option/command", text("/bin/x \"a b\", c")),
        ("/option/from", set(&["a", "b"])),
        ("/option/no-pty", ItemValue::Nothing),
        ("/type", text("ssh-ed25519")),
    ];
    let expect: Vec<_> = expect.map(|(key, value)| (format!("{name}{key}"), value)).to_vec();
    let expect: Vec<_> = expect.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    check(key_items, &line, &expect);
}

/// The keys of a file that is the usual one.
fn key_items(bytes: &[u8]) -> Result<RawItems, Malformed> {
    let mut items = Builder::default();
    keys::authorized_keys("authorized_keys", bytes, &mut items).expect("it is within bounds");
    Ok(items.finish())
}

#[test]
fn a_line_that_sshd_passes_over_hides_no_key() {
    let name = "SHA256:~1Dh8KmTZklu9e5urPSfNV~1ZNeAFDeLPJ1CLZGkaL9eE";
    let told = [("/comment", text("a")), ("/type", text("ssh-ed25519"))];
    let told = told.map(|(key, value)| (format!("{name}{key}"), value));
    for line in [
        "zzz",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOCKozE+uV+tO/zBHoV+Vm4Y9zB+npfnZfXCPKMBTsgx x",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        &format!("from=\"x {KEY}"),
        &format!("from=\"x\\\\\" {KEY}"),
        &format!("from=\"x\"y {KEY}"),
    ] {
        let mut expect: Vec<_> = told.iter().map(|(key, value)| (&**key, value.clone())).collect();
        expect.push(("unusable lines", set(&[line])));
        check(key_items, &format!("{KEY} a\n{line}\n{line}\n"), &expect);
        check(key_items, &format!("{line}\n{KEY} a\n"), &expect);
        let items = key_items(line.as_bytes()).unwrap();
        assert!(items.values().all(|item| item.sensitive), "{line} is told as it stands");
    }
    let latin = key_items(&[KEY.as_bytes(), b" caf\xe9\n"].concat()).unwrap();
    let comment = latin.get(&ItemKey::of([&name.replace("~1", "/"), "comment"])).unwrap();
    assert_eq!(comment.value, text("caf\\xe9"), "a comment need not be UTF-8");
}

/// A key of type `a`, as short as any and each another one.
fn short_keys(count: u32) -> String {
    use base64::Engine;
    let blob = |number: u32| [&[0, 0, 0, 1, b'a'], &number.to_be_bytes()[..]].concat();
    let encoded = |number| base64::engine::general_purpose::STANDARD.encode(blob(number));
    (0..count).map(|number| format!("a {}\n", encoded(number))).collect()
}

#[test]
fn keys_beyond_the_bound_of_a_part_are_not_collected() {
    let numbers = |count: u32| (0..count).map(|n| format!("{n},")).collect::<String>();
    let wrong = |count: u32| (0..count).map(|n| format!("{n}\n")).collect::<String>();
    let many = u32::try_from(limits::ITEMS_PER_PART).unwrap();
    for (what, text, fits) in [
        ("keys", short_keys(many / 2), false),
        ("keys", short_keys(many / 3), true),
        ("the same key", "a AAAAAWE\n".repeat(limits::ITEMS_PER_PART / 2), false),
        ("options", format!("{} {KEY}", numbers(many)), false),
        ("options", format!("{} {KEY}", numbers(many / 2)), true),
        ("values of an option", format!("from=\"{}\" {KEY}", numbers(many)), false),
        ("values of an option", format!("from=\"{}\" {KEY}", numbers(many / 2)), true),
        ("lines that are no key", wrong(many + 1), false),
        ("lines that are no key", wrong(many), true),
    ] {
        let mut items = Builder::default();
        let read = keys::authorized_keys("authorized_keys", text.as_bytes(), &mut items);
        assert_eq!(read.is_ok(), fits, "{what} in {} bytes: {read:?}", text.len());
    }
}

#[test]
fn a_file_of_a_home_beyond_its_bound_is_unobserved() {
    let large = "#".repeat(usize::try_from(HOME_FILE_BYTES).unwrap());
    for (more, reason) in [("", None), ("\n", Some(Reason::TooLarge))] {
        let text = format!("{large}{more}");
        let planted = Planted::new(&[
            (PASSWD, 0o644, "alice:x:1000:1000::/home/alice:/bin/sh\n"),
            ("/home/alice/.ssh/authorized_keys", 0o600, &text),
        ]);
        let parts = planted.parts(&mut Accounts::new());
        let part = parts.get(&part_name("authorized_keys/alice")).unwrap();
        assert_eq!(part.unobserved_reason(), reason, "{} bytes", text.len());
    }
}

/// chfn(1) lets people write their room and their phones, also bytes that are no UTF-8.
#[test]
fn a_line_that_is_no_text_is_told_and_hides_nobody() {
    let bytes = b"bob:x:7:7:caf\xe9 \\:/:/bin/sh\nann:x:8:8:\\:/:/bin/sh\neve:x:0:0::/:/bin/sh\n";
    let items = tables::passwd(bytes).unwrap();
    let value = |name, field| items.get(&ItemKey::of([name, field])).map(|item| item.value.clone());
    assert_eq!(value("bob", "gecos"), Some(text(r"caf\xe9 \\")));
    assert_eq!(value("ann", "gecos"), Some(text(r"\")));
    assert_eq!(value("eve", "uid"), Some(ItemValue::Integer(0)));
}

#[test]
fn what_no_library_would_read_is_malformed() {
    for (reader, text) in [
        (tables::passwd as Reader, "a:x:1000\n"),
        (tables::passwd, "a:x:one:1::/:\n"),
        (tables::passwd, ":x:1:1::/:\n"),
        (tables::group, "g:x:1:a:b\n"),
        (tables::shadow, "u:*:soon::::::\n"),
    ] {
        assert_eq!(reader(text.as_bytes()).map_err(|malformed| malformed.line), Err(1), "{text}");
    }
}

const UNSUPPORTED: Reason = Reason::Unsupported;

#[test]
fn no_link_out_of_a_home_is_told_as_keys_of_its_owner() {
    let own = rustix::process::geteuid().as_raw();
    let number = if own == 0 { 1_000 } else { own };
    let table = format!("alice:x:{number}:1::/home/alice:/bin/sh\n");
    let (keys, folder) = ("/home/alice/.ssh/authorized_keys", "/home/alice/.ssh");
    for (links, expect) in [
        (&[(keys, "-> /root/.ssh/authorized_keys")][..], Err(UNSUPPORTED)),
        (&[(keys, "-> ../../../root/.ssh/authorized_keys")], Err(UNSUPPORTED)),
        (&[(folder, "-> /root/.ssh")], Err(UNSUPPORTED)),
        (&[(folder, "-> kept")], Ok(())),
        (&[("/home", "-> /srv/homes"), ("/srv/homes/alice/.ssh/authorized_keys", KEYS)], Ok(())),
        (&[("/home/alice", "-> ../srv/alice"), ("/srv/alice/.ssh", "-> ../y")], Err(UNSUPPORTED)),
        (&[("/home/alice", "-> ../srv/alice"), ("/srv/alice/.ssh/authorized_keys", KEYS)], Ok(())),
    ] {
        let mut files = vec![(PASSWD, 0o644, table.as_str())];
        files.push(("/root/.ssh/authorized_keys", 0o600, "ssh-rsa AAAA only.root\n"));
        if links.iter().all(|(path, _)| !matches!(*path, "/home" | "/home/alice")) {
            files.push(("/home/alice/kept/authorized_keys", 0o600, KEYS));
        }
        files.extend(links.iter().map(|(path, text)| (*path, 0o600, *text)));
        let parts = Planted::new(&files).parts(&mut Accounts::new());
        let name = PartName::from_bytes(b"authorized_keys/alice");
        let part = parts.get(&name).unwrap_or_else(|| panic!("{links:?}: {parts:?}"));
        let told = part.unobserved_reason().map_or(Ok(()), Err);
        assert_eq!(told, expect, "{links:?}: {part:?}");
    }
}
proptest::proptest! {
    #[test]
    fn any_bytes_give_items_or_malformed(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        text in "((a|b|\\+)?(:(x|\\*|!|1|/h|a,b)?){0,8}\n){0,5}",
        key in "(from=|\"|,|a| |ssh-ed25519 AAAAC3NzaC1lZDI1NTE5){0,8}",
    ) {
        for reader in [tables::passwd, tables::group, tables::shadow, tables::gshadow, key_items] {
            for bytes in [bytes.as_slice(), text.as_bytes(), key.as_bytes()] {
                if let Err(malformed) = reader(bytes) {
                    proptest::prop_assert!(malformed.line > 0);
                }
            }
        }
    }
}

/// What the C library makes of the same files: every field of every account and group.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask getent itself")]
fn accounts_of_this_machine_are_those_that_getent_lists() {
    let getent = |database: &str| {
        let said = std::process::Command::new("getent").args(["-s", "files", database]).output();
        said.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let number = |field: &str| ItemValue::Integer(field.parse().unwrap());
    let names = |field: &str| {
        ItemValue::Set(field.split(',').filter(|name| !name.is_empty()).map(text).collect())
    };
    let (Some(users), Some(groups)) = (getent("passwd"), getent("group")) else { return };
    let mut theirs: RawItems = RawItems::new();
    let mut add = |name: &str, field: &str, value: ItemValue| {
        // A second line of a name is ours as `NAME #2`; getent prints both under one name.
        theirs.entry(ItemKey::of([name, field])).or_insert_with(|| RawItem::plain(value));
    };
    for line in users.lines() {
        let [name, _, uid, gid, gecos, home, shell] = *line.split(':').collect::<Vec<_>>() else {
            panic!("getent prints {line}")
        };
        add(name, "uid", number(uid));
        add(name, "gid", number(gid));
        for (field, value) in [("gecos", gecos), ("home", home), ("shell", shell)] {
            add(name, field, text(value));
        }
    }
    for line in groups.lines() {
        let [name, _, gid, members] = *line.split(':').collect::<Vec<_>>() else {
            panic!("getent prints {line}")
        };
        add(&format!("group {name}"), "gid", number(gid));
        add(&format!("group {name}"), "members", names(members));
    }
    let mut ours = RawItems::new();
    for (file, read, prefix) in
        [(PASSWD, tables::passwd as Reader, ""), ("/etc/group", tables::group as Reader, "group ")]
    {
        for (key, item) in read(&std::fs::read(file).unwrap()).unwrap() {
            let text = format!("{prefix}{}", key.as_str());
            let (name, field) = text.rsplit_once('/').unwrap();
            // Where the password stands is told by us alone, and second lines by us apart.
            if !["state", "algorithm", "hash", "compat"].contains(&field) && !name.contains(" #") {
                ours.insert(ItemKey::of([name, field]), item);
            }
        }
    }
    let shown = |items: &RawItems| -> Vec<String> {
        items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect()
    };
    assert!(!theirs.is_empty());
    assert_eq!(shown(&ours), shown(&theirs));
}
