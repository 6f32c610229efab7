//! What libkrb5 itself reads of a `krb5.conf`, setting by setting.

use std::path::Path;

use super::*;
use crate::sources::check::machine_at;
use crate::sources::oracle::settings::{Script, Settings, told};

const LIBKRB5: Script = Script {
    python: "python3",
    path: "sources/directory/tests/kerberos.py",
    missing: "OSError: libkrb5",
};

/// Texts that the library takes or refuses; `ROOT` stands for the folder of the test.
const TEXTS: &[&str] = &[
    "[libdefaults]\n\tdefault_realm = EXAMPLE.ORG\n    rdns = false\n  # no\n; no\n\n\
     [realms]\n EXAMPLE.ORG = {\n  kdc = kdc1.example.org:88\n  kdc = kdc2.example.org\n\
     \tadmin_server = kdc1.example.org\n }\n OTHER.EXAMPLE = {\n  kdc = k\n }\n\
     [domain_realm]\n .example.org = EXAMPLE.ORG\n example.org = EXAMPLE.ORG\n",
    // Whatever stands before the first section is a comment.
    "hello\n}\ndefault_realm = NONE\n  [libdefaults]\n[libdefaults]\ndefault_realm = ONE\n",
    // A brace on a line of its own; braces within braces.
    "[realms]\nA =\n{\nkdc = a\nauth_to_local_names =\n  {\n u = v\n }\n}\n[x]\n a = 1\n",
    // What is final.
    "[libdefaults]*\ndefault_realm* = ONE\nforwardable = true*\n[realms]\nA* = {\n kdc = a\n}*\n",
    "[libdefaults]\npermitted = aes* des*\nauth_to_local = RULE:[1:$1](.*)s/*\nname = a = b\n",
    // Between quotes.
    "[a]\nb = \"c d\"\ne = \"f \\\"g\\\" \\\\ \\t h\" behind\ni = \"open\nj = a \"b\"\nk = \"\"\n",
    "[libdefaults]\na = 1 # no comment\nb = 2 ; nor this\nc = {x\nd = { }\n",
    "[libdefaults] \n a=1\n[realms]\t\nA={\nkdc=x\n}\n",
    // Sections and realms that come again go on.
    "[realms]\nA = {\n kdc = a\n}\n[libdefaults]\nx = 1\n[realms]\nA = {\n kdc = b\n}\n\
     B = {\n kdc = c\n}\n[libdefaults]\nx = 2\ny = 3\n",
    // What is included stands for itself, and what includes goes on where it was.
    "includedir ROOT/etc/krb5.conf.d/\n[libdefaults]\ndefault_realm = LATE\ninclude ROOT/etc/one\n\
     dns = no\n",
    "[libdefaults]\r\ndefault_realm = DOS\r\n[realms]\r\nA = {\r\n kdc = a\r\n}\r\n",
    "[appdefaults]\npam = {\n debug = false\n krb4 = {\n  x = y\n  x = z\n }\n z = 1\n}\n",
    "[capaths]\nA.B = {\n C.D = .\n C.D = E.F\n}\n[section with blanks]\nx = 1\n[]\ny = 2\n",
    "",
    "# nothing\n",
    // What the library refuses.
    "[libdefaults\nx = 1\n",
    "[libdefaults] x\n",
    "[libdefaults]\nx\n",
    "[libdefaults]\n= 1\n",
    "[libdefaults]\na b = 1\n",
    "[libdefaults]\n}\n",
    "[realms]\nA = {\n[libdefaults]\nx = 1\n}\n",
    "[realms]\nA =\nkdc = a\n",
    "[realms]\nA = {\n kdc = a\n}\n}\n",
];

/// What stands in the folders that texts include.
const INCLUDED: &[(&str, &str)] = &[
    ("one", "rdns = no section\n[libdefaults]\nrdns = false\n[realms]\nI = {\n kdc = i\n}\n"),
    ("krb5.conf.d/dns", "[libdefaults]\ndns_lookup_kdc = true\ndefault_realm = EARLY\n"),
    ("krb5.conf.d/10-a.conf", "[libdefaults]\nfrom = a\n"),
    ("krb5.conf.d/with_underscore-1", "[libdefaults]\nfrom = underscore\n"),
    ("krb5.conf.d/left~", "[libdefaults]\nfrom = left\n"),
    ("krb5.conf.d/b.conf.rpmnew", "[libdefaults]\nfrom = rpmnew\n"),
    ("krb5.conf.d/.hidden.conf", "[libdefaults]\nfrom = hidden\n"),
    ("krb5.conf.d/.hidden", "[libdefaults]\nfrom = hidden\n"),
    ("krb5.conf.d/z.d/x", "[libdefaults]\nfrom = below\n"),
];

fn ours(root: &Path) -> Result<Settings, Trouble> {
    let items = kerberos::configured(&mut Look::new(&machine_at(root)))?.unwrap();
    Ok(told(&items))
}

#[test]
fn libkrb5_reads_every_setting_as_we_do() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join("etc").join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (path, text) in INCLUDED {
        write(path, text);
    }
    // The library knows no root: below ours, the way to it leads back to it.
    let back = root.path().join(root.path().strip_prefix("/").unwrap());
    std::fs::create_dir_all(back.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink("/", back).unwrap();
    let texts = TEXTS.iter().map(|text| text.replace("ROOT", &root.path().display().to_string()));
    let texts: Vec<(String, String)> =
        (0..).map(|n: usize| format!("texts/{n}")).zip(texts).collect();
    texts.iter().for_each(|(path, text)| write(path, text));
    let files: Vec<String> = texts
        .iter()
        .map(|(path, _)| root.path().join("etc").join(path).display().to_string())
        .collect();
    let (mut compared, mut refused) = (0, 0);
    for ((_, text), theirs) in texts.iter().zip(LIBKRB5.printed(&files).unwrap_or_default()) {
        write("krb5.conf", text);
        match theirs {
            Some(theirs) => {
                compared += theirs.values().map(Vec::len).sum::<usize>();
                assert_eq!(ours(root.path()), Ok(theirs), "{text}");
            }
            None => {
                refused += 1;
                let ours = ours(root.path());
                assert!(matches!(ours, Err(Trouble::Malformed(_))), "{text}: {ours:?}");
            }
        }
    }
    eprintln!("{compared} settings compared, {refused} texts refused");
    assert!((compared > 50 && refused > 5) || compared == 0, "{compared}, {refused}");
}
