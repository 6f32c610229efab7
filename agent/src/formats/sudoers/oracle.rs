//! Whether we and sudo's own parser read the same rules, where `cvtsudoers` is installed.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;

use super::*;

/// One line a rule: who, where, as whom, what, tags.
type Rules = Vec<String>;

/// What sudo's parser says, `None` where it refuses the text.
#[allow(clippy::disallowed_types, reason = "a test may ask sudo itself")]
#[allow(clippy::disallowed_methods, reason = "which reads a file")]
fn theirs(file: &Path, text: &str) -> Option<Rules> {
    std::fs::write(file, text).unwrap();
    let output = std::process::Command::new("cvtsudoers")
        .args(["-c", "/dev/null", "-f", "json"])
        .arg(file)
        .output()
        .unwrap();
    // It goes on behind an error, prints what is left and only warns.
    if !output.status.success() || String::from_utf8_lossy(&output.stderr).contains("error") {
        return None;
    }
    if output.stdout.is_empty() {
        return Some(Rules::new());
    }
    let printed: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let mut rules = Rules::new();
    for spec in list(&printed, "User_Specs") {
        for commands in list(spec, "Cmnd_Specs") {
            for command in list(commands, "Commands") {
                let users = names(list(spec, "User_List"));
                let hosts = names(list(spec, "Host_List"));
                let runas = runas(commands);
                let tags = tags(commands);
                rules.push(format!("{users}|{hosts}|{runas}|{}|{tags}", name(command)));
            }
        }
    }
    Some(rules)
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A member as sudoers writes it.
fn name(member: &Value) -> String {
    let mut written = String::new();
    let (mut digests, mut negated) = (String::new(), false);
    for (key, value) in member.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let prefix = match key.as_str() {
            "negated" => {
                negated = value == "true";
                continue;
            }
            "sha224" | "sha256" | "sha384" | "sha512" => {
                write!(digests, "{key}:{value} ").unwrap();
                continue;
            }
            "usergroup" => "%",
            "usergid" => "%#",
            "userid" => "#",
            "netgroup" => "+",
            "nonunixgroup" => "%:",
            _ => "",
        };
        write!(written, "{prefix}{value}").unwrap();
    }
    format!("{}{digests}{written}", if negated { "!" } else { "" })
}

fn names(members: &[Value]) -> String {
    canonical(members.iter().map(name).collect())
}

/// Their groups of a target are printed as users' groups, without the `%` that sudoers has not.
fn runas(commands: &Value) -> String {
    let users = names(list(commands, "runasusers"));
    let groups = names(list(commands, "runasgroups")).replace('%', "");
    match (commands.get("runasusers"), commands.get("runasgroups")) {
        (None, None) => "(default)".into(),
        (_, None) => format!("({users})"),
        (_, Some(_)) => format!("({users}:{groups})"),
    }
}

fn tags(commands: &Value) -> String {
    let mut tags = BTreeSet::new();
    for option in list(commands, "Options") {
        for (key, value) in option.as_object().into_iter().flatten() {
            let on = value.as_bool().unwrap_or_default();
            let tag = match (key.as_str(), on) {
                ("authenticate", true) => "PASSWD",
                ("authenticate", false) => "NOPASSWD",
                ("noexec", true) => "NOEXEC",
                ("noexec", false) => "EXEC",
                ("setenv", true) => "SETENV",
                ("setenv", false) => "NOSETENV",
                ("log_input", true) => "LOG_INPUT",
                ("log_output", true) => "LOG_OUTPUT",
                ("send_mail", true) => "MAIL",
                ("send_mail", false) => "NOMAIL",
                ("sudoedit_follow", true) => "FOLLOW",
                _ => panic!("an option of sudo that this test does not know: {key}"),
            };
            tags.insert(tag);
        }
    }
    tags.into_iter().collect::<Vec<_>>().join(",")
}

fn canonical(mut members: Vec<String>) -> String {
    if !members.iter().any(|member| member.starts_with('!')) {
        members.sort();
        members.dedup();
    }
    members.join(",")
}

/// What we say, `None` where the text is malformed. Escapes stay as written with us.
fn ours(text: &str) -> Option<Rules> {
    let mut rules = Rules::new();
    for entry in entries(text.as_bytes()).ok()? {
        let Entry::Rule(rule) = entry else { continue };
        let tags = rule.tags.into_iter().collect::<Vec<_>>().join(",");
        let Rule { users, hosts, runas, command, .. } = rule;
        let command = command.replace("\\,", ",").replace("\\:", ":").replace("\\=", "=");
        rules.push(format!("{users}|{hosts}|{runas}|{command}|{tags}"));
    }
    Some(rules)
}

#[track_caller]
fn agree(file: &Path, text: &str) {
    let both = [ours(text), theirs(file, text)].map(|rules| rules.map(without_implied));
    let [ours, theirs] = both;
    assert_eq!(ours, theirs, "ours left, sudo's right, of {text:?}");
}

