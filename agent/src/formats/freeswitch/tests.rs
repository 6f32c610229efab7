//! What FreeSWITCH reads in its files, and what only looks like a change.

use super::super::claiming;
use super::super::tests::{check, check_differs, check_same};
use super::FORMAT;

#[test]
fn settings_are_named_as_the_modules_look_them_up() {
    check(
        &FORMAT,
        r#"<include>
  <X-PRE-PROCESS cmd="set" data="default_password=1234"/>
  <profile name="internal"><settings>
    <param name="inbound-codec-prefs" value="OPUS,PCMU"/>
  </settings></profile>
  <user id="1000"><params><param name="vm-password" value="9"/></params></user>
  <tier agent="a@x" queue="q@x" level="1"/>
</include>"#,
        &[
            r#"X-PRE-PROCESS/set/default_password = "1234" [1]"#,
            "include = nothing [0]",
            "profile/internal = nothing [2]",
            "profile/internal/settings = nothing [3]",
            r#"profile/internal/settings/param/inbound-codec-prefs = "OPUS,PCMU" [4]"#,
            "tier/a@x/q@x = nothing [8]",
            r#"tier/a@x/q@x/@level = "1""#,
            "user/1000 = nothing [5]",
            "user/1000/params = nothing [6]",
            r#"user/1000/params/param/vm-password = "9" [7]"#,
        ],
    );
}

#[test]
fn the_dial_plan_is_read_in_its_order() {
    check(
        &FORMAT,
        r#"<extension name="x" continue="true"><condition field="dest" expression="^1$">
<action application="set" data="a=b=c"/><action application="answer"/>
<anti-action application="bridge" data="user/1"/><action application="answer"/>
</condition></extension>"#,
        &[
            "extension/x = nothing [0]",
            r#"extension/x/@continue = "true""#,
            r#"extension/x/condition/dest = "^1$" [1]"#,
            "extension/x/condition/dest/action/answer = nothing [3]",
            "extension/x/condition/dest/action/answer/#2 = nothing [5]",
            r#"extension/x/condition/dest/action/set/a = "b=c" [2]"#,
            r#"extension/x/condition/dest/anti-action/bridge = "user/1" [4]"#,
        ],
    );
    let plan = |first: &str, second: &str| {
        format!(
            "<context name='c'><extension name='{first}'/><extension name='{second}'/></context>"
        )
    };
    check_differs(&FORMAT, &plan("a", "b"), &plan("b", "a"));
}

#[test]
fn comments_white_space_and_the_order_of_attributes_mean_nothing() {
    let plain = r#"<settings><param name="a" value="1"/></settings>"#;
    for same in [
        "<?xml version=\"1.0\"?>\n<settings>\n\t<param\n value='1' name=\"a\"  />\n</settings>\n",
        "<!-- x --><settings><!-- <param name='b' value='2'/> --><param name='a' value='1'></param>\
        </settings><!-- an X-PRE-PROCESS line cannot be commented out -->",
        "<!--#comment\n<X-PRE-PROCESS cmd=\"set\" data=\"a=b\"/>\n--><settings><param name='a' \
        value='&#49;'/></settings>",
    ] {
        check_same(&FORMAT, plain, same);
    }
    for other in [
        r#"<settings><param name="a" value="1 "/></settings>"#,
        r#"<settings><param name="a" data="1"/></settings>"#,
        r#"<settings><param id="a" value="1"/></settings>"#,
        r#"<settings><param name="a">1</param></settings>"#,
        r#"<settings><param name="a" value="1"/><x/></settings>"#,
        r#"<settings><param name="a" value="1"/>x</settings>"#,
        r#"<include><settings><param name="a" value="1"/></settings></include>"#,
        r#"<settings x="1"><param name="a" value="1"/></settings>"#,
    ] {
        check_differs(&FORMAT, plain, other);
    }
}

#[test]
fn a_command_in_a_comment_is_in_force() {
    check(
        &FORMAT,
        "<a><!--\n <X-PRE-PROCESS cmd=\"set\" data=\"password=1\"/>\nX-PRE-PROCESS cmd=\"set\" \
        data=\"b=1\"\n--><!--#include \"x/*.xml\"--><!-- <Z-PRE-PROCESS cmd=\"set\" data=\"c=1\"/> \
        --></a>",
        &[
            "X-PRE-PROCESS in a comment/include/x~1*.xml = nothing [2]",
            r#"X-PRE-PROCESS in a comment/set/password = "1" [1]"#,
            "a = nothing [0]",
        ],
    );
}

#[test]
fn what_is_no_xml_says_where() {
    for (text, line) in
        [("<a>", 1), ("<a/>\n<b/>", 2), ("<a b='x&y'/>", 1), ("<a>\n<!-- -- --></a>", 2), ("", 1)]
    {
        check(&FORMAT, text, &[&format!("error: line {line}: this is no well-formed XML")]);
    }
}

#[test]
fn its_files_are_known_by_name_and_by_what_they_hold() {
    for (path, head, name) in [
        ("/etc/freeswitch/dialplan/default/01.xml", "<include>", "freeswitch"),
        ("/etc/vanilla/autoload_configs/sofia.conf.xml", "", "freeswitch"),
        ("/etc/odd/x.xml", "<include>\n <x-pre-process cmd", "freeswitch"),
        ("/etc/freeswitch/vars.xml.orig", "", "freeswitch"),
        ("/etc/fonts/fonts.xml", "<fonts/>", "xml"),
        ("/etc/odd/noname", "<?xml version='1.0'?>", "xml"),
        ("/etc/odd/freeswitch/notes", "", "text"),
    ] {
        assert_eq!(claiming(path, head.as_bytes()).unwrap().name, name, "{path}");
    }
}

#[test]
fn the_pin_of_a_conference_stands_behind_its_name() {
    let conference = |data: &str| format!("<action application='conference' data='{data}'/>");
    for (data, expected) in [
        ("1@default", "1@default"),
        ("1@default+4321", "1@default pin=4321"),
        ("1@default+4321+flags{mute}", "1@default+flags{mute} pin=4321"),
        ("1@default+flags{mute}", "1@default+flags{mute}"),
        ("1@default++flags{mute}", "1@default++flags{mute}"),
        ("1@default+${pin}", "1@default+${pin}"),
    ] {
        let expected = format!("action/conference = \"{expected}\" [0]");
        check(&FORMAT, &conference(data), &[&expected]);
    }
}
