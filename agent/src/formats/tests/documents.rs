//! Documents of other worlds: HOCON, PipeWire, properties, the registry, property lists.

use super::super::{claiming, hocon, plist, properties, registry};
use super::{check, check_differs, check_same, leaks};

#[test]
fn hocon_is_a_tree_whatever_its_dress() {
    let text = "\
// of a bridge
videobridge {
  http-servers { public.port = 9090 }
  apis.rest = { enabled = true }
  ports = [ 10000, \"10001\" ]
  greeting = hello to you # all
}
videobridge.http-servers.public.host = ${HOST}
extra += one
";
    check(
        &hocon::FORMAT,
        text,
        &[
            "extra = [\"one\"]",
            "videobridge/apis/rest/enabled = true",
            "videobridge/greeting = \"hello to you\"",
            "videobridge/http-servers/public/host = \"${HOST}\"",
            "videobridge/http-servers/public/port = 9090",
            "videobridge/ports = [10000, \"10001\"]",
        ],
    );
    check_same(&hocon::FORMAT, "a { b = 1 }", "{\"a\": {\"b\": 1}}");
    check_same(&hocon::FORMAT, "a = 1, b = 2", "b = 2\n\na = 1 // no\n");
    check_differs(&hocon::FORMAT, "a = [1, 2]", "a = [2, 1]");
    check(
        &hocon::FORMAT,
        "include \"b.conf\" # first\na { include required(file(\"c, d.conf\")), x = 1 }\n\
         include url(\"e\")\nincludes = 2",
        &[
            "a/include = [\"required(file(\\\"c, d.conf\\\"))\"]",
            "a/x = 1",
            "include = [\"\\\"b.conf\\\"\", \"url(\\\"e\\\")\"]",
            "includes = 2",
        ],
    );
    check(&hocon::FORMAT, "a = \"\"\"x\"y\"\"\"", &["a = \"x\\\"y\""]);
    for (text, error) in [
        ("a {\n", "error: line 2: a brace is not closed"),
        ("a = [1\n", "error: line 2: a bracket is not closed"),
        ("\na\n", "error: line 2: a member needs `=`"),
        ("a = \"x\n", "error: line 2: a string is not closed"),
        ("{a=1} b", "error: line 1: something stands after the end"),
    ] {
        check(&hocon::FORMAT, text, &[error]);
    }
    assert_eq!(claiming("/etc/jitsi/jicofo/jicofo.conf", b"").unwrap().name, "hocon");
}

#[test]
fn pipewire_separates_by_blanks() {
    let text = "\
context.properties = {
    default.clock.rate = 48000   # Hz
    default.clock.allowed-rates = [ 44100 48000 ]
}
context.modules = [
    { name = libpipewire-module-rt args = { nice.level = -11 } flags = [ ifexists nofail ] }
]
";
    check(
        &hocon::PIPEWIRE,
        text,
        &[
            "context.modules/(order) = [\"libpipewire-module-rt\"]",
            "context.modules/libpipewire-module-rt/args/nice.level = -11",
            "context.modules/libpipewire-module-rt/flags = [\"ifexists\", \"nofail\"]",
            "context.modules/libpipewire-module-rt/name = \"libpipewire-module-rt\"",
            "context.properties/default.clock.allowed-rates = [44100, 48000]",
            "context.properties/default.clock.rate = 48000",
        ],
    );
    let path = "/etc/pipewire/pipewire.conf.d/10-rate.conf";
    assert_eq!(claiming(path, b"a = 1").unwrap().name, "pipewire");
}

#[test]
fn properties_are_read_as_java_does() {
    check(
        &properties::FORMAT,
        "# a\n! b\nhost = sip.example.org\nport:5060\nname two\nlong = a\\\n   b\n\
         key\\ with = \\u0041\\t\nempty\n",
        &[
            "empty = nothing",
            "host = \"sip.example.org\"",
            "key with = \"A\\t\"",
            "long = \"a b\"",
            "name = \"two\"",
            "port = 5060",
        ],
    );
    check(&properties::FORMAT, "a = \\u00\n", &["error: line 1: an escape is cut short"]);
    leaks(&properties::FORMAT, "jdbc.password = canary-71fa\n", "canary-71fa");
}

const EXPORT: &str = "\
Windows Registry Editor Version 5.00

; policies
[HKEY_LOCAL_MACHINE\\SOFTWARE\\Policies\\Teams]
\"Proxy\"=\"c:\\\\a \\\"b\\\"\"
\"Port\"=dword:000013c4
@=\"x\"
\"Blob\"=hex(2):25,00,\\
  50,00
