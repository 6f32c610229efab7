//! Whether we and sshd read the same policy from the same files, and the row of the shared check.

use std::collections::BTreeMap;

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::{RawItems, Redactor};

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const MAIN: &str = "\
Include sshd_config.d/*.conf
PermitRootLogin yes
Port 22
X11Forwarding yes
SetEnv API_TOKEN=canary-6b1d
Match User alice
  PasswordAuthentication no
";

const DROPPED_IN: &str = "\
PermitRootLogin without-password
LoginGraceTime 1m
AllowUsers alice bob
Match Group ops
  AllowTcpForwarding local
";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(LoginPolicy::new()),
        recast: || Box::new(LoginPolicy { version: VERSION + 1, ..LoginPolicy::new() }),
        tree: vec![
            ("/etc/ssh/sshd_config", 0o644, MAIN),
            ("/etc/ssh/sshd_config.d/10-site.conf", 0o600, DROPPED_IN),
            ("/etc/ssh/sshd_config.d/.hidden.conf", 0o600, "PermitRootLogin no\n"),
            (
                "/etc/pam.d/sshd",
                0o644,
                "@include common-auth\nauth required a.so passwd=canary-6b1d\n",
            ),
            ("/etc/pam.d/common-auth", 0o644, "auth sufficient b.so\nsession include own\n"),
            ("/etc/pam.d/own", 0o644, "session required c.so\nauth required never.so\n"),
            ("/etc/login.defs", 0o644, "PASS_MAX_DAYS 90\n"),
            ("/etc/security/pwquality.conf", 0o644, "minlen = 12\nenforce_for_root\n"),
            ("/etc/security/faillock.conf", 0o644, "deny = 3\n"),
            ("/etc/polkit-1/rules.d/10-a.rules", 0o644, "polkit.addRule();\n"),
        ],
        malformed: Some(Broken { path: FILE, content: "PermitRootLogin\n", part: "sshd" }),
        denied: Denied { path: "/etc/ssh/sshd_config.d", part: "sshd" },
        edit: ("/etc/ssh/sshd_config.d/20-new.conf", "UseDNS yes\n"),
        canary: Some("canary-6b1d"),
    }
}

/// The items of the policy of these files.
fn policy(files: &[(&str, &str)]) -> RawItems {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let mut walk = Walk { look: Look::new(&machine), policy: Policy::default(), files: 0 };
    assert!(matches!(walk.file(Path::new(FILE), 0), Ok(Found::File)));
    walk.policy.items()
}

#[track_caller]
fn check(files: &[(&str, &str)], expect: &[&str]) {
    let shown: Vec<String> = policy(files)
        .iter()
        .map(|(key, item)| match (item.rank, &item.value) {
            (Some(rank), _) => format!("{key} [{rank}]"),
            (None, value) => format!("{key} = {}", shown(value)),
        })
        .collect();
    assert_eq!(shown, expect);
}

/// A value as `sshd -T` would print it, lists and sets each on their own.
fn shown(value: &ItemValue) -> String {
    match value {
        ItemValue::Flag(true) => "yes".into(),
        ItemValue::Flag(false) => "no".into(),
        ItemValue::Integer(number) => number.to_string(),
        ItemValue::Text(text) => text.clone(),
        ItemValue::List(values) => values.iter().map(shown).collect::<Vec<_>>().join(","),
        ItemValue::Set(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        ItemValue::Nothing | ItemValue::Fingerprint(_) | ItemValue::Lines(_) => {
            panic!("no setting is {value:?}")
        }
    }
}

#[test]
fn an_include_stands_where_it_is_written() {
    check(
        &[("/etc/ssh/sshd_config", MAIN), ("/etc/ssh/sshd_config.d/10-site.conf", DROPPED_IN)],
        &[
            "global/allowusers = alice bob",
            "global/logingracetime = 60",
            "global/permitrootlogin = prohibit-password",
            "global/port = 22",
            "global/setenv/API_TOKEN = canary-6b1d",
            "global/x11forwarding = yes",
            "match group ops [0]",
            "match group ops/allowtcpforwarding = local",
            "match user alice [1]",
            "match user alice/passwordauthentication = no",
        ],
    );
}

#[test]
fn a_match_inside_an_include_inside_a_match_needs_both() {
    check(
        &[
            ("/etc/ssh/sshd_config", "Match Group ops\nInclude inner\nBanner none\n"),
            ("/etc/ssh/inner", "X11Forwarding no\nMatch User eve\nBanner /etc/eve\n"),
        ],
        &[
            "match group ops [0]",
            "match group ops #2 [2]",
            "match group ops #2/banner = none",
            "match group ops user eve [1]",
            "match group ops user eve/banner = /etc/eve",
            "match group ops/x11forwarding = no",
        ],
    );
}

#[test]
fn a_file_that_includes_itself_is_too_large_and_not_endless() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("etc/ssh")).unwrap();
    std::fs::write(root.path().join("etc/ssh/sshd_config"), "Include sshd_config sshd_config\n")
        .unwrap();
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let mut walk = Walk { look: Look::new(&machine), policy: Policy::default(), files: 0 };
    let trouble = walk.file(Path::new(FILE), 0);
    assert!(matches!(trouble, Err(Trouble::Unread(Reason::TooLarge))));
}

