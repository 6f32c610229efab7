//! Options of programs that hold a secret: `curl -u user:X`, `ldapsearch -w X`, `snmpget -c X`.
//!
//! One table, read word by word: a line is looked at once, whatever programs it names. It follows a
//! program to the end of its command. Long options whose name says that they hold a secret need no
//! row; `key_names` knows them.

mod unknown;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use super::super::key_names::is_harmless;
use super::marks::Mark;
use super::phrases;
use super::values::is_blank;
use super::words::{is_plain_prose, word_at};

/// Where in an option's value the secret stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Take {
    /// The whole value, in the next word or in the option's own.
    Whole,
    /// The whole value, in the next word only.
    Next,
    /// The whole value, in the option's own word only.
    Attached,
    /// What follows the first of these signs in the value; nothing without one.
    After(&'static [char]),
    /// What follows the last of this sign.
    AfterLast(char),
    /// What follows `pass:`; other sources hold none.
    Source,
}

const COLON: Take = Take::After(&[':']);
const PERCENT: Take = Take::After(&['%']);

/// A program, by the beginning of its name where that ends in a star, and its options.
type Row = (&'static [&'static str], Options);

/// Options with where in their value the secret stands.
type Options = &'static [(&'static str, Take)];

const PROGRAMS: &[Row] = &[
    (&["turnserver", "turnadmin"], &[("-u", COLON), ("--user", COLON)]),
    (&["ttyd"], &[("-c", COLON), ("--credential", COLON)]),
    (&["ssh-keygen"], &[("-N", Take::Whole), ("-P", Take::Whole)]),
    (&["ss-local", "ss-redir", "ss-server", "ss-tunnel"], &[("-k", Take::Whole)]),
    (
        &["curl"],
        &[
            ("-u", COLON),
            ("-U", COLON),
            ("-E", COLON),
            ("--user", COLON),
            ("--proxy-user", COLON),
            ("--cert", COLON),
            ("--proxy-cert", COLON),
            ("--pass", Take::Whole),
            ("--proxy-pass", Take::Whole),
            ("--oauth2-bearer", Take::Whole),
            ("-b", Take::After(&['='])),
            ("--cookie", Take::After(&['='])),
        ],
    ),
    (&["http", "https", "xh"], &[("-a", COLON), ("--auth", COLON)]),
    (&["check_http*"], &[("-a", COLON), ("-b", COLON)]),
    (&["check_snmp*"], &[("-C", Take::Whole), ("-A", Take::Whole), ("-X", Take::Whole)]),
    (&["check_mysql*", "check_pgsql*", "check_ldap*"], &[("-p", Take::Whole), ("-P", Take::Next)]),
    (&["ldappasswd"], &[("-w", Take::Whole), ("-s", Take::Next), ("-a", Take::Next)]),
    (&["ldap*"], &[("-w", Take::Whole)]),
    // Helpers of Squid.
    (
        &["basic_ldap_auth", "basic_radius_auth", "digest_ldap_auth", "ext_ldap_group_acl"],
        &[("-w", Take::Whole)],
    ),
    (&["squid_ldap_*", "squid_radius_auth"], &[("-w", Take::Whole)]),
    (&["mysql*", "mariadb*", "mycli", "obclient", "mysqlsh"], &[("-p", Take::Attached)]),
    (&["redis-cli", "valkey-cli"], &[("-a", Take::Next), ("--pass", Take::Whole)]),
    (&["redis-*", "valkey-*"], &[("--masterauth", Take::Whole), ("--requirepass", Take::Whole)]),
    (
        &["smbclient", "rpcclient", "net", "winexe", "smbpasswd", "smbcacls", "wmic", "smbget"],
        &[("-U", PERCENT), ("--user", PERCENT)],
    ),
    (&["sshpass"], &[("-p", Take::Whole)]),
    (&["ipmitool", "ipmi-*"], &[("-P", Take::Whole), ("-K", Take::Next), ("-k", Take::Next)]),
    (&["ipmipower", "ipmiconsole", "racadm", "esxcli"], &[("-p", Take::Next)]),
    (
        &[
            "snmpget*",
            "snmpwalk",
            "snmpbulk*",
            "snmpset",
            "snmptrap",
            "snmpinform",
            "snmptable",
            "snmpstatus",
            "snmpdelta",
            "snmpdf",
            "snmptest",
            "snmpusm",
            "snmpvacm",
        ],
        &[("-c", Take::Whole), ("-A", Take::Whole), ("-X", Take::Whole)],
    ),
    (
        &["openssl"],
        &[
            ("-pass", Take::Source),
            ("-passin", Take::Source),
            ("-passout", Take::Source),
            ("-password", Take::Source),
            ("-k", Take::Next),
            ("-K", Take::Next),
        ],
    ),
    (&["7z", "7za", "7zr", "unrar"], &[("-p", Take::Attached)]),
    (&["rar"], &[("-p", Take::Attached), ("-hp", Take::Attached)]),
    (&["zip", "unzip"], &[("-P", Take::Whole)]),
    (&["lftp", "open"], &[("-u", Take::After(&[',']))]),
    (&["ncftp*"], &[("-p", Take::Next)]),
    (&["mongo", "mongodump", "mongorestore", "mongoexport", "mongoimport"], &[("-p", Take::Whole)]),
    (&["mongosh"], &[("-p", Take::Whole)]),
    (&["sqlcmd", "bcp", "tsql"], &[("-P", Take::Whole)]),
    (&["rabbitmqadmin", "cassandra", "cqlsh", "cypher-shell", "rdesktop"], &[("-p", Take::Next)]),
    (&["mosquitto_*"], &[("-P", Take::Next)]),
    (&["ipa-client-install"], &[("-w", Take::Next)]),
    (&["kadmin"], &[("-w", Take::Next)]),
    (&["elasticsearch-users", "fs_cli"], &[("-p", Take::Next)]),
    (&["etcdctl"], &[("--user", COLON)]),
    (&["nsupdate", "dig"], &[("-y", Take::AfterLast(':'))]),
    (&["govc"], &[("-u", COLON)]),
    (&["gpg-preset-passphrase"], &[("-P", Take::Next)]),
    (&["consul"], &[("-encrypt", Take::Whole), ("-token", Take::Whole)]),
    (&["sipsak"], &[("-a", Take::Next)]),
    (&["xfreerdp*", "wlfreerdp", "freerdp"], &[("/p:", Take::Attached)]),
];

