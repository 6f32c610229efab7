//! What recorded registries say, and the rows of the shared check.

use std::collections::BTreeMap;

use driftline_protocol::ids::PartName;
use driftline_protocol::snapshot::Part;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};

/// An export with a key of `HKEY_LOCAL_MACHINE` and what stands below it.
macro_rules! export {
    ($key:literal, $body:literal) => {
        concat!(
            "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_LOCAL_MACHINE\\",
            $key,
            "]\r\n",
            $body
        )
    };
}

/// Where the export of a key stands.
macro_rules! place {
    ($key:literal) => {
        concat!("/registry/HKEY_LOCAL_MACHINE/", $key, ".reg")
    };
}

/// The row of one source: its files, the part that a broken and a denied one is, an edit, a canary.
macro_rules! row {
    ($told:expr, [$(($key:literal, $place:literal, $body:literal)),+ $(,)?],
     $part:literal: $of:literal, $edit:expr, $canary:expr) => {
        Fixture {
            source: || Box::new(Registry::new(&$told)),
            recast: || Box::new(Registry {
                version: $told.manual.version + 1,
                ..Registry::new(&$told)
            }),
            tree: vec![$((place!($place), 0o644, export!($key, $body))),+],
            malformed: Some(Broken { path: place!($of), content: "no export", part: $part }),
            denied: Denied { path: place!($of), part: $part },
            edit: (place!($of), $edit),
            canary: $canary,
        }
    };
}

/// The account `alice`, 1001, disabled: places count from 0xcc, texts are UTF-16.
const ALICE: &str = "\"F\"=hex:\
    00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,\
    00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,00,11,00\r\n\
    \"V\"=hex:";

/// `V` of an account: its name and its full name.
fn v(name: &str, full_name: &str) -> Vec<u8> {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (name, full_name) = (wide(name), wide(full_name));
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut v = vec![0; 0xcc];
    v[0x10..0x14].copy_from_slice(&length(&name));
    v[0x18..0x1c].copy_from_slice(&length(&name));
    v[0x1c..0x20].copy_from_slice(&length(&full_name));
    v.extend(name);
    v.extend(full_name);
    v
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(",")
}

fn user(name: &str) -> &'static str {
    let heading = export!("SAM\\SAM\\Domains\\Account\\Users\\000003E9", "");
    format!("{heading}{ALICE}{}\r\n", hex(&v(name, "A. Liddell"))).leak()
}

/// The group `Administrators` with two members.
fn group() -> &'static str {
    let name: Vec<u8> = "Administrators".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut c = vec![0; 0x34];
    c[0x14] = u8::try_from(name.len()).unwrap();
    c[0x28] = c[0x14];
    c[0x30] = 2;
    c.extend(name);
    c.extend([1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]);
    c.extend([1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 0x20, 2, 0, 0]);
    let heading = export!("SAM\\SAM\\Domains\\Builtin\\Aliases\\00000220", "");
    format!("{heading}\"C\"=hex:{}\r\n", hex(&c)).leak()
}

const USERS_FILE: &str = place!("SAM/SAM/Domains/Account/Users");
const GROUPS_FILE: &str = place!("SAM/SAM/Domains/Builtin/Aliases");
const ROOT_FILE: &str = place!("SOFTWARE/Microsoft/SystemCertificates/ROOT");
const MY_FILE: &str = place!("SOFTWARE/Microsoft/SystemCertificates/MY");

fn accounts_row() -> Fixture {
    Fixture {
        source: || Box::new(Registry::new(&accounts::ACCOUNTS)),
        recast: || Box::new(Registry { version: 3, ..Registry::new(&accounts::ACCOUNTS) }),
        tree: vec![(USERS_FILE, 0o600, user("alice")), (GROUPS_FILE, 0o600, group())],
        malformed: Some(Broken { path: USERS_FILE, content: "no export", part: "users" }),
        denied: Denied { path: USERS_FILE, part: "users" },
        edit: (USERS_FILE, user("bob")),
        canary: None,
    }
}

