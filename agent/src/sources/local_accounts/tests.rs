//! Whom the tables know, held against every source that asks them.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;

use driftline_protocol::item::ItemValue;
use driftline_protocol::snapshot::Part;

use super::*;
use crate::sources::accounts::Accounts as AccountsSource;
use crate::sources::check::{Planted, machine_at};
use crate::sources::containers::Containers;
use crate::sources::desktop_uc_client::DesktopUcClient;
use crate::sources::{Source, transactions};

/// Who owns what tests plant.
fn own() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A table of accounts, and what is known by it.
struct Row {
    says: &'static str,
    /// `ALICE` and `BOB` are well-formed lines, `MANY` those of so many people that with alice the
    /// bound of the source is reached. Without a text nobody can read the table.
    passwd: Option<&'static str>,
    /// What becomes of what is alice's, and of what is bob's.
    expect: [&'static str; 2],
}

const fn row(says: &'static str, passwd: &'static str, expect: [&'static str; 2]) -> Row {
    Row { says, passwd: Some(passwd), expect }
}

const ROWS: &[Row] = &[
    row("both are listed", "ALICE\nBOB\n", ["told", "told"]),
    row("bob is not listed", "ALICE\n", ["told", "gone"]),
    row("a line of bob's is malformed", "ALICE\nbob:x:one:1::/home/bob:/bin/sh\n", TOLD_HIDDEN),
    row("bob's line lacks its end", "ALICE\nbob:x:1:1\n", TOLD_HIDDEN),
    row("two lines ran together", "ALICEBOB\n", ["unobserved", "unobserved"]),
    row("a malformed line names neither", "ALICE\nx:y\n", ["told", "gone"]),
    row("a name has a slash", "ALICE\nbob/snap:x:1:1::/home/bob:/bin/sh\n", TOLD_HIDDEN),
    row("alice is listed twice", "ALICE\nalice:x:OWN:1::/home/bob:/bin/sh\n", ["told", "gone"]),
    row("lines switch a directory in", "+\n-bob\n+@all::::::\n# bob\n\n ALICE\nBOB", TOLD_TOLD),
    row("a directory has bob", "ALICE\n+bob::::::\n", ["told", "gone"]),
    row("a text is in Latin 1", "LATIN\nBOB\n", TOLD_TOLD),
    row("most of it is no table", "ALICE\nGARBAGE\n", TOLD_HIDDEN),
    Row { says: "nobody can read it", passwd: None, expect: ["unobserved", "unobserved"] },
];

const TOLD_HIDDEN: [&str; 2] = ["told", "unobserved"];
const TOLD_TOLD: [&str; 2] = ["told", "told"];

/// Beyond the bound of a source.
const TOO_MANY: Row = row("there are too many", "MANY\nALICE\nBOB\n", TOLD_HIDDEN);

/// The bytes of a table, where the accounts have this number and `most` are looked into.
fn passwd(text: &str, number: u32, most: usize) -> Vec<u8> {
    let line = |name: &str| format!("{name}:x:{number}:1::/home/{name}:/bin/sh");
    let many = || (1..most).map(|n| line(&format!("p{n}"))).collect::<Vec<_>>().join("\n");
    let text = text.replace("ALICE", &line("alice")).replace("BOB", &line("bob"));
    let text = text.replace("OWN", &number.to_string());
    let text = if text.contains("MANY") { text.replace("MANY", &many()) } else { text };
    let text = text.replace("GARBAGE", &"garbage\n".repeat(MALFORMED_BYTES / 7 + 1));
    let latin = line("alice").replace("::", ":Zo\u{fffd}:");
    let text = text.replace("LATIN", &latin).into_bytes();
    match text.windows(3).position(|bytes| bytes == "\u{fffd}".as_bytes()) {
        Some(at) => [&text[..at], b"\xeb", &text[at + 3..]].concat(),
        None => text,
    }
}

/// A source that looks into homes.
struct User {
    source: fn() -> Box<dyn Source>,
    most: usize,
    /// Its file below a home, with `NAME` for whose it is, and the name of the part.
    files: &'static [(&'static str, &'static str)],
    part: &'static str,
    /// A part that is nobody's, and its file.
    hosts: (&'static str, &'static str, &'static str),
}

const CONTAINER: &str = r#"{"Name": "/turn", "Config": {"Image": "NAME:1"}, "Image": "sha256:11"}"#;

const USERS: [User; 3] = [
    User {
        source: || Box::new(Containers::new()),
        most: 1_024,
        files: &[
            (".local/share/docker/containers/abc/config.v2.json", CONTAINER),
            (
                ".local/share/docker/containers/abc/hostconfig.json",
                r#"{"RestartPolicy": {"Name": "always"}}"#,
            ),
        ],
        part: "docker/~NAME/turn",
        hosts: ("/var/lib/containers/storage/libpod/bolt_state.db", "bolt", "podman"),
    },
    User {
        source: || Box::new(DesktopUcClient::new()),
        most: 256,
        files: &[(".config/zoomus.conf", "[General]\nsso_domain=NAME\n")],
        part: "zoom/NAME",
        hosts: ("/etc/teams-for-linux/config.json", "{\"url\": \"x\"}", "teams_for_linux"),
    },
    User {
        source: || Box::new(AccountsSource::new()),
        most: 16 * 1_024,
        files: &[(
            ".ssh/authorized_keys",
            "ssh-ed25519 \
             AAAAC3NzaC1lZDI1NTE5AAAAIOCKozE+uV+tO/zBHoV+Vm4Y9zB+npfnZfXCPKMBTsgx NAME\n",
        )],
        part: "authorized_keys/NAME",
        hosts: ("/etc/group", "root:x:0:\n", "group"),
    },
];

fn write(path: &Path, text: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// What became of a part that was told before.
fn standing(planted: &Planted, source: &mut dyn Source, name: &str) -> &'static str {
    let name: PartName = name.parse().unwrap();
    let blind = planted.blind(source);
    let is_blind = blind.iter().any(|(place, _)| Path::new(name.as_str()).starts_with(place));
    match planted.parts(source).get(&name) {
        Some(Part::Observed(_)) => "told",
        Some(Part::Unobserved(_)) => "unobserved",
        None if is_blind || !source.covers(&name) => "unobserved",
        None => "gone",
    }
}

#[test]
fn of_whom_nothing_is_known_nothing_is_gone() {
    let number = if own() == 0 { 1_000 } else { own() };
    for user in USERS {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path.trim_start_matches('/'));
        for name in ["alice", "bob"] {
            for (file, text) in user.files {
                write(&at(&format!("/home/{name}/{file}")), text.replace("NAME", name));
            }
        }
        write(&at(user.hosts.0), user.hosts.1);
        let table = at(PASSWD);
        write(&table, passwd("ALICE\nBOB\n", number, user.most));
        let planted = Planted::of(root);
        let part = |name: &str| user.part.replace("NAME", name);
        let alices: PartName = part("alice").parse().unwrap();
        let whole = planted.parts(&mut *(user.source)());
        for row in [&TOO_MANY].into_iter().chain(ROWS) {
            std::fs::remove_dir(&table).or_else(|_| std::fs::remove_file(&table)).unwrap();
            match row.passwd {
                Some(text) => write(&table, passwd(text, number, user.most)),
                None => std::fs::create_dir(&table).unwrap(),
            }
            let mut source = (user.source)();
            let found = ["alice", "bob"].map(|name| standing(&planted, &mut *source, &part(name)));
            let of = format!("{}: {}", user.part, row.says);
            assert_eq!(found, row.expect, "{of}");
            let parts = planted.parts(&mut *source);
            if found[0] == "told" {
                assert_eq!(parts.get(&alices), whole.get(&alices), "{of}");
            }
            let hosts = user.hosts.2.parse().unwrap();
            assert_eq!(parts.get(&hosts), whole.get(&hosts), "the host's own, of {of}");
            assert!(source.covers(&hosts), "the host's own, of {of}");
        }
    }
}

/// The owner of a file is compared by name.
#[test]
fn an_owner_is_compared_where_the_table_tells_who_it_is() {
    for row in ROWS {
        let text = row.passwd.map(|text| passwd(text, own(), 1));
        // No test compares what is not UTF-8 there: it is alice's, and bob is asked for.
        let text = text.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let table = match &text {
            Some(text) => (PASSWD, 0o644, text.as_str()),
            None => ("/etc/passwd/folder", 0o644, ""),
        };
        let found = match transactions::tests::owner_told("bob", table) {
            Some(ItemValue::Integer(_)) => "told",
            Some(_) => "gone",
            None => "unobserved",
        };
        assert_eq!(found, row.expect[1], "{}", row.says);
    }
}

#[test]
fn people_have_the_numbers_that_login_defs_says() {
    for (text, expect) in [
        ("", 1_000..=60_000),
        ("UID_MIN\t\t 500\nUID_MAX 0x7fff # hexadecimal\n", 500..=60_000),
        ("UID_MAX 0x7fff\n  UID_MIN \"0750\"\n", 0o750..=0x7fff),
        ("#UID_MIN 1\nUID_MIN 2000\nUID_MIN 3000\nSYS_UID_MIN 9\n", 3_000..=60_000),
        ("UID_MIN many\nUID_MAX\n", 1_000..=60_000),
    ] {
        assert_eq!(people_of(text), expect, "{text}");
    }
    let line = |name: &str, number: u32| format!("{name}:x:{number}:1::/home/{name}:\n");
    let table = line("ann", 1_999) + &line("ben", 2_000) + &line("cid", 60_001);
    let told = |defs: &[(&str, u32, &str)]| {
        let tables = [&[(PASSWD, 0o644, table.as_str())], defs].concat();
        let homes = Homes::of_people(&Planted::new(&tables).machine, 10);
        assert_eq!(homes.unknown(), None);
        let names: Vec<_> = homes.known.iter().map(|home| home.name.clone()).collect();
        // What was told of who counts as nobody any more is no longer looked at, and not gone.
        let left: Vec<_> = ["ann", "ben", "cid", "dan"].map(|name| homes.covers(name)).into();
        (names.join(" "), left)
    };
    assert_eq!(told(&[]), ("ann ben".into(), vec![true, true, false, true]));
    let [site, distribution] = LOGIN_DEFS;
    let (two, three) = ("UID_MIN 2000\n", "UID_MIN 3000\n");
    let site = (site, 0o644, two);
    let distribution = (distribution, 0o644, three);
    assert_eq!(told(&[distribution]), (String::new(), vec![false, false, false, true]));
    assert_eq!(told(&[site, distribution]), ("ben".into(), vec![false, true, false, true]));
    let folder = ("/etc/login.defs/x", 0o644, "");
    let hidden = Planted::new(&[(PASSWD, 0o644, table.as_str()), folder]);
    let homes = Homes::of_people(&hidden.machine, 10);
    assert!(homes.known.is_empty() && homes.unknown().is_some() && !homes.covers("ben"));
}

/// A folder on the way: its path, whose it is, its mode.
type Folder = (&'static str, u32, u32);

/// A link on the way, and where it leads.
type Link = (&'static str, &'static str);

/// The home at the end of a way, and whether it is looked into.
type Way = (&'static [Folder], &'static [Link], &'static str, bool);

const SERVICE: u32 = 4_242;
const OTHER: u32 = 4_243;

/// Where the home of the account `SERVICE` is root's, but for the last two.
const WAYS: &[Way] = &[
    // As it is on most hosts.
    (&[], &[], "/root", true),
    (&[("/usr/bin", 0, 0o755)], &[("/bin", "usr/bin")], "/bin", true),
    (&[("/srv/homes/web", 0, 0o755)], &[("/home", "/srv/homes")], "/home/web", true),
    (&[], &[("/srv/web", "../root")], "/srv/web", true),
    (&[], &[("/srv/web", "/opt/web"), ("/opt/web", "/root")], "/srv/web", true),
    // Without a link it is what it is, wherever it lies.
    (&[("/srv/x", OTHER, 0o755), ("/srv/x/web", 0, 0o755)], &[], "/srv/x/web", true),
    // The link may be of another, of all, or of the account itself.
    (&[("/srv/x", OTHER, 0o755)], &[("/srv/x/web", "/root")], "/srv/x/web", false),
    (&[("/srv/x", SERVICE, 0o755)], &[("/srv/x/web", "/root")], "/srv/x/web", false),
    (&[("/srv/x", 0, 0o775)], &[("/srv/x/web", "/root")], "/srv/x/web", false),
    (&[("/srv/x", 0, 0o1777)], &[("/srv/x/web", "/root")], "/srv/x/web", false),
    // So may the folder it stands in, or a link on the way of root's own.
    (
        &[("/srv/x", OTHER, 0o755), ("/srv/x/y", 0, 0o755)],
        &[("/srv/x/y/web", "/root")],
        "/srv/x/y/web",
        false,
    ),
    (
        &[("/srv/x", OTHER, 0o755)],
        &[("/srv/web", "x/web"), ("/srv/x/web", "/root")],
        "/srv/web",
        false,
    ),
    // What is the account's own is told of it, whoever leads there.
    (
        &[("/srv/x", OTHER, 0o755), ("/srv/y", SERVICE, 0o700)],
        &[("/srv/x/web", "/srv/y")],
        "/srv/x/web",
        true,
    ),
    (&[("/srv/y", OTHER, 0o755)], &[("/srv/web", "/srv/y")], "/srv/web", false),
];

/// Whoever is not root can give nothing away, and plants nothing of root's.
#[test]
fn nobody_but_root_leads_to_what_is_roots() {
    if own() != 0 {
        return;
    }
    for (folders, links, home, expect) in WAYS {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path.trim_start_matches('/'));
        ["/root", "/srv", "/opt"]
            .iter()
            .for_each(|folder| std::fs::create_dir(at(folder)).unwrap());
        for (path, owner, mode) in *folders {
            std::fs::create_dir_all(at(path)).unwrap();
            std::fs::set_permissions(at(path), PermissionsExt::from_mode(*mode)).unwrap();
            chown(at(path), Some(*owner), None).unwrap();
        }
        links.iter().for_each(|(link, target)| symlink(target, at(link)).unwrap());
        let (name, path) = ("web".to_owned(), PathBuf::from(home));
        let web = Home { name, path, owner: SERVICE, in_anothers: false };
        let machine = machine_at(root.path());
        let fenced = web.fence(&machine).map(|machine| machine.is_some());
        let expected = if *expect { Ok(true) } else { Err(Reason::Unsupported) };
        assert_eq!(fenced, expected, "{home} with {folders:?} and {links:?}");
        // In the home of another account none is root's, whoever may write there today.
        let anothers = Home { in_anothers: true, ..web };
        let fenced = anothers.fence(&machine).is_ok();
        assert_eq!(fenced, *expect && (links.is_empty() || *home == "/srv/x/web"), "{home}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_accounts_of_which_each_is_told_once(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        text in "((a|b|\\+|é|\\\\)?(:(x|1|/h|/)?){0,8}\n){0,6}",
    ) {
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let accounts = Accounts::of(bytes);
            for who in [Who::Everybody, Who::OncePerHome, Who::People(1..=2)] {
                let homes = accounts.homes(&who, 1);
                let names: BTreeSet<_> = homes.known.iter().map(|home| &home.name).collect();
                proptest::prop_assert_eq!(names.len(), homes.known.len());
                let part = |home: &Home| PartName::from_bytes(home.name.as_bytes());
                let covers = |home: &Home| homes.covers(part(home).as_str());
                proptest::prop_assert!(homes.known.iter().all(covers));
            }
        }
    }
}