\"Gone\"=-

[-HKEY_CURRENT_USER\\Software\\Old]
";

#[test]
fn an_export_of_the_registry_is_read_in_both_its_encodings() {
    let expect = [
        "HKEY_CURRENT_USER/Software/Old/(removed) = nothing",
        "HKEY_LOCAL_MACHINE/SOFTWARE/Policies/Teams = nothing",
        "HKEY_LOCAL_MACHINE/SOFTWARE/Policies/Teams/(default) = \"x\"",
        "HKEY_LOCAL_MACHINE/SOFTWARE/Policies/Teams/Blob = \"hex(2):25,00,50,00\" secret",
        "HKEY_LOCAL_MACHINE/SOFTWARE/Policies/Teams/Gone = \"(removed)\"",
        "HKEY_LOCAL_MACHINE/SOFTWARE/Policies/Teams/Port = 5060",
        "HKEY_LOCAL_MACHINE/SOFTWARE/Policies/Teams/Proxy = \"c:\\\\a \\\"b\\\"\"",
    ];
    check(&registry::FORMAT, EXPORT, &expect);
    let mut wide = vec![0xff, 0xfe];
    wide.extend(EXPORT.replace('\n', "\r\n").encode_utf16().flat_map(u16::to_le_bytes));
    assert_eq!(claiming("/etc/a.reg", &wide).unwrap().name, "registry");
    assert_eq!(
        (registry::FORMAT.read)(&wide).unwrap(),
        (registry::FORMAT.read)(EXPORT.as_bytes()).unwrap()
    );
    for (text, error) in [
        ("[x]\n", "error: line 1: the heading of an export is missing"),
        ("REGEDIT4\n\"a\"=\"b\"\n", "error: line 2: a value outside a key"),
        ("REGEDIT4\n[x\n", "error: line 2: a key needs `]`"),
        ("REGEDIT4\n[x]\n\"a\"=what\n", "error: line 3: a value of no known kind"),
        ("REGEDIT4\n[x]\na=1\n", "error: line 3: a value is `\"name\"=value`"),
    ] {
        check(&registry::FORMAT, text, &[error]);
    }
    let secret = "REGEDIT4\n[HKLM\\a]\n\"Password\"=\"canary-90ab\"\n";
    leaks(&registry::FORMAT, secret, "canary-90ab");
    let bytes = "REGEDIT4\n[HKLM\\IPSec]\n\"ipsecData\"=hex:63,61,6e,61,72,79\n";
    leaks(&registry::FORMAT, bytes, "63,61,6e,61,72,79");
}

const LIST: &str = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<plist version=\"1.0\">
<dict>
  <key>Label</key><string>org.example.agent</string>
  <key>KeepAlive</key><true/>
  <key>Nice</key><integer>10</integer>
  <key>ProgramArguments</key><array><string>/bin/a</string><string>run</string></array>
  <key>Key</key><data>AAEC
    AwQ=</data>
</dict>
</plist>
";

#[test]
fn a_property_list_is_a_tree() {
    check(
        &plist::FORMAT,
        LIST,
        &[
            "KeepAlive = true",
            "Key = \"AAECAwQ=\"",
            "Label = \"org.example.agent\"",
            "Nice = 10",
            "ProgramArguments = [\"/bin/a\", \"run\"]",
        ],
    );
    assert_eq!(claiming("/etc/a.plist", LIST.as_bytes()).unwrap().name, "plist");
    for (text, error) in [
        ("<plist><dict><true/></dict></plist>", "error: line 1: a value without a key"),
        ("<plist><dict><key>a</key></dict></plist>", "error: line 1: a key without a value"),
        ("<plist>\n<what/></plist>", "error: line 2: an element that no list has"),
        ("<plist></plist>", "error: line 1: a list has one value"),
        ("<x/>", "error: line 1: the root is no `plist`"),
    ] {
        check(&plist::FORMAT, text, &[error]);
    }
    let secret = "<plist><dict><key>Password</key><string>canary-12aa</string></dict></plist>";
    leaks(&plist::FORMAT, secret, "canary-12aa");
}

#[test]
fn a_key_of_a_hundred_thousand_steps_is_refused_and_ends_nothing() {
    let deep = format!("{}a = 1\n", "a.".repeat(100_000));
    assert!((hocon::FORMAT.read)(deep.as_bytes()).is_err());
}