/// The store `name` with the certificate in `pem`.
fn stored(name: &str, pem: &str) -> &'static str {
    let pem = rustls_pemfile::certs(&mut pem.as_bytes()).next().unwrap().unwrap();
    let mut blob = vec![3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9, 9, 32, 0, 0, 0, 1, 0, 0, 0];
    blob.extend(u32::try_from(pem.len()).unwrap().to_le_bytes());
    blob.extend(pem.as_ref());
    let key = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\SystemCertificates";
    let heading = format!("Windows Registry Editor Version 5.00\r\n[{key}\\{name}]\r\n");
    format!("{heading}[{key}\\{name}\\Certificates\\AB]\r\n\"Blob\"=hex:{}\r\n", hex(&blob)).leak()
}

const ROOT: &str = include_str!("../certificates/samples/root.pem");
const LEAF: &str = include_str!("../certificates/samples/leaf.pem");

fn certificates_row() -> Fixture {
    Fixture {
        source: || Box::new(Registry::new(&stores::CERTIFICATES)),
        recast: || Box::new(Registry { version: 3, ..Registry::new(&stores::CERTIFICATES) }),
        tree: vec![(ROOT_FILE, 0o644, stored("ROOT", ROOT)), (MY_FILE, 0o644, stored("MY", LEAF))],
        malformed: Some(Broken { path: ROOT_FILE, content: "no export", part: "root" }),
        denied: Denied { path: ROOT_FILE, part: "root" },
        edit: (ROOT_FILE, stored("ROOT", LEAF)),
        canary: None,
    }
}

/// A row for every source, in the order of [`ALL`].
pub(in crate::sources) fn fixtures() -> Vec<Fixture> {
    system_rows().into_iter().chain(policy_rows()).collect()
}

fn system_rows() -> Vec<Fixture> {
    vec![
        row!(settings::OS, [
            ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
             "SOFTWARE/Microsoft/Windows NT/CurrentVersion",
             "\"ProductName\"=\"Windows 10 Pro\"\r\n\"UBR\"=dword:00000001\r\n\
              \"InstallTime\"=hex(b):01,00,00,00,00,00,00,00\r\n"),
            ("SYSTEM\\CurrentControlSet\\Control\\ComputerName\\ComputerName",
             "SYSTEM/CurrentControlSet/Control/ComputerName/ComputerName",
             "\"ComputerName\"=\"DESK1\"\r\n"),
        ], "release": "SOFTWARE/Microsoft/Windows NT/CurrentVersion",
        export!("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion", "\"UBR\"=dword:2\r\n"), None),
        row!(programs::PACKAGES, [
            ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\{1}",
             "SOFTWARE/Microsoft/Windows/CurrentVersion/Uninstall",
             "\"DisplayName\"=\"Zoom\"\r\n\"DisplayVersion\"=\"6.1\"\r\n"),
        ], "programs": "SOFTWARE/Microsoft/Windows/CurrentVersion/Uninstall",
        export!("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Uninstall\\{1}",
            "\"DisplayName\"=\"Zoom\"\r\n\"DisplayVersion\"=\"6.2\"\r\n"), None),
        row!(services::SERVICES, [
            ("SYSTEM\\CurrentControlSet\\Services\\Spooler",
             "SYSTEM/CurrentControlSet/Services",
             "\"Type\"=dword:10\r\n\"Start\"=dword:2\r\n\
              \"ImagePath\"=\"spool.exe --password=canary-77a1\"\r\n"),
        ], "services": "SYSTEM/CurrentControlSet/Services",
        export!("SYSTEM\\CurrentControlSet\\Services\\Spooler",
            "\"Type\"=dword:10\r\n\"Start\"=dword:4\r\n"), Some("canary-77a1")),
        accounts_row(),
        certificates_row(),
        row!(network::NETWORK, [
            ("SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters",
             "SYSTEM/CurrentControlSet/Services/Tcpip/Parameters",
             "\"SearchList\"=\"example\"\r\n\"DhcpDomain\"=\"given\"\r\n"),
            ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Internet Settings",
             "SOFTWARE/Microsoft/Windows/CurrentVersion/Internet Settings",
             "\"ProxyServer\"=\"http://u:canary-5d20@proxy:3128\"\r\n"),
        ], "tcpip": "SYSTEM/CurrentControlSet/Services/Tcpip/Parameters",
        export!("SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters",
            "\"SearchList\"=\"other\"\r\n"), Some("canary-5d20")),
    ]
}

