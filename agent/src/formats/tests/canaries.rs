//! A secret in every shape that each format of the list can hold, and none of it leaves.
//!
//! The table is held against the list: a format without a row fails. Shapes: a key that names a
//! secret, a name beside its value, a position, an address with a login, and a file that is a
//! secret as a whole.

use std::collections::BTreeSet;

use super::*;

const SECRET: &str = "kAn4ry";

/// The secret in an address, which any text can hold.
const ADDRESS: &str = "mysql://user:kAn4ry@db.example/x";

/// Each format by name, and texts that hold the secret in the shapes that its syntax has.
const TEXTS: &[(&str, &[&str])] = &[
    ("cups_printers", &["<Printer a>\nDeviceURI ipp://u:kAn4ry@h/p\n</Printer>\n"]),
    ("hosts", &["192.0.2.1 https://u:kAn4ry@h\n"]),
    (
        "fstab",
        &[
            "//h/s /m cifs username=u,password=kAn4ry 0 0\n",
            "https://u:kAn4ry@h/d /m davfs rw 0 0\n",
        ],
    ),
    ("crypttab", &["a /dev/b none password=kAn4ry\n", "a https://u:kAn4ry@h none x\n"]),
    ("exports", &["/a h(rw,password=kAn4ry)\n", "https://u:kAn4ry@h h(rw)\n"]),
    ("services", &["a 1/tcp https://u:kAn4ry@h\n"]),
    ("netrc", &["machine h login u\npassword\nkAn4ry\n", "machine h login u kAn4ry\n"]),
    (
        "curlrc",
        &["user = \"u:kAn4ry\"\n", "-U u:kAn4ry\n", "oauth2-bearer kAn4ry\n", "pass: kAn4ry\n"],
    ),
    ("account_lines", &["u:kAn4ry:1:1::/:/bin/sh\n", "g:kAn4ry:4:u\n"]),
    ("login_lines", &["u:kAn4ry\n", "u=kAn4ry,admin\n", "kAn4ry\n"]),
    ("blank_login_lines", &["192.0.2.1 kAn4ry 3\n", "\"u\" \"kAn4ry\"\n", "kAn4ry\n"]),
    ("secret_words", &["user\nkAn4ry\n", "kAn4ry\n"]),
    ("couchdb", &["[admins]\nu = kAn4ry\n", "[couch_httpd_auth]\nsecret = kAn4ry\n"]),
    ("tac_plus", &["key = kAn4ry\n", "user = u {\n login = des kAn4ry\n}\n"]),
    ("limits", &["a - https://u:kAn4ry@h 1\n"]),
    ("rule_lines", &["a: https://u:kAn4ry@h\n"]),
    ("word_lines", &["https://u:kAn4ry@h\n"]),
    ("resolv", &["nameserver https://u:kAn4ry@h\n"]),
    ("nsswitch", &["passwd: https://u:kAn4ry@h\n"]),
    ("ld_so_conf", &["https://u:kAn4ry@h\n"]),
    ("sysctl", &["a.password = kAn4ry\n", "a.b = https://u:kAn4ry@h\n"]),
    ("login_defs", &["PASSWORD kAn4ry\n", "ENV https://u:kAn4ry@h\n"]),
    (
        "key_value",
        &["DB_PASSWORD=kAn4ry\n", "OPTS=\"--password kAn4ry\"\n", "URL=mysql://u:kAn4ry@h/x\n"],
    ),
    (
        "crontab",
        &["TOKEN=kAn4ry\n@daily root x\n", "@daily root curl -u me:kAn4ry https://u:kAn4ry@h\n"],
    ),
    ("user_crontab", &["TOKEN=kAn4ry\n@daily x\n", "@daily mysqldump --password=kAn4ry all\n"]),
    ("anacrontab", &["1 2 x mysqldump --password=kAn4ry\n", "1 2 x curl https://u:kAn4ry@h\n"]),
    ("pam", &["auth required a.so secret=kAn4ry\n", "auth required a.so url=https://u:kAn4ry@h\n"]),
    ("sshd", &["SetEnv TOKEN=kAn4ry\n", "Banner https://u:kAn4ry@h\n"]),
    (
        "sudoers",
        &["Defaults env_file=https://u:kAn4ry@h\n", "u ALL=(ALL) /bin/x --password=kAn4ry\n"],
    ),
    (
        "systemd",
        &[
            "[Service]\nEnvironment=DB_PASSWORD=kAn4ry\n",
            "[Service]\nExecStart=/bin/x --password kAn4ry https://u:kAn4ry@h\n",
        ],
    ),
    (
        "nftables",
        &[
            "define password = kAn4ry\ntable ip t {\n}\n",
            "table ip t {\n chain c {\n  log prefix \"https://u:kAn4ry@h\"\n }\n}\n",
        ],
    ),
    (
        "iptables",
        &[
            "*filter\n:a ACCEPT [0:0]\n-A a -m comment --comment password=kAn4ry\nCOMMIT\n",
            "*filter\n:a ACCEPT [0:0]\n-A a -m comment --comment https://u:kAn4ry@h\nCOMMIT\n",
        ],
    ),
    ("hocon", &["a { password = kAn4ry }\n", "a.url = \"https://u:kAn4ry@h\"\n"]),
    ("pipewire", &["a = {\n password = kAn4ry\n}\n", "a = \"https://u:kAn4ry@h\"\n"]),
    ("properties", &["db.password=kAn4ry\n", "db.url=mysql://u:kAn4ry@h/x\n"]),
    (
        "registry",
        &[
            "Windows Registry Editor Version 5.00\n\n[HKEY_CURRENT_USER\\A]\n\
             \"Password\"=\"kAn4ry\"\n",
            "Windows Registry Editor Version 5.00\n\n[HKEY_CURRENT_USER\\A]\n\
             \"Url\"=\"https://u:kAn4ry@h\"\n",
        ],
    ),
    (
        "plist",
        &["<?xml version=\"1.0\"?><plist version=\"1.0\"><dict><key>password</key>\
           <string>kAn4ry</string><key>url</key><string>https://u:kAn4ry@h</string></dict>\
           </plist>"],
    ),
    ("asterisk_tools", &["password: kAn4ry\n", "x https://u:kAn4ry@h\n"]),
    (
        "asterisk_dialplan",
        &[
            "[globals]\nDBPASSWORD=kAn4ry\n",
            "[a]\nexten => 1,1,Set(X=${CURL(https://u:kAn4ry@h)})\n",
        ],
    ),
    ("asterisk_voicemail", &["[default]\n1234 => kAn4ry,Alice,a@h\n"]),
    ("asterisk_channels", &["[channels]\nsecret=kAn4ry\nchannel => 1\n"]),
    (
        "asterisk",
        &[
            "[a]\ntype=auth\npassword=kAn4ry\n",
            "[general]\nregister => u:kAn4ry@h/1\n",
            "[agents]\nagent => 1001,kAn4ry,Mark\n",
            "[a]\nurl=mysql://u:kAn4ry@h/x\n",
        ],
    ),
    ("kamailio_dispatcher", &["1 sip:a 0 0 auth_password=kAn4ry\n", "1 https://u:kAn4ry@h\n"]),
    ("kamailio_permissions", &["ALL : https://u:kAn4ry@h\n"]),
    (
        "kamailio_tls",
        &["[server:default]\npassword = kAn4ry\n", "[server:a]\nca_list = https://u:kAn4ry@h\n"],
    ),
    (
        "kamailio",
        &[
            "modparam(\"uac\", \"auth_password\", \"kAn4ry\")\n",
            "modparam(\"uac\", \"credential\", \"u:realm:kAn4ry\")\n",
            "#!define DBURL \"mysql://u:kAn4ry@h/x\"\n",
        ],
    ),
    (
        "opensips",
        &[
            "modparam(\"uac_auth\", \"credential\", \"u:realm:kAn4ry\")\n",
            "db_default_url=\"mysql://u:kAn4ry@h/x\"\n",
        ],
    ),
    (
        "rtpengine",
        &["[rtpengine]\nhomer-auth-password = kAn4ry\n", "[a]\nb = https://u:kAn4ry@h\n"],
    ),
    (
        "coturn",
        &[
            "static-auth-secret=kAn4ry\n",
            "user=alice:kAn4ry\n",
            "mysql-userdb=\"host=a password=kAn4ry\"\n",
        ],
    ),
    (
        "prosody",
        &[
            "VirtualHost \"a\"\n  component_secret = \"kAn4ry\"\n",
            "sql = { driver = \"MySQL\", password = \"kAn4ry\" }\nurl = \"https://u:kAn4ry@h\"\n",
        ],
    ),
    (
        "asterisk_ael",
        &["globals { PASSWORD=kAn4ry; };\n", "context a { s => { X(https://u:kAn4ry@h); } }\n"],
    ),
    ("lua", &["password = \"kAn4ry\"\n", "url = \"https://u:kAn4ry@h\"\n"]),
    ("adsi", &["PASSWORD = \"kAn4ry\"\n", "x \"https://u:kAn4ry@h\"\n"]),
    ("shell", &["#!/bin/sh\nDB_PASSWORD=kAn4ry\n", "#!/bin/sh\ncurl https://u:kAn4ry@h\n"]),
    (
        "json",
        &[
            "{\"a\": {\"password\": \"kAn4ry\"}}",
            "{\"u\": \"https://u:kAn4ry@h\"}",
            "{\"name\": \"password\", \"value\": \"kAn4ry\"}",
        ],
    ),
    ("ejabberd", &["sql_password: \"kAn4ry\"\n", "x:\n  - \"https://u:kAn4ry@h\"\n"]),
    (
        "yaml",
        &[
            "db:\n  password: kAn4ry\n",
            "a:\n  - https://u:kAn4ry@h\n",
            "- name: password\n  value: kAn4ry\n",
        ],
    ),
    (
        "toml",
        &[
            "[db]\npassword = \"kAn4ry\"\n",
            "url = \"https://u:kAn4ry@h\"\n",
            "[auth.basic]\nalice = \"kAn4ry\"\n",
        ],
    ),
    (
        "freeswitch",
        &[
            "<a><param name=\"password\" value=\"kAn4ry\"/></a>",
            "<a><param name=\"odbc-dsn\" value=\"dsn:user:kAn4ry\"/></a>",
            "<a><X-PRE-PROCESS cmd=\"set\" data=\"default_password=kAn4ry\"/></a>",
            "<a><param name=\"u\" value=\"https://u:kAn4ry@h\"/></a>",
        ],
    ),
    (
        "xml",
        &[
            "<a><password>kAn4ry</password></a>",
            "<a b=\"https://u:kAn4ry@h\"/>",
            "<a><entry name=\"password\" value=\"kAn4ry\"/></a>",
        ],
    ),
    ("ini", &["[a]\npassword = kAn4ry\n", "[a]\nurl = https://u:kAn4ry@h\n"]),
    ("commented_c", &["password \"kAn4ry\";\n", "url \"https://u:kAn4ry@h\";\n"]),
    ("commented", &["password kAn4ry\n", "url https://u:kAn4ry@h\n"]),
    ("text", &["The password is kAn4ry\n", "https://u:kAn4ry@h\n"]),
];