/// Options that hold a secret in one subcommand only.
const SUBCOMMANDS: &[(&str, &str, &str)] = &[
    ("docker", "login", "-p"),
    ("podman", "login", "-p"),
    ("buildah", "login", "-p"),
    ("skopeo", "login", "-p"),
    ("nerdctl", "login", "-p"),
    ("oc", "login", "-p"),
    ("az", "login", "-p"),
];

/// The secrets among the options of the programs that the line `span` names, with those that
/// phrases of commands name.
pub(super) fn secrets(text: &str, span: Range<usize>, found: &mut Vec<Range<usize>>) {
    unknown::secrets(text, span.clone(), found);
    let mut walk = Walk { text, end: span.end, options: &[], name: "", extra: None };
    let mut at = span.start;
    while let Some((word, next)) = walk.raw_word(at) {
        phrases::command(text, word.start..span.end, found);
        at = match walk.option(&word, next) {
            Some((secret, next)) => {
                found.push(secret);
                next
            }
            None => {
                walk.follow(&word, text.get(word.end..next).unwrap_or_default());
                next
            }
        };
    }
}

/// One command being followed.
struct Walk<'a> {
    text: &'a str,
    end: usize,
    /// The options of the program named last.
    options: Options,
    /// Its name.
    name: &'a str,
    /// The option of its subcommand.
    extra: Option<&'static str>,
}

impl<'a> Walk<'a> {
    /// The next run without blanks, without the quotes and brackets around it, and where it ends.
    fn raw_word(&self, at: usize) -> Option<(Range<usize>, usize)> {
        let line = self.text.get(at..self.end)?;
        let trimmed = line.trim_start_matches(is_blank);
        let length = trimmed.find(is_blank).unwrap_or(trimmed.len());
        let word = trimmed.get(..length).filter(|word| !word.is_empty())?;
        let start = self.end - trimmed.len();
        let inner = word.trim_start_matches(OPENERS);
        let from = start + (word.len() - inner.len());
        let to = from + inner.trim_end_matches(CLOSERS).len();
        Some((from..to, start + length))
    }

    fn word(&self, range: &Range<usize>) -> &'a str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    /// Notes which program the word names, or that a command ends.
    fn follow(&mut self, range: &Range<usize>, after: &str) {
        let word = self.word(range);
        if after.contains(';') || matches!(word, "|" | "||" | "&&" | "&" | "") {
            (self.options, self.name, self.extra) = (&[], "", None);
            return;
        }
        let base = word.rsplit(['/', '=', '(', '`']).next().unwrap_or(word);
        let base = base.trim_start_matches(OPENERS);
        if let Some(options) = options_of(base) {
            (self.options, self.name, self.extra) = (options, base, None);
        } else if SUBCOMMANDS.iter().any(|(program, ..)| *program == base) {
            (self.options, self.name, self.extra) = (&[], base, None);
        } else if let Some((.., option)) =
            SUBCOMMANDS.iter().find(|(name, sub, _)| *name == self.name && *sub == word)
        {
            self.extra = Some(option);
        }
    }

    /// The secret of the option that the word is, and where to go on.
    fn option(&self, range: &Range<usize>, next: usize) -> Option<(Range<usize>, usize)> {
        let word = self.word(range);
        let rows = self.options.iter().copied();
        let extra = self.extra.map(|option| (option, Take::Whole));
        rows.chain(extra).find_map(|(option, take)| {
            if !word.starts_with(['-', '/']) {
                return None;
            }
            if word == option || is_cluster(word, option, take) {
                return self.next_value(take, next);
            }
            self.own_value((word, range.start), (option, take))
        })
    }