fn policy_rows() -> Vec<Fixture> {
    vec![
        row!(settings::BROWSER_POLICY, [
            ("SOFTWARE\\Policies\\Google\\Chrome", "SOFTWARE/Policies/Google/Chrome",
             "\"ProxyServer\"=\"http://u:canary-21c0@p:3128\"\r\n"),
            ("SOFTWARE\\Policies\\Mozilla\\Firefox", "SOFTWARE/Policies/Mozilla/Firefox",
             "\"DisableTelemetry\"=dword:1\r\n"),
        ], "chrome": "SOFTWARE/Policies/Google/Chrome",
        export!("SOFTWARE\\Policies\\Google\\Chrome", "\"ShowHomeButton\"=dword:1\r\n"),
        Some("canary-21c0")),
        row!(firewall::FIREWALL, [
            ("SYSTEM\\CurrentControlSet\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\\
              FirewallRules",
             "SYSTEM/CurrentControlSet/Services/SharedAccess/Parameters/FirewallPolicy",
             "\"SIP\"=\"v2.31|Action=Allow|Active=TRUE|Dir=In|LPort=5060|LPort=5061|\
              Name=SIP|\"\r\n"),
        ], "local": "SYSTEM/CurrentControlSet/Services/SharedAccess/Parameters/FirewallPolicy",
        export!("SYSTEM\\CurrentControlSet\\Services\\SharedAccess\\Parameters\\FirewallPolicy\\\
            FirewallRules",
            "\"SIP\"=\"v2.31|Action=Block|\"\r\n"), None),
        uc_row(),
        row!(settings::REGISTRY, [
            ("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run",
             "SOFTWARE/Microsoft/Windows/CurrentVersion/Run",
             "\"Teams\"=\"C:\\\\Teams\\\\Update.exe --start\"\r\n"),
            ("SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Winlogon",
             "SOFTWARE/Microsoft/Windows NT/CurrentVersion/Winlogon",
             "\"Shell\"=\"explorer.exe\"\r\n\"DefaultPassword\"=\"canary-4410\"\r\n"),
        ], "run": "SOFTWARE/Microsoft/Windows/CurrentVersion/Run",
        export!("SOFTWARE\\Microsoft\\Windows\\CurrentVersion\\Run", "\"A\"=\"b\"\r\n"),
        Some("canary-4410")),
    ]
}

const JABBER: &str = "\
ServicesDomain: example.org\r\nServiceDiscoveryExcludedServices: WEBEX\r\n\
TftpServer: https://u:canary-90b3@tftp.example.org\r\nVoicemailPassword: canary-90b3\r\n";

fn uc_row() -> Fixture {
    let mut row = row!(settings::DESKTOP_UC_CLIENT, [
        ("SOFTWARE\\Policies\\Zoom\\Zoom Meetings\\General", "SOFTWARE/Policies/Zoom",
         "\"ProxyServer\"=\"http://u:canary-90b3@p:3128\"\r\n"),
        ("SOFTWARE\\Microsoft\\Teams", "SOFTWARE/Microsoft/Teams",
         "\"disableAutoUpdate\"=dword:1\r\n"),
        ("SOFTWARE\\WOW6432Node\\Cisco Spark Native", "SOFTWARE/WOW6432Node/Cisco Spark Native",
         "\"PreventPreloginUpdates\"=dword:1\r\n\"AccessToken\"=\"canary-90b3\"\r\n"),
    ], "zoom": "SOFTWARE/Policies/Zoom",
    export!("SOFTWARE\\Policies\\Zoom\\Zoom Meetings\\General",
        "\"ForceLoginWithSSO\"=dword:1\r\n"),
    Some("canary-90b3"));
    row.tree.push((settings::BOOTSTRAP, 0o644, JABBER));
    row
}