/// Each configuration here is one that `sshd -T` accepts; every keyword it sets must read alike.
const ACCEPTED: &[&str] = &[
    "PermitRootLogin without-password\nPermitRootLogin yes\nPasswordAuthentication no\n",
    "LoginGraceTime 1h30m\nClientAliveInterval 5m\nClientAliveCountMax 7\nMaxAuthTries 3\n",
    "port 2201\nPort=2202\nAllowUsers alice bob\nAllowUsers carol\nAcceptEnv LANG \"LC_*\"\n",
    "loglevel verbose\nSyslogFacility local3\nBanner \"/etc/issue net\" # why not\n",
    "ChallengeResponseAuthentication no\nKeepAlive no\nGatewayPorts ClientSpecified\n",
    "AuthorizedKeysFile .ssh/a .ssh/b\nSubsystem sftp internal-sftp -f AUTH\nSetEnv A=1 B=2\n\
     SetEnv C=3\n",
    "Ciphers aes256-ctr,aes128-ctr\nMACs hmac-sha2-256\n\
     AuthenticationMethods publickey,password keyboard-interactive\n",
    "ForceCommand /bin/sh -c \"a b\" x\nPermitOpen host:22 other:*\nMaxStartups 5:50:20\n",
    "X11Forwarding yes\nMatch User alice\nX11Forwarding no\nMatch all\nPermitTTY no\n",
];

/// The sshd of this machine, with a host key to start from.
struct Sshd {
    folder: tempfile::TempDir,
}