    fn next_value(&self, take: Take, next: usize) -> Option<(Range<usize>, usize)> {
        if take == Take::Attached {
            // `-p'X'` was trimmed to `-p`.
            return None;
        }
        let word = word_at(self.text, next..self.end)?;
        let shown = self.word(&word.range);
        if !word.quoted && (shown.starts_with('-') || is_plain_prose(shown)) {
            return None;
        }
        Some((self.taken(take, word.range)?, word.next))
    }

    /// The value in the option's own word: `-pX`, `--user=X`.
    fn own_value(
        &self,
        (word, start): (&str, usize),
        (option, take): (&str, Take),
    ) -> Option<(Range<usize>, usize)> {
        let rest = word.strip_prefix(option)?;
        let long = option.len() > 3 && option.starts_with('-');
        let from = start + option.len() + usize::from(rest.starts_with('='));
        if (long && !rest.starts_with('=')) || take == Take::Next {
            return None;
        }
        let value = word_at(self.text, from..self.end)?;
        // A blank after the option: the value is another word.
        let attached = !self.text.get(from..)?.starts_with(is_blank);
        if !attached {
            return None;
        }
        Some((self.taken(take, value.range)?, value.next))
    }

    fn taken(&self, take: Take, range: Range<usize>) -> Option<Range<usize>> {
        let value = self.word(&range);
        let secret = match take {
            Take::Whole | Take::Next | Take::Attached => value,
            Take::Source => value.strip_prefix("pass:")?,
            Take::AfterLast(sign) => match value.find("{secret:") {
                Some(marker) => value.get(marker..)?,
                None => value.rsplit_once(sign)?.1,
            },
            Take::After(signs) => {
                let (before, secret) = value.split_once(signs)?;
                // A marker, with whatever somebody wrote behind it.
                if before.ends_with("{secret") { value } else { secret }
            }
        };
        let secret = secret.strip_prefix(['"', '\'']).unwrap_or(secret);
        let end =
            range.end - usize::from(secret.len() < value.len() && secret.ends_with(['"', '\'']));
        let secret = secret.trim_end_matches(['"', '\'']);
        let open = !secret.is_empty() && !is_variable(secret) && !is_harmless("", secret);
        open.then(|| end - secret.len()..end)
    }
}

/// What may stand around a word in a command.
const OPENERS: [char; 7] = ['#', '"', '\'', '`', '(', '{', '['];
const CLOSERS: [char; 6] = ['"', '\'', '`', ')', ';', ','];

/// `-sSfu`, which ends in the option `-u`, before a value that shows by its form what it is.
fn is_cluster(word: &str, option: &str, take: Take) -> bool {
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphabetic());
    matches!(take, Take::After(_))
        && option.len() == 2
        && word.strip_prefix('-').is_some_and(letters)
        && option.strip_prefix('-').is_some_and(|letter| word.ends_with(letter))
}

/// The options of each program whose name is written out.
static BY_NAME: LazyLock<HashMap<&'static str, Options>> = LazyLock::new(|| {
    let rows =
        PROGRAMS.iter().flat_map(|(names, options)| names.iter().map(move |n| (*n, *options)));
    rows.filter(|(name, _)| !name.ends_with('*')).collect()
});

/// The options of the program that `word` names.
fn options_of(word: &str) -> Option<Options> {
    let first = word.bytes().next()?;
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return None;
    }
    let like = |name: &str| name.strip_suffix('*').is_some_and(|start| word.starts_with(start));
    BY_NAME.get(word).copied().or_else(|| {
        let row = PROGRAMS.iter().find(|(names, _)| names.iter().any(|name| like(name)));
        row.map(|(_, options)| *options)
    })
}

/// Whether a value is one of the shell's variables or a command of it.
fn is_variable(value: &str) -> bool {
    let name = value.trim_start_matches(['"', '\'']).strip_prefix('$');
    name.is_some_and(|name| name.starts_with(|c: char| c == '{' || c == '(' || c.is_uppercase()))
}

/// A name this short stands in too many other words to be looked for.
const SHORT: usize = 4;

/// Words of which one stands in every text that names a program with an option of the table.
pub(super) fn marks() -> impl Iterator<Item = Mark> {
    let rows = PROGRAMS.iter().flat_map(|(names, options)| {
        names.iter().flat_map(|name| {
            if name.trim_end_matches('*').len() > SHORT {
                return vec![Mark::word(name)];
            }
            let behind = |blank: char| {
                options.iter().map(move |(option, _)| Mark::anywhere(format!("{blank}{option}")))
            };
            behind(' ').chain(behind('\t')).collect()
        })
    });
    rows.chain(SUBCOMMANDS.iter().map(|(_, subcommand, _)| Mark::word(subcommand)))
}