/// What a table says of a fixture, a line an item, without the attributes of its file.
fn said(fixture: &Fixture, read: Reader) -> Vec<String> {
    Planted::new(&fixture.tree).said(read)
}

fn row_of(told: &Product) -> Fixture {
    fixtures().into_iter().find(|row| (row.source)().name().as_str() == told.name).unwrap()
}

#[test]
fn accounts_are_told_without_a_word_of_their_passwords() {
    let row = row_of(&accounts::ACCOUNTS);
    assert_eq!(
        said(&row, accounts::ACCOUNTS.tables[0].read),
        [
            "alice/disabled = Flag(true)",
            "alice/full_name = Text(\"A. Liddell\")",
            "alice/id = Integer(1001)",
            "alice/locked = Flag(false)",
            "alice/no_password_needed = Flag(false)",
            "alice/password_never_expires = Flag(false)",
        ]
    );
    assert_eq!(
        said(&row, accounts::ACCOUNTS.tables[1].read),
        [
            "Administrators/id = Integer(544)",
            "Administrators/members = Set({Text(\"S-1-5-18\"), Text(\"S-1-5-32-544\")})",
        ]
    );
}

#[test]
fn jabber_and_webex_say_how_they_were_installed() {
    let (row, tables) = (uc_row(), settings::DESKTOP_UC_CLIENT.tables);
    let table = |name: &str| tables.iter().find(|table| table.name == name).unwrap().read;
    let told = said(&row, table("jabber_bootstrap"));
    assert_eq!(
        told[..2],
        [
            "ServiceDiscoveryExcludedServices = Text(\"WEBEX\")",
            "ServicesDomain = Text(\"example.org\")",
        ]
    );
    let told = said(&row, table("webex"));
    assert!(told.iter().any(|line| line.starts_with("host_32/PreventPreloginUpdates")), "{told:?}");
}

#[test]
fn a_rule_of_the_firewall_is_told_by_its_fields() {
    assert_eq!(
        said(&row_of(&firewall::FIREWALL), firewall::FIREWALL.tables[0].read),
        [
            "rules/SIP/Action = Text(\"Allow\")",
            "rules/SIP/Active = Text(\"TRUE\")",
            "rules/SIP/Dir = Text(\"In\")",
            "rules/SIP/LPort = Set({Text(\"5060\"), Text(\"5061\")})",
            "rules/SIP/Name = Text(\"SIP\")",
        ]
    );
}

#[test]
fn a_certificate_is_told_by_its_subject_with_its_fingerprint() {
    let told = said(&row_of(&stores::CERTIFICATES), stores::CERTIFICATES.tables[0].read);
    assert!(told.iter().any(|line| line.contains("not_after = Text(")), "{told:?}");
    assert!(told.iter().any(|line| line.contains("= Text(\"SHA256:")), "{told:?}");
}

#[test]
fn what_changes_by_itself_is_not_told() {
    let told = said(&row_of(&network::NETWORK), network::NETWORK.tables[0].read);
    assert_eq!(told, ["SearchList = Text(\"example\")"]);
    let told = said(&row_of(&settings::OS), settings::OS.tables[0].read);
    assert_eq!(told, ["ProductName = Text(\"Windows 10 Pro\")", "UBR = Integer(1)"]);
}