/// Formats that tell nothing of what a file says, so that nothing of it can leave.
const SILENT: &[&str] = &["written"];

#[test]
fn each_format_holds_its_secrets_back() {
    let listed: BTreeSet<&str> = ALL.iter().map(|format| format.name).collect();
    let told: BTreeSet<&str> =
        TEXTS.iter().map(|(name, _)| *name).chain(SILENT.iter().copied()).collect();
    assert_eq!(listed, told, "a format without a canary, or a canary without a format");
    let mut leaking = Vec::new();
    for (name, texts) in TEXTS {
        let format = named(name).unwrap();
        for text in *texts {
            if let Err(wrong) = held_back(format, text) {
                leaking.push(format!("{name}: {text:?}: {wrong}"));
            }
        }
    }
    assert!(leaking.is_empty(), "{leaking:#?}");
}

/// A job is its own key, and what told that a word was a secret may stand behind its cut.
#[test]
fn a_job_too_long_to_be_a_key_ends_within_no_secret() {
    let format = named("crontab").unwrap();
    for at in (880..1_000).step_by(7) {
        let before = "x".repeat(at);
        let secret = SECRET.repeat(20);
        let text = format!("1 2 * * * curl {before} https://bob:{secret}@h\n");
        let shown = redacted(format, (format.read)(text.as_bytes()).unwrap());
        assert!(!shown.contains(SECRET.get(..4).unwrap()), "{at}: {shown}");
    }
}

