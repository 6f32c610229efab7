//! What a file costs that somebody wrote to make its reader work.

use driftline_protocol::item::key_bytes;

use super::*;
use crate::formats::build::CUT_KEYS;

/// One long name, and how many lines stand below it.
const NAME_BYTES: usize = 16 * 1024;
const MEMBERS: usize = 1_000;

/// What stands before many lines, one of them, and what stands behind: `NAME` is the long name, `#`
/// the number of the line.
const SHAPES: &[[&str; 3]] = &[
    ["[NAME]\n", "k# = v\n", ""],
    ["[NAME]\n", "k = v#\n", ""],
    ["[NAME]\n", "exten => #,1,NoOp()\n", ""],
    ["[NAME]\n", "same => n,NoOp(#)\n", ""],
    ["[server:NAME]\n", "k# = v\n", ""],
    ["[HKEY_LOCAL_MACHINE\\NAME]\n", "\"k#\"=\"v\"\n", ""],
    ["Windows Registry Editor Version 5.00\n[HKEY_LOCAL_MACHINE\\NAME]\n", "\"k#\"=\"v\"\n", ""],
    ["{\"NAME\": {", "\"k#\": 1,\n", "\"k\": 1}}"],
    ["{\"NAME\": [", "{\"id\": #, \"k\": 1},\n", "{\"id\": \"x\"}]}"],
    ["{\"NAME\": [", "{\"k\": 1},\n", "{}]}"],
    ["NAME:\n", "  k#: v\n", ""],
    ["NAME:\n", "  - {k: v#}\n", ""],
    ["NAME {\n", "k# = v\n", "}\n"],
    ["NAME = {\n", "  k# = 1;\n", "}\n"],
    ["<NAME>", "<k#>v</k#>\n", "</NAME>"],
    ["<NAME>", "<k v='#'/>\n", "</NAME>"],
    ["<a><b name='NAME'>", "<param name='k#' value='v'/>\n", "</b></a>"],
    ["<plist><dict><key>NAME</key><dict>", "<key>k#</key><true/>\n", "</dict></dict></plist>"],
    ["<Printer NAME>\n", "Option k# v\n", "</Printer>\n"],
    ["VirtualHost \"NAME\"\n", "  k# = 1\n", ""],
    ["VirtualHost \"NAME\"\n", "  k# = { a = 1 }\n", ""],
    ["route[NAME] {\n", "  f#();\n", "}\n"],
    ["request_route {\n  NAME();\n", "  f#();\n", "}\n"],
    ["Match User NAME\n", "  Port #\n", ""],
    ["Match User NAME\n", "  SetEnv k#=1\n", ""],
    ["table inet NAME {\n  chain c {\n", "    tcp dport # accept\n", "  }\n}\n"],
    ["table inet NAME {\n", "  chain c# {\n  }\n", "}\n"],
    ["*NAME\n", "-A INPUT -p tcp --dport # -j ACCEPT\n", "COMMIT\n"],
    ["*filter\n:NAME - [0:0]\n", "-A INPUT -p tcp --dport # -j ACCEPT\n", "COMMIT\n"],
    ["NAME ALL = \\\n", "/bin/k#, \\\n", "/a\n"],
    ["NAME=1\n", "k#=1\n", ""],
    ["user=NAME:x\n", "k#=1\n", ""],
];

/// Bytes of keys, not time: what is bounded here is the work. Each long key may cost the whole
/// file, a bounded number of times; any other what it has.
#[test]
fn no_name_is_taken_more_often_than_its_bound_whatever_stands_below_it() {
    let mut most = 0;
    for format in ALL {
        for [head, line, tail] in SHAPES {
            let name = "n".repeat(NAME_BYTES);
            let lines = (0..MEMBERS).map(|number| line.replace('#', &number.to_string()));
            let text = format!("{head}{}{tail}", lines.collect::<String>()).replace("NAME", &name);
            let before = key_bytes();
            let read = (format.read)(text.as_bytes());
            let work = key_bytes() - before;
            let long = u64::from(CUT_KEYS) * 3 * text.len() as u64;
            let short = (MEMBERS * limits::ITEM_KEY_BYTES) as u64;
            most = most.max(work);
            let said = read.map(|items| items.len());
            let place = (format.name, head, line);
            assert!(work <= long + short, "{place:?}: {work} bytes of keys for {said:?}");
        }
    }
    assert!(most > (NAME_BYTES * 100) as u64, "no format had a long name above its lines");
}
