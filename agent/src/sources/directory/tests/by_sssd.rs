//! What sssd itself makes of its configuration: `sssd --genconf` writes it into its database, and
//! `ldbsearch` shows that. Both see folders of ours in the place of the machine's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;
use crate::sources::check::machine_at;
use crate::sources::oracle::{left_out, said, shown};

/// The main file, and those of `conf.d`.
const MAIN: &str = "# of the host\n[sssd]\ndomains = example.org, corp.example\nservices = nss\n\
    ; no\n[domain/example.org]\nid_provider = ldap\nldap_uri = ldap://a.example, ldap://b\n  \
    enumerate=FALSE\ncache_credentials\t=\ttrue \nldap_search_base = dc=example,dc=org\n\
    access_provider = \"simple\" # kept\nldap_schema => rfc2307\\\nldap_gone = 1\nldap_gone =\n\
    [domain/corp.example]\nID_Provider = ldap\nid_provider = ad\nldap_uri =\n\
    [nss]\nfilter_users = root\nmemcache_timeout = 300\nmemcache_timeout = 200\n\
    [SSSD]\ndebug_level = 2\n";
const MORE: &[(&str, &str)] = &[
    ("10-pam.conf", "[pam]\noffline_credentials_expiration = 2\n"),
    ("20-more.conf", "[sssd]\nservices = nss, pam\n[domain/example.org]\nenumerate = true\n"),
    ("15-between.conf", "[sssd]\nservices = nss, x\n[nss]\nmemcache_timeout = 60\n"),
    (".30-hidden.conf", "[pam]\npam_verbosity = 3\n"),
    ("40-left.conf~", "[pam]\npam_verbosity = 3\n"),
    ("50-other", "[pam]\npam_verbosity = 3\n"),
];

/// What sssd refuses to start with.
const REFUSED: &[&str] = &[
    "[sssd]\ndomains = a\n  # indented\n",
    "[sssd]\nfilter_users = root,\n  daemon\n",
    "[sssd]\ndomains\n",
    "[sssd]\ndomains: a\n",
    "[sssd\ndomains = a\n",
    "[sssd] x\ndomains = a\n",
    "[]\ndomains = a\n",
    "[sssd]\n= a\n",
];

/// Has sssd read the folder `$1` and shows what it made of it.
const SCRIPT: &str = "for place in /etc/sssd /var/lib/sss /var/log/sssd; do
    mount --bind \"$1$place\" $place || exit 1; done
    sssd --genconf >&2 && ldbsearch -H /var/lib/sss/db/config.ldb";

type Settings = BTreeMap<String, String>;

/// Section and name of each setting, from what ldbsearch prints.
fn theirs(printed: &str) -> Settings {
    let printed = printed.replace("\n ", "");
    let mut settings = Settings::new();
    for record in printed.split("\n\n") {
        let lines: Vec<_> = record.lines().filter_map(|line| line.split_once(": ")).collect();
        let Some((_, place)) = lines.iter().find(|(name, _)| *name == "dn") else { continue };
        // `cn=example.org,cn=domain,cn=config` is `domain/example.org`.
        let Some(place) = place.strip_suffix(",cn=config") else { continue };
        let mut names: Vec<&str> =
            place.split("cn=").map(|name| name.trim_end_matches(',')).collect();
        names.reverse();
        let section = names.join("/").trim_matches('/').to_owned();
        for (name, value) in lines {
            if !["dn", "cn", "distinguishedName"].contains(&name) {
                settings.insert(format!("{section}: {name}").to_lowercase(), value.to_owned());
            }
        }
    }
    settings
}

fn ours(root: &Path) -> Result<Settings, Trouble> {
    let items = sssd::configured(&mut Look::new(&machine_at(root)))?.unwrap();
    let setting = |(key, item): (&ItemKey, &driftline_protocol::redact::RawItem)| {
        let segments: Vec<String> = key.segments().collect();
        (segments.join(": "), shown(&item.value))
    };
    Ok(items.iter().map(setting).collect())
}

/// A root with these files, and what sssd prints of it; nothing where it cannot be asked.
fn asked(main: &str, more: &[(&str, &str)]) -> Option<(tempfile::TempDir, Option<Settings>)> {
    let root = tempfile::tempdir().unwrap();
    for folder in ["var/lib/sss/db", "var/lib/sss/pubconf", "var/log/sssd", "etc/sssd/conf.d"] {
        std::fs::create_dir_all(root.path().join(folder)).unwrap();
    }
    let write = |path: &str, text: &str| {
        let path = root.path().join("etc/sssd").join(path);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("sssd.conf", main);
    for (name, text) in more {
        write(&format!("conf.d/{name}"), text);
    }
    let folder = root.path().display().to_string();
    let (printed, succeeded) = said(&["unshare", "-m", "sh", "-c", SCRIPT, "sh", &folder])?;
    if printed.contains("unshare failed") {
        eprintln!("not root: sssd cannot be asked");
        return None;
    }
    assert!(succeeded || printed.contains("on line"), "{printed}");
    Some((root, succeeded.then(|| theirs(&printed))))
}

#[test]
fn sssd_reads_every_setting_as_we_do() {
    for program in ["sssd", "ldbsearch"] {
        let Some((_, true)) = said(&["which", program]) else {
            left_out(program);
            return;
        };
    }
    let Some((root, theirs)) = asked(MAIN, MORE) else { return };
    let theirs = theirs.unwrap();
    assert!(theirs.len() > 12, "{theirs:#?}");
    assert_eq!(ours(root.path()), Ok(theirs));
    for text in REFUSED {
        let Some((root, theirs)) = asked(text, &[]) else { return };
        assert_eq!(theirs, None, "{text}");
        assert!(matches!(ours(root.path()), Err(Trouble::Malformed(_))), "{text}");
    }
}
