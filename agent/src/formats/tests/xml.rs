//! XML in general.

use super::super::{claiming, xml::FORMAT};
use super::{check, check_differs, check_same};

#[test]
fn elements_have_the_key_that_documents_give_them() {
    check(
        &FORMAT,
        "<server port='8005'><port>1</port><port> 2  3 </port><add key='Password' value='x'/>\
        <env name='token'>t</env>a <b>c</b> d<?go  now?></server>",
        &[
            "server = nothing [0]",
            r#"server/(text) = "a" [6]"#,
            r#"server/(text)/#2 = "d" [8]"#,
            r#"server/?go = "now" [9]"#,
            r#"server/@port = "8005""#,
            r#"server/add/key=Password = "x" [3]"#,
            r#"server/b = "c" [7]"#,
            "server/env/token = nothing [4]",
            r#"server/env/token/(text) = "t" [5] secret"#,
            r#"server/port = "1" [1]"#,
            r#"server/port/#2 = "2 3" [2]"#,
        ],
    );
}

#[test]
fn what_canonical_xml_keeps_is_kept() {
    for (one, other) in [
        ("<a x='1' y='2'/>", "<a y='2' x='1'></a>"),
        ("<a>&lt;b</a>", "<a><![CDATA[<b]]></a>"),
        ("<a>bc</a>", "<a>b<!-- x -->c</a>"),
        ("<a xmlns='u'><b/></a>", "<a xmlns='u'><b xmlns='u'/></a>"),
        ("<!DOCTYPE a [<!ENTITY e \"x\">]><a>&e;</a>", "<a>x</a>"),
        ("<a>\r\nb</a>", "<a>b</a>"),
    ] {
        check_same(&FORMAT, one, other);
    }
    for (one, other) in [
        ("<a xmlns='u'/>", "<a/>"),
        ("<a xmlns:p='u'><p:b/></a>", "<a xmlns:q='u'><q:b/></a>"),
        ("<a x=' 1'/>", "<a x='1'/>"),
        ("<a>b\u{a0}c</a>", "<a>b c</a>"),
        ("<a><b/>c</a>", "<a>c<b/></a>"),
        ("<a><b/><c/></a>", "<a><c/><b/></a>"),
        ("<a/>", "<?p q?><a/>"),
        ("<a><x/><x/></a>", "<a><x/><x name='2'/></a>"),
        ("<a name='@b'/>", "<a b=''/>"),
    ] {
        check_differs(&FORMAT, one, other);
    }
}

#[test]
fn entities_that_grow_are_not_followed() {
    let grows = "<!DOCTYPE a [<!ENTITY b \"xx\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>";
    let often =
        format!("<!DOCTYPE a [<!ENTITY b \"{}\">]><a>{}</a>", "x".repeat(999), "&b;".repeat(999));
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    let attributes: String = (0..600).map(|n| format!(" a{n}='x'")).collect();
    let crowded = format!("<a{attributes}/>");
    let hidden = format!("<!DOCTYPE a [<!-- ' --><!ENTITY e \"<b c='\">]><a{attributes}/>");
    let spaces = format!("<a>{}</a>", "<b xmlns='c'/>".repeat(5_000));
    for text in [grows, &often, &deep, &crowded, &hidden, &spaces] {
        check(&FORMAT, text, &["error: content passes a bound of number or depth"]);
    }
    let script = format!("<a>{}</a>", "x = 'y';".repeat(600));
    assert!((FORMAT.read)(script.as_bytes()).is_ok());
    check(&FORMAT, "<a>&b;</a>", &["error: line 1: this is no well-formed XML"]);
}

#[test]
fn an_element_may_say_what_the_next_one_holds() {
    check(
        &FORMAT,
        "<d><key>Password</key><string>x7</string><key>Label</key><string>a</string>\
        <p><name>db.password</name><type>t</type><value>x8</value></p>\
        <q><param-name>pin</param-name><param-value>12</param-value></q>\
        <key>Token</key><true/></d>",
        &[
            "d = nothing [0]",
            r#"d/key = "Password" [1]"#,
            r#"d/key/#2 = "Label" [3]"#,
            r#"d/key/#3 = "Token" [12]"#,
            "d/p = nothing [5]",
            r#"d/p/name = "db.password" [6]"#,
            r#"d/p/type = "t" [7]"#,
            r#"d/p/value = "x8" [8] secret"#,
            "d/q = nothing [9]",
            r#"d/q/param-name = "pin" [10]"#,
            r#"d/q/param-value = "12" [11] secret"#,
            r#"d/string = "x7" [2] secret"#,
            r#"d/string/#2 = "a" [4]"#,
            "d/true = nothing [13]",
        ],
    );
}

#[test]
fn a_file_says_itself_that_it_is_xml() {
    for (head, name) in [
        ("<?xml version='1.0'?><a/>", "xml"),
        ("\u{feff}<?xml version='1.0'?><a/>", "xml"),
        ("<!DOCTYPE busconfig SYSTEM 'x'>\n<busconfig/>", "xml"),
        ("<!DOCTYPE html><p>", "commented"),
        ("<a/>", "commented"),
    ] {
        assert_eq!(claiming("/etc/x.conf", head.as_bytes()).unwrap().name, name, "{head}");
    }
}