/// What `source` says of a tree of one file, part by part.
fn parts_of(told: &'static Product, file: &str, content: &str) -> BTreeMap<PartName, Part> {
    Planted::new(&[(file, 0o600, content)]).parts(&mut Registry::new(told))
}

fn unobserved(parts: &BTreeMap<PartName, Part>) -> Vec<(&str, Reason)> {
    let reason = |(name, part): (&'_ PartName, &Part)| match part {
        Part::Unobserved(reason) => Some((*reason, name.as_str().to_owned())),
        Part::Observed(_) => None,
    };
    let found: Vec<_> = parts.iter().filter_map(reason).collect();
    found.into_iter().map(|(reason, name)| (&*name.leak(), reason)).collect()
}

/// The items of a part, without the attributes of its file.
fn items_of<'a>(parts: &'a BTreeMap<PartName, Part>, name: &str) -> Vec<&'a ItemKey> {
    let Some(Part::Observed(observed)) = parts.get(&PartName::from_bytes(name.as_bytes())) else {
        panic!("{name} is not observed");
    };
    observed.items.keys().filter(|key| !key.is_attribute()).collect()
}

#[test]
fn one_certificate_that_is_none_blinds_itself_alone() {
    let key = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\SystemCertificates\ROOT\Certificates";
    let whole = stored("ROOT", ROOT);
    let with = format!("{whole}[{key}\\CD]\r\n\"Blob\"=hex:20,00\r\n");
    let (before, after) = (
        parts_of(&stores::CERTIFICATES, ROOT_FILE, whole),
        parts_of(&stores::CERTIFICATES, ROOT_FILE, &with),
    );
    assert_eq!(unobserved(&before), []);
    assert_eq!(
        unobserved(&after),
        [("root/SOFTWARE/Microsoft/SystemCertificates/ROOT/Certificates/CD", Reason::Malformed)]
    );
    assert!(!items_of(&before, "root").is_empty());
    assert_eq!(items_of(&before, "root"), items_of(&after, "root"));
    let scope = |parts: &BTreeMap<PartName, Part>| match &parts[&PartName::from_bytes(b"root")] {
        Part::Observed(observed) => observed.reading.scope,
        Part::Unobserved(reason) => panic!("{reason}"),
    };
    assert_ne!(scope(&before), scope(&after), "what went out of sight would be taken for removed");
}

#[test]
fn one_account_that_ends_too_early_blinds_itself_alone() {
    let key = r"HKEY_LOCAL_MACHINE\SAM\SAM\Domains\Account\Users";
    let broken = format!("[{key}\\000003EA]\r\n\"F\"=hex:00\r\n\"V\"=hex:00\r\n");
    let with = format!("{}{broken}", user("alice"));
    let parts = parts_of(&accounts::ACCOUNTS, USERS_FILE, &with);
    let place = "users/SAM/SAM/Domains/Account/Users/000003EA";
    assert_eq!(unobserved(&parts), [(place, Reason::Malformed)]);
    assert_eq!(items_of(&parts, "users").len(), 6);
}

#[test]
fn a_key_deeper_than_is_read_is_unobserved_and_its_kin_are_told() {
    let file = place!("SOFTWARE/Policies/Google/Chrome");
    let deep: String = (0..40).map(|step| format!("\\{step}")).collect();
    let policy = export!("SOFTWARE\\Policies\\Google\\Chrome", "\"Kin\"=dword:1\r\n");
    let key = format!("[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Google\\Chrome{deep}]\r\n");
    let with = format!("{policy}{key}\"Deep\"=dword:1\r\n");
    let parts = parts_of(&settings::BROWSER_POLICY, file, &with);
    let places = unobserved(&parts);
    assert_eq!(places.len(), 1);
    assert!(places[0].0.starts_with("chrome/SOFTWARE/Policies/Google/Chrome/0/1"), "{places:?}");
    assert_eq!(places[0].1, Reason::TooLarge);
    assert_eq!(items_of(&parts, "chrome"), [&ItemKey::of(["Kin"])]);
}