#[allow(clippy::disallowed_types, reason = "a test may ask sshd itself")]
impl Sshd {
    /// `None` where there is none, or it may not run.
    fn find() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let generated = std::process::Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(folder.path().join("key"))
            .status();
        // The privilege separation folder is made at boot by the unit; as root we may stand in.
        let ready = std::fs::create_dir_all("/run/sshd").is_ok();
        let generated = generated.is_ok_and(|status| status.success());
        (Path::new("/usr/sbin/sshd").exists() && ready && generated).then_some(Self { folder })
    }

    /// What `sshd -T` prints of a text, for a connection where `-C` describes one.
    fn prints(&self, text: &str, connection: Option<&str>) -> String {
        let file = self.folder.path().join("sshd_config");
        std::fs::write(&file, text).unwrap();
        let output = std::process::Command::new("/usr/sbin/sshd")
            .args(["-T", "-f"])
            .arg(&file)
            .arg("-h")
            .arg(self.folder.path().join("key"))
            .args(connection.into_iter().flat_map(|connection| ["-C", connection]))
            .output()
            .unwrap();
        assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn sshd_reads_every_keyword_as_we_do() {
    let Some(sshd) = Sshd::find() else { return };
    for text in ACCEPTED {
        agrees(text, &sshd.prints(text, None));
    }
}

/// Texts with blocks, each tried for every one of [`CONNECTIONS`].
const BLOCKS: &[&str] = &[
    "X11Forwarding yes\nMatch User alice\nX11Forwarding no\nPermitTTY no\n",
    "Banner /etc/a\nMatch User alice,bob\nBanner /etc/b\nMatch User alice\nBanner /etc/c\n",
    "Match Address 192.0.2.0/24 User bob\nMaxSessions 3\n\
     Match Address 192.0.2.0/24\nMaxSessions 4\n",
    "Match User !alice,*\nPasswordAuthentication no\nMatch all\nPasswordAuthentication yes\n",
    "Match Host *.example\nAllowTcpForwarding local\nMatch all\nAllowTcpForwarding remote\n",
    "Match User=alice\nMaxSessions 2\nMaxSessions 9\nMatch user carol\nMaxSessions 5\n",
];

/// User, host and address.
const CONNECTIONS: &[[&str; 3]] = &[
    ["alice", "sbc1.example", "192.0.2.7"],
    ["bob", "sbc1.example", "192.0.2.7"],
    ["carol", "pbx.test", "198.51.100.4"],
];

#[test]
fn sshd_chooses_the_block_that_we_rank_first() {
    let Some(sshd) = Sshd::find() else { return };
    for text in BLOCKS {
        for connection @ [user, host, address] in CONNECTIONS {
            let asked = format!("user={user},host={host},addr={address}");
            let printed = sshd.prints(text, Some(&asked));
            for (keyword, value) in effective(text, connection) {
                let line = format!("{keyword} {value}");
                assert!(printed.lines().any(|theirs| theirs == line), "{line}, {asked} of {text}");
            }
        }
    }
}

/// What our items give a connection: the first block in rank order that holds decides, then the
/// global settings.
fn effective(text: &str, connection: &[&str; 3]) -> BTreeMap<String, String> {
    let items = policy(&[(FILE, text)]);
    let mut blocks: Vec<(u32, String)> = items
        .iter()
        .filter_map(|(key, item)| Some((item.rank?, key.segments().next()?)))
        .filter(|(_, block)| holds(block, connection))
        .collect();
    blocks.sort();
    let mut settings = BTreeMap::new();
    for block in blocks.into_iter().map(|(_, block)| block).chain(["global".into()]) {
        for (key, item) in &items {
            let segments: Vec<String> = key.segments().collect();
            if let [of, keyword] = segments.as_slice()
                && *of == block
            {
                settings.entry(keyword.clone()).or_insert_with(|| shown(&item.value));
            }
        }
    }
    settings
}

/// Whether the criteria in a block's name hold; as much of ssh_config(5)'s PATTERNS as [`BLOCKS`]
/// need.
fn holds(block: &str, [user, host, address]: &[&str; 3]) -> bool {
    let criteria = block.split(" #").next().unwrap_or_default().trim_start_matches("match ");
    let words: Vec<&str> = criteria.split(' ').collect();
    words.chunks(2).all(|criterion| match criterion {
        ["user", patterns] => matches(patterns, user),
        ["host", patterns] => matches(patterns, host),
        ["address", "192.0.2.0/24"] => address.starts_with("192.0.2."),
        ["all"] => true,
        other => panic!("a criterion that this test does not know: {other:?}"),
    })
}

fn matches(patterns: &str, name: &str) -> bool {
    let one = |pattern: &str| match pattern.strip_prefix('*') {
        Some(end) => name.ends_with(end),
        None => name == pattern,
    };
    let (not, these): (Vec<&str>, Vec<&str>) =
        patterns.split(',').partition(|pattern| pattern.starts_with('!'));
    !not.iter().any(|pattern| one(pattern.trim_start_matches('!'))) && these.into_iter().any(one)
}

/// Compares what we say of the global settings with what `sshd -T` printed.
fn agrees(text: &str, printed: &str) {
    let mut theirs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in printed.lines() {
        let (keyword, value) = line.split_once(' ').unwrap_or((line, ""));
        theirs.entry(keyword).or_default().push(value);
    }
    let items = policy(&[(FILE, text)]);
    assert!(!items.is_empty());
    for (key, item) in &items {
        let segments: Vec<String> = key.segments().collect();
        let [scope, keyword, names @ ..] = segments.as_slice() else { continue };
        if scope != "global" {
            continue;
        }
        let keyword = keyword.as_str();
        let theirs = theirs.get(keyword).unwrap_or_else(|| panic!("sshd knows no {keyword}"));
        let theirs = normal(keyword, &theirs.join(" "));
        let value = shown(&item.value);
        if keyword == "setenv" {
            assert!(theirs.contains(&format!("{}={value}", names.join("/"))), "{key} of {text}");
            continue;
        }
        let ours = [names, &[value]].concat().join(" ");
        assert_eq!(normal(keyword, &ours), theirs, "{keyword} of {text}");
    }
}

/// Words in one order, since neither side promises one; and the one alias that sshd prints by its
/// old name.
fn normal(keyword: &str, value: &str) -> Vec<String> {
    let value = value.replace("without-password", "prohibit-password");
    let by_comma = keyword == "authorizedkeysfile";
    let words = value.split(|c: char| c == ' ' || (by_comma && c == ','));
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.sort();
    words
}

fn host(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    (root, machine)
}

#[test]
fn a_stack_is_told_with_what_it_includes_in_place() {
    let (_root, machine) = host(&[
        ("/etc/pam.d/sshd", "auth required a.so\n@include common\nauth required z.so\n"),
        ("/etc/pam.d/common", "auth [success=1 default=ignore] b.so x\nsession substack own\n"),
        ("/etc/pam.d/own", "session required c.so\nauth required never.so\n"),
        ("/usr/lib/pam.d/sudo", "auth include own\nauth include nowhere\n"),
    ]);
    let items = pam::configured(&mut Look::new(&machine)).unwrap().unwrap();
    let list: Vec<_> =
        items.iter().map(|(key, item)| format!("{key}: {}", shown(&item.value))).collect();
    let expect = [
        "sshd/auth: required a.so,[default=ignore success=1] b.so x,required z.so",
        "sshd/session: substack own,required c.so",
        "sudo/auth: required never.so",
    ];
    assert_eq!(list, expect);
    let (_root, machine) = host(&[("/etc/pam.d/su", "@include su\n")]);
    let endless = pam::configured(&mut Look::new(&machine));
    assert_eq!(endless, Err(Trouble::Unread(Reason::TooLarge)));
}

#[test]
fn the_file_of_password_quality_wins_over_its_folder() {
    let (_root, machine) = host(&[
        ("/etc/security/pwquality.conf", "minlen = 14 # long\nenforce_for_root\n"),
        ("/etc/security/pwquality.conf.d/a.conf", "minlen=8\nretry=3\n"),
    ]);
    let items = passwords::quality(&mut Look::new(&machine)).unwrap().unwrap();
    let list: Vec<_> = items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect();
    assert_eq!(list, ["enforce_for_root Nothing", "minlen Integer(14)", "retry Integer(3)"]);
}
