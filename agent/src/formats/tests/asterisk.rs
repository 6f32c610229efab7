//! Asterisk: what a person would call the thing that changed.

use proptest::prelude::*;

use super::super::asterisk::{CHANNELS, DIALPLAN, FORMAT, VOICEMAIL};
use super::super::{claiming, script};
use super::{check, check_differs, check_same, leaks, render};

const PJSIP: &str = "\
[office](!)
type=endpoint
disallow=all
allow=ulaw,alaw
[alice](office)
auth=alice
[alice]
type=auth
password=kAn4ry
[alice]
type=aor
max_contacts=1
";

#[test]
fn an_object_is_named_by_its_section_and_type() {
    check(
        &FORMAT,
        PJSIP,
        &[
            "alice/type=aor = nothing",
            "alice/type=aor/max_contacts = 1",
            "alice/type=auth = nothing",
            r#"alice/type=auth/password = "kAn4ry""#,
            "alice/type=endpoint = nothing",
            r#"alice/type=endpoint/(inherits) = ["office"]"#,
            r#"alice/type=endpoint/auth = "alice""#,
            r#"office/type=endpoint = "template""#,
            r#"office/type=endpoint/allow = ["!all", "ulaw", "alaw"]"#,
        ],
    );
    // A friend may become a peer and stays who it is.
    check(&FORMAT, "[a]\ntype=peer", &["a = nothing", r#"a/type = "peer""#]);
}

#[test]
fn sections_of_one_name_without_a_type_stay_apart() {
    check(
        &FORMAT,
        "[a]\nx=1\n[a]\nx=2\n[b](far)\nx=3\n[b](other)\nx=4",
        &[
            "a = nothing",
            "a/#2 = nothing",
            "a/#2/x = 2",
            "a/x = 1",
            "b/(far) = nothing",
            r#"b/(far)/(inherits) = ["far"]"#,
            "b/(far)/x = 3",
            "b/(other) = nothing",
            r#"b/(other)/(inherits) = ["other"]"#,
            "b/(other)/x = 4",
        ],
    );
}

#[test]
fn a_section_may_go_on_and_a_value_may_grow() {
    check(
        &FORMAT,
        "[a]\ntype=aor\nx=1\n[a]\ntype=auth\n[a](+)\nx += 2\ny=3\n\
         [a](+type=auth)\nz=4\n[c](+)\nq=5",
        &[
            "a/type=aor = nothing",
            "a/type=aor/x = \"1 2\"",
            "a/type=aor/y = 3",
            "a/type=auth = nothing",
            "a/type=auth/z = 4",
            "c/(+)/q = 5",
        ],
    );
    check(
        &FORMAT,
        "[t](!)\nx=1\n[a](t)\nx += ,2",
        &[
            "a = nothing",
            r#"a/(inherits) = ["t"]"#,
            r#"a/x += = ",2""#,
            r#"t = "template""#,
            "t/x = 1",
        ],
    );
}

#[test]
fn comments_blanks_and_arrows_mean_nothing() {
    check_same(&FORMAT, "[a]\nx=1\ny = b;c", ";-- x\n --;[a] ; n\n\n  x => 1;;\n\ty=b ;-- c --;");
    check_same(&FORMAT, "[a]\nx=1\n[b]\ny=2", "[b]\ny=2\n[a]\nx=1");
    check(&FORMAT, "[a]\nx=1\\;2", &["a = nothing", r#"a/x = "1;2""#]);
    check(&FORMAT, "[a]\nx=", &["a = nothing", r#"a/x = """#]);
    check(&FORMAT, "[a]\nx=1\nx=2", &["a = nothing", "a/x = [1, 2]"]);
}

#[test]
fn order_counts_where_it_has_meaning() {
    check_differs(&FORMAT, "[a]\nallow=ulaw,alaw", "[a]\nallow=alaw,ulaw");
    check_same(&FORMAT, "[a]\ndisallow=all\nallow=ulaw\nallow=alaw", "[a]\nallow=!all,ulaw,alaw");
    check_differs(
        &FORMAT,
        "[a]\ndeny=0.0.0.0/0\npermit=10.0.0.0/8",
        "[a]\npermit=10.0.0.0/8\ndeny=0.0.0.0/0",
    );
    check_same(&FORMAT, "[a]\nmatch=10.0.0.1,10.0.0.2", "[a]\nmatch=10.0.0.2\nmatch=10.0.0.1");
    check_same(&FORMAT, "[m]\nload=a.so\nnoload=b.so", "[m]\nnoload=b.so\nload=a.so");
    check_same(&FORMAT, "[a]\nset_var=A=1\nset_var=B=2", "[a]\nset_var=B=2\nset_var=A=1");
}

#[test]
fn members_of_a_queue_are_ordered_where_the_strategy_rings_in_order() {
    let queue = |strategy, members: &str| format!("[sales]\nstrategy={strategy}\n{members}");
    let (ab, ba) = ("member => A\nmember => B,5", "member => B,5\nmember => A");
    check_same(&FORMAT, &queue("ringall", ab), &queue("ringall", ba));
    check_differs(&FORMAT, &queue("linear", ab), &queue("linear", ba));
    check(
        &FORMAT,
        &queue("linear", ab),
        &[
            "sales = nothing",
            "sales/member/A = nothing [0]",
            "sales/member/B = nothing [1]",
            "sales/member/B/penalty = 5",
            r#"sales/strategy = "linear""#,
        ],
    );
    let two = |first: &str, second: &str| format!("{first}\n{second}");
    let (a, b) = (queue("linear", ab), queue("linear", ab).replace("sales", "support"));
    check_same(&FORMAT, &two(&a, &b), &two(&b, &a));
}

#[test]
fn directives_are_items_and_nothing_is_followed_or_run() {
    check(
        &FORMAT,
        "#include \"pjsip.d/*.conf\"\n[a]\n#tryinclude <b.conf>\n#exec /bin/gen x\n\
         #unknown y\nno sign\n",
        &[
            "#exec/~1bin~1gen x = \"in [a]\" [2]",
            "#include/pjsip.d~1*.conf = nothing [0]",
            "#tryinclude/b.conf = \"in [a]\" [1]",
            "a = nothing",
            r##"a/(skipped lines) = ["#unknown y", "no sign"]"##,
        ],
    );
}

#[test]
fn what_asterisk_refuses_names_its_line() {
    check(&FORMAT, "\n[a\n", &["error: line 2: a section needs `]`"]);
    check(&FORMAT, "[a](b\n", &["error: line 1: a section's options need `)`"]);
    check(&FORMAT, "[a]\n\\\n", &["error: line 2: an escape of nothing"]);
}

const DIAL: &str = "\
[globals]
OUT=PJSIP/sbc
[internal]
include => features
exten => 100,1,Answer()
 same => n(ring),Dial(PJSIP/alice , 20)
 same => n,Authenticate(kAn4ry,a)
exten => 100,n+100,Hangup
exten => 100,hint,PJSIP/alice
exten => _9X.,1,Dial(IAX2/bob:kAn4ry@h/1)
";

#[test]
fn an_extension_is_a_sequence_of_steps() {
    check(
        &DIALPLAN,
        DIAL,
        &[
            "globals = nothing",
            r#"globals/OUT = "PJSIP/sbc""#,
            "internal = nothing",
            "internal/exten/100 = lines [\"Answer()\", \"(ring) Dial(PJSIP/alice , 20)\", \
             \"Authenticate(password=kAn4ry,a)\", \"104 Hangup\"]",
            r#"internal/exten/_9X. = lines ["Dial(IAX2://bob:kAn4ry@h/1)"]"#,
            r#"internal/hint/100 = "PJSIP/alice""#,
            r#"internal/include = ["features"]"#,
        ],
    );
}

#[test]
fn steps_are_ordered_by_priority_and_not_by_line() {
    let counted = "[a]\nexten => 1,1,A\nexten => 1,2,B\nexten => 1,3,C";
    check_same(&DIALPLAN, counted, "[a]\nexten => 1,1,A\nsame => n,B\nexten => 1,n,C");
    check_same(&DIALPLAN, counted, "[a]\nexten=1,3,C\nexten=1, 1 ,A\n[a]\nexten=1,2,B");
    check_differs(&DIALPLAN, counted, "[a]\nexten => 1,1,B\nexten => 1,2,A\nexten => 1,3,C");
    check_differs(&DIALPLAN, "[a]\ninclude => b\ninclude => c", "[a]\ninclude => c\ninclude => b");
    check(
        &DIALPLAN,
        "[a]\nsame => n,A\nexten => 1,x,B\nexten => 1,hint,C\nsame => n,D",
        &[
            "a = nothing",
            r#"a/(steps without a priority) = ["n,A", "1,x,B", "n,D"]"#,
            r#"a/hint/1 = "C""#,
        ],
    );
}

#[test]
fn a_mailbox_is_its_fields_and_its_password_is_marked() {
    check(
        &VOICEMAIL,
        "[general]\nformat=wav\n[default]\n\
         1234 => 4242,Bob,b@x,,attach=yes|imappassword=kAn4ry\n2 => ,Eve",
        &[
            "default = nothing",
            "default/1234 = nothing",
            r#"default/1234/email = "b@x""#,
            r#"default/1234/name = "Bob""#,
            r#"default/1234/options/attach = "yes""#,
            r#"default/1234/options/imappassword = "kAn4ry""#,
            r#"default/1234/password = "4242" secret"#,
            "default/2 = nothing",
            r#"default/2/name = "Eve""#,
            "default/2/password = nothing",
            "general = nothing",
            r#"general/format = "wav""#,
        ],
    );
}

#[test]
fn channels_take_the_settings_above_them() {
    check(
        &CHANNELS,
        "[channels]\ngroup=1\nsignalling=fxo_ks\nchannel => 1-4\ngroup=2\nchannel => 5\nrxgain=1\n",
        &[
            "channels = nothing",
            "channels/channel=1-4 = nothing [0]",
            "channels/channel=1-4/group = 1",
            r#"channels/channel=1-4/signalling = "fxo_ks""#,
            "channels/channel=5 = nothing [1]",
            "channels/channel=5/group = 2",
            "channels/rxgain = 1",
        ],
    );
    check_differs(&CHANNELS, "[c]\na=1\nchannel=1\nchannel=2", "[c]\na=1\nchannel=2\nchannel=1");
}

#[test]
fn no_secret_of_any_shape_leaves() {
    for (format, text) in [
        (&FORMAT, PJSIP),
        (&FORMAT, "[general]\nregister => bob:kAn4ry:auth@h:5060/ext\nauth = bob#kAn4ry@realm"),
        (&FORMAT, "[general]\nregister => tls://bob@dom:kAn4ry@h"),
        (&FORMAT, "[rooms]\nconf => 1234,kAn4ry,kAn4ry\n[agents]\nagent => 7,kAn4ry,Bob"),
        (&FORMAT, "[101@d]\npincode=kAn4ry\nsecret=kAn4ry\nvmsecret=kAn4ry\nmd5_cred=kAn4ry"),
        (&FORMAT, "[a]\nset_var=SIP_PASSWORD=kAn4ry\nurl=mysql://u:kAn4ry@h/db"),
        (&FORMAT, "[a]\n#exec /bin/x --password kAn4ry\npassword kAn4ry"),
        (&FORMAT, "1234 -> kAn4ry,Bob"),
        (&VOICEMAIL, "[default]\n1234 => kAn4ry,Bob\nbob => kAn4ry\n1234 -> kAn4ry,Bob"),
        (&DIALPLAN, DIAL),
        (&DIALPLAN, "[a]\nexten => 1,1,MeetMe(1,i,kAn4ry)\nsame => n,DISA(kAn4ry|ctx)"),
        (&DIALPLAN, "[a]\nexten => 1,1,Set(DB_PASSWORD=kAn4ry)\nswitch => IAX2/u:kAn4ry@h/c"),
        (&DIALPLAN, "[globals]\nTRUNK=IAX2/u:kAn4ry@h"),
        (&CHANNELS, "[general]\nsecret=kAn4ry\nchannel=1"),
        (&script::AEL, "globals { TRUNK=IAX2/u:kAn4ry@h; PASSWORD=kAn4ry; };"),
        (&script::LUA, "TRUNK = \"IAX2/u:kAn4ry@h\"\npassword = \"kAn4ry\""),
        (&script::TOOLS, "# x\nDBI_PASS=kAn4ry\n"),
    ] {
        assert!(text.contains("kAn4ry"));
        leaks(format, text, "kAn4ry");
    }
    leaks(&FORMAT, "[default]\n1234 => 94242,Bob", "94242");
    leaks(&FORMAT, "1234 => 94242", "94242");
}

#[test]
fn a_file_is_claimed_by_its_place_its_name_and_its_first_lines() {
    for (path, head, name) in [
        ("/etc/asterisk/pjsip.conf", "", "asterisk"),
        ("/etc/asterisk/pjsip.d/alice.conf", "[alice]\n", "asterisk"),
        ("/etc/asterisk/dial/x.conf", "[a]\nexten => 1,1,A\n", "asterisk_dialplan"),
        ("/etc/asterisk/extensions.conf", "; c\n", "asterisk_dialplan"),
        ("/etc/asterisk/voicemail_users.conf", "1 => 2,x\n", "asterisk_voicemail"),
        ("/etc/asterisk/chan_dahdi.conf", "[channels]\n", "asterisk_channels"),
        ("/etc/asterisk/dbsep.conf", "# c\na=b\n", "asterisk_tools"),
        ("/etc/asterisk/extensions.ael", "context a {}", "asterisk_ael"),
        ("/etc/asterisk/extensions.lua", "-- c", "lua"),
        ("/samples/oss.conf.sample", "# made\n\n[general]\n; c\n", "asterisk"),
        ("/samples/rtp.conf.sample", ";\n; RTP\n;\n[general]\n", "asterisk"),
        ("/basic-pbx/queues.conf", "[general]\n", "asterisk"),
        ("/opt/pbx/modules.conf", "[modules]\nload => x.so\n", "asterisk"),
        ("/etc/app/modules.conf", "[modules]\nload = x\n", "ini"),
        ("/etc/logger.conf", "[loggers]\nkeys=root\n", "ini"),
        ("/samples/dbsep.conf.sample", "# c\n", "asterisk_tools"),
        ("/etc/asterisk/pjsip_more.conf", "#include \"a\"\n", "asterisk"),
        ("/etc/asterisk/manager.conf", "#tryinclude a.conf\n[general]\n", "asterisk"),
        ("/etc/asterisk/pjsip.conf", "#exec /bin/x\n", "asterisk"),
        ("/etc/asterisk/pjsip.conf", "# Ansible managed\n[a]\ntype=aor\n", "asterisk"),
        ("/etc/asterisk/queues.conf", "# Managed\n\n#include a.conf\n", "asterisk"),
        ("/etc/asterisk/other.conf", "# a tool\nA=b\n", "asterisk_tools"),
        ("/etc/fail2ban/filter.d/asterisk.conf", "# Filter\n[A]\nb=c\n", "ini"),
        ("/etc/foo.conf.sample", "# c\n[a]\n", "commented"),
        ("/etc/php.conf", "[a]\nb=c\n", "ini"),
    ] {
        assert_eq!(claiming(path, head.as_bytes()).unwrap().name, name, "{path} {head:?}");
    }
}

#[test]
fn programs_are_kept_by_line_without_comments_and_layout() {
    check(
        &script::AEL,
        "globals { A=\"x;y\"; // c\n};\n\
         context a {\n /* b */ 1 => {\n Dial(${X}/1,\n 20);\n };\n};\n",
        &[
            r#"context a = lines ["1 => {", "Dial(${X}/1, 20)", "}"]"#,
            r#"globals = lines ["A=\"x;y\""]"#,
        ],
    );
    check_same(&script::AEL, "context a { b => c; }", "// x\ncontext a\n{\n\tb => c;\n}\n");
    check(
        &script::LUA,
        "a = \"--x\" -- c\n--[[ d\n e ]] b = [[--y]]\n\n  c  =  'z'\n",
        &[r#"lines = lines ["a = \"--x\"", "b = [[--y]]", "c = 'z'"]"#],
    );
    check_same(&script::ADSI, "A \"x\" ; c\n; d\n", "A  \"x\"\n");
}

/// A comment on lines of its own.
const NOTE: &str = "( {0,3};( |[a-z=\\[\\]])[ -:<-~]{0,20}|[ \t]{0,3}|;-- [a-z ;\n=\\[]{0,12} --;)";

/// A file of each meaning, to which comments are added.
const SAMPLES: &[(&super::Format, &str)] = &[
    (&FORMAT, PJSIP),
    (&DIALPLAN, DIAL),
    (&VOICEMAIL, "[general]\na=b\n[default]\n1 => 2,x\n"),
    (&CHANNELS, "[channels]\na=1\nchannel => 1\nb=2\nchannel => 2\n"),
];

proptest! {
    #[test]
    fn comments_mean_nothing_wherever_they_stand(
        notes in proptest::collection::vec((0usize..12, NOTE), 0..4),
        tails in proptest::collection::vec((0usize..12, "[ \t]{0,2};( [ -:<-~]{0,9})?"), 0..4),
    ) {
        for (format, sample) in SAMPLES {
            let mut lines: Vec<String> = sample.lines().map(str::to_owned).collect();
            for (at, tail) in &tails {
                let at = (*at).min(lines.len() - 1);
                lines[at].push_str(tail);
            }
            for (at, note) in &notes {
                lines.insert((*at).min(lines.len()), note.clone());
            }
            let edited = lines.join("\n");
            prop_assert_eq!(
                render(format, edited.as_bytes()),
                render(format, sample.as_bytes()),
                "{} reading {:?}", format.name, edited
            );
        }
    }

    #[test]
    fn any_lines_give_items_or_an_error(
        lines in proptest::collection::vec(prop_oneof![
            Just("[a](!)"), Just("[a](b,+)"), Just("[b](a)"), Just("[a](+type=x)"), Just("type=x"),
            Just("x += 1"), Just("exten => 1,n,A(b"), Just("same => s+9223372036854775807(l),B"),
            Just("exten => ,hint"), Just("member => ,,,,,,,,"), Just("register => @:@"),
            Just("1 => ,,,,|=|"), Just("conf => ,,"), Just("\\;"), Just("\\=a=b"), Just("#include"),
            Just("channel => "), Just("setvar = ="), Just("permit"), Just("deny="), Just(";--"),
            Just("--;"), Just("[]()"), Just("+="), Just("auth=é@#:@é"), Just("\\é=1"),
        ], 0..30),
    ) {
        let text = lines.join("\n");
        for format in [&FORMAT, &DIALPLAN, &VOICEMAIL, &CHANNELS, &script::AEL, &script::LUA] {
            let items = render(format, text.as_bytes());
            prop_assert_eq!(items, render(format, text.as_bytes()));
        }
    }
}