/// `ALL` implies `SETENV` (sudoers(5)): sudo prints it, for the commands of one printed group, and
/// we do not. So that tag is compared only in texts without that command.
fn without_implied(rules: Rules) -> Rules {
    if !rules.iter().any(|rule| rule.contains("|ALL|")) {
        return rules;
    }
    let strip = |rule: &String| rule.replace(",SETENV", "").replace("|SETENV", "|");
    rules.iter().map(strip).collect()
}

#[allow(clippy::disallowed_types, reason = "a test may ask sudo itself")]
fn is_installed() -> bool {
    std::process::Command::new("cvtsudoers").arg("-V").output().is_ok()
}

const TEXTS: &[&str] = &[
    "root ALL=(ALL:ALL) ALL\n%sudo\tALL=(ALL:ALL) ALL\n",
    "alice, %ops, #1000, %#20, +admins, !eve  ALL , !sbc3 = /bin/a, !/bin/b\n",
    "bob w1, w2 = (www, db : adm) NOPASSWD: /bin/a  x   y, PASSWD: /bin/b : db = /bin/c\n",
    "bob ALL = (root) NOPASSWD: SETENV: /bin/a, NOSETENV: NOEXEC: /bin/b, (db) EXEC: /bin/c\n",
    "bob ALL = NOPASSWD: ALL, LOG_INPUT: LOG_OUTPUT: /bin/a, NOMAIL: /bin/b, MAIL: /bin/c\n",
    "bob ALL = sha256:1111111111111111111111111111111111111111111111111111111111111111 /bin/a\n",
    "bob ALL = sha256 : 1111111111111111111111111111111111111111111111111111111111111111 !/bin/a\n",
    "bob ALL = sha256:ERERERERERERERERERERERERERERERERERERERERERE= ^/bin/.*$ x\n",
    "bob ALL = /bin/a \"\", sudoedit /etc/hosts, list, /bin/\n",
    "bob ALL = /bin/a x\\,y c\\:d e\\=f\n",
    "bob ::1, 192.0.2.0/24, 192.0.2.0/255.255.255.0, 2001:db8::1 = (:adm) ALL\n",
    "User_Alias A = bob, alice\nA ALL = C\nCmnd_Alias C = /bin/a\nRunas_Alias R = #1\n\
     A ALL = (R) C\n",
    "bob ALL = /bin/a \\\n  x, \\\n\t/bin/b # why\n# another\n",
    "\"bob smith\" ALL = /bin/a\n\"%domain users\" ALL = /bin/a\n",
    "!!bob ALL = !!/bin/a\n!!!bob ALL = ! /bin/a\n",
    "bob ALL = () /bin/a\n",
    "bob ALL = (:) /bin/a\n",
    "Defaults env_reset, !lecture\nDefaults:bob !authenticate\n",
    // What sudo refuses.
    "bob\n",
    "bob ALL\n",
    "bob ALL = /bin/a,\n",
    "bob ALL = (root /bin/a\n",
    "bob ALL = NOPASSWD /bin/a\n",
    "bob ALL = bin/a\n",
    "bob ALL = /bin/a : \n",
    ", ALL = /bin/a\n",
    "User_Alias a = bob\n",
    "User_Alias A bob\n",
    "Cmnd_Alias ALL = /bin/a\n",
    "bob ALL = EXEC: (db) /bin/c\n",
    "bob ALL = NOPASSWD: ROLE=x /bin/c\n",
    "! ! bob ALL = /bin/a\n",
    "bob ALL = C x\n",
    "bob ALL = ALL x\n",
    "bob ALL = /bin/ x\n",
    "bob ALL = \"/bin/a b\"\n",
    "bob ALL = sha256:ff /bin/a\n",
    "bob ALL = !sha256:1111111111111111111111111111111111111111111111111111111111111111 /bin/a\n",
];

#[test]
fn sudo_reads_every_text_as_we_do() {
    if !is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sudoers");
    for text in TEXTS {
        agree(&file, text);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn sudo_reads_made_rules_as_we_do(
        text in "((alice|%ops|#1000|\\+net|!eve|A)( ?, ?(bob|!%x|B)){0,2} (ALL|h1|!h2|::1)\
            ( ?, ?(h3|10\\.0\\.0\\.0/8)){0,1} ?= ?\
            (\\((root|db, www|:adm|ALL : ALL|#1)\\) ?)?((NOPASSWD|SETENV|NOEXEC|PASSWD): ?){0,2}\
            (ALL|/bin/a|!/bin/b x|/bin/c \\\\, y|sudoedit /e)\
            ( ?, ?((root|\\(u\\)) ?)?(NOSETENV: ?)?(/bin/d|!C|/bin/e  -x)){0,2}\
            ( : h4 ?= ?/bin/f)?( #x)?\n){1,3}",
    ) {
        if is_installed() {
            let folder = tempfile::tempdir().unwrap();
            agree(&folder.path().join("sudoers"), &text);
        }
    }
}