/// What one line may cost is bounded: see the redactor's own tests of time.
#[test]
fn values_that_reach_over_each_other_are_left_only_so_often() {
    let line = "set pw: a an the x ".repeat(4_000);
    assert!(Redactor::new([7; 32]).redact_text(&line).contains("{secret:"));
}

#[test]
fn an_address_with_a_login_leaves_by_no_format() {
    for (name, texts) in TEXTS {
        let format = named(name).unwrap();
        for text in *texts {
            let text = text.replace("https://u:kAn4ry@h", ADDRESS);
            if let Ok(items) = (format.read)(text.as_bytes()) {
                assert!(!redacted(format, items).contains(SECRET), "{name}: {text}");
            }
        }
    }
}

#[test]
fn a_file_that_is_a_secret_as_a_whole_leaves_by_no_format() {
    let redactor = Redactor::new([7; 32]);
    let text = "-----BEGIN PRIVATE KEY-----\nkAn4ry\n-----END PRIVATE KEY-----\n";
    for format in ALL {
        let raw = redactor.raw_digest(text.as_bytes());
        let said = crate::content::said(Some(format), text.as_bytes(), raw);
        let part = redactor.redact(RawPart::Observed(said));
        let text = String::from_utf8(canonical::encode(part.get())).unwrap();
        assert!(!text.contains(SECRET), "{}: {text}", format.name);
    }
}

fn redacted(format: &Format, items: driftline_protocol::redact::RawItems) -> String {
    let reading = Reading { parser: format.name.into(), version: 1, scope: Digest([0; 32]) };
    let content = Content::Read;
    let part = RawPart::Observed(RawObserved { reading, raw: None, size: None, content, items });
    let part = Redactor::new([7; 32]).redact(part);
    String::from_utf8(canonical::encode(part.get())).unwrap()
}

/// Whether the text is read, hides something, and does not tell the secret.
fn held_back(format: &Format, text: &str) -> Result<(), String> {
    let items = (format.read)(text.as_bytes()).map_err(|error| error.to_string())?;
    if items.is_empty() {
        return Err("gives no item".to_owned());
    }
    let told = redacted(format, items);
    if told.contains(SECRET) {
        return Err(format!("leaks: {told}"));
    }
    let hides = told.contains("secret") || told.contains("fingerprint");
    if hides { Ok(()) } else { Err(format!("hides nothing: {told}")) }
}
