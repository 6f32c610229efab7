//! What the clients' own libraries read of settings, one by one.

use super::*;
use crate::sources::oracle::settings::{Script, Settings, told};

const LIBLINPHONE: Script = Script {
    python: "python3",
    path: "sources/desktop_uc_client/tests/linphonerc.py",
    missing: "OSError: liblinphone",
};
const QSETTINGS: Script = Script {
    // Debian's packages are for Debian's Python.
    python: "/usr/bin/python3",
    path: "sources/desktop_uc_client/tests/qsettings.py",
    missing: "No module named 'PySide2'",
};
const PYTHON: Script = Script {
    python: "python3",
    path: "sources/desktop_uc_client/tests/teams_config.py",
    missing: "No module named 'json'",
};

/// Holds what `ours` makes of each text against what the script prints of it, as `read` takes
/// that: at least so many values.
#[track_caller]
fn compare(
    texts: &[&[u8]],
    (script, read, least): (Script, fn(Settings) -> Settings, usize),
    ours: impl Fn(&[u8]) -> RawItems,
) {
    let folder = tempfile::tempdir().unwrap();
    let files = (0..).zip(texts).map(|(n, text): (usize, _)| {
        let path = folder.path().join(n.to_string());
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    });
    let Some(theirs) = script.printed(&files.collect::<Vec<_>>()) else { return };
    let mut compared = 0;
    for (text, theirs) in texts.iter().zip(theirs) {
        let theirs = read(theirs.unwrap());
        compared += theirs.values().map(Vec::len).sum::<usize>();
        assert_eq!(told(&ours(text)), theirs, "{}", String::from_utf8_lossy(text));
    }
    eprintln!("{compared} settings compared");
    assert!(compared >= least, "only {compared}");
}

const LINPHONE: &[&[u8]] = &[
    LINPHONERC.as_bytes(),
    b"[a]\nx=1\nx=\ny=\ny=2\nz=  \nw= \t\nv=\t\n",
    b"[a b]\nx=1\n[ c=d e ]\ny=2\n[f]g]\nz=3\n",
    b"\t[a]\nx=1\n  [b]\ny=2\n[c] \t\nz=1\n x=[d]\n",
    b"[a]\n  #c=1\n\t#d=2\n;e=3\n//f=4\n# [g]\nh=1 # no\ni=2;3\n",
    b"\xef\xbb\xbf[a]\nx=1\n",
    b"k=1\n[a]\r\nx=1 \r\ny=2\r z=3\n",
    b"[a]\nx=1",
    b"[a\nx=1\n[b]\ny=2\n[c\nz=1\n[\n[]\nq=1\n[ ]\nr=2\n",
    b"[\ta]\nx=1\n[b\x0bc]\nd\x0be=1\n\x0bf=1\n\x0c[g]\nh=1\nd e f=2\n=3\n =4\n",
    b"[a]\nA=1\na=2\n[A]\nx=1\n[a]\na=3\n",
    b"[a]\n[x=1\n[b]=2\nc=3\n{d}=4\n",
    b"[sip]\nmedia_encryption = srtp\nsip_port = 5060 \nroute=<sip:a;transport=tls>\nq=\"x\"\n",
    "[a]\nname=J\u{fc}rgen\n\u{fc}=1\n[\u{fc}]\nx=1\n".as_bytes(),
    b"",
    b"\n\n",
];

#[test]
fn linphone_reads_every_setting_as_we_do() {
    let ours = |text: &[u8]| linphone::read(text, |_, _| true).unwrap();
    compare(LINPHONE, (LIBLINPHONE, |theirs| theirs, 40), ours);
}

const QT: &[&[u8]] = &[
    b"top=1\n[General]\nconf.webserver=https://zoom.us\nsso_domain=.zoom.us\nxwayland=true\n",
    b"xwayland=true\nxwayland=false\n[general]\nxwayland = 1\n[x]\ny=1\n[GENERAL]\ny=4\n",
    b"list=a, b, c\nlast=a,\nnone=,\nquoted=\"a, b\"\nq2=\"a\" \"b\" \n",
    b"q3=\"a\", b ,\" c \"\nq=a\"b\"c  \n",
    b"esc=\"a\\x41\\n\\\"b\\\\\"\noct=\\101\\7\\60z\n",
    b"hex=\\x263a!\nodd=\\xg\\q\\\nlong=\\x1263a\nend=\\\n",
    b"blank=a\\t \t\nkept=\\x20 \nsurrogates=\\xd83d\\xde00\nsign=\\'\\?\\a\\b\\f\\v\\r\n",
    b"semi=a;b=2\nhash=a#b\n# c=1\n;d=1\n  ;e=1\n;\nf=\";\"\n;g=1",
    b"a=b\\\n c\nd=\"e\nf=g\"\nh=i\\\r\n j\nk=l\\\n\rm\nn=o\\;p\n",
    b" enableCloudSwitch = false \nempty=\nnoeq\n\tx\t=\ty\t\na=b=c\n",
    b"%41b=3\nc%20d=1\ne%U263Af=2\ng%zz=1\nh%=2\ni%4=3\n",
    b"[A%20B]\nk\\sub=1\nk/sub2=2\n[%General]\nx=3\n",
    b"[%general]\nx=1\n[a\\b]\nc=1\n[ d ]\ne=1\n[f\ng=1\n[h] i=1\nj=2\n[]\nk=1\n[l]]\nm=1\n",
    b"inv=@Invalid()\nat=@@x\nmail=@home\nalone=@\nlist=a, @@b, c@d\n",
    "uml=\u{e4}\u{fc}\nsign=\u{1f600}\n".as_bytes(),
    b"\xef\xbb\xbf[a]\nx=1\n",
    b"x=1\r\n[a]\r\ny=2\r\n\r\nz=3\r",
    b"[a]\nx=1\n[b]\nx=2\n[a]\nx=3\ny=4",
    b"",
    b"\n ;\n",
    b"a=\"open\nb=1\n[c]\nd=2\n",
];

/// Qt leaves out the section of what has none, and ours bears its name.
fn with_general(theirs: Settings) -> Settings {
    let path = |path: Vec<String>| {
        let words: Vec<&str> = path.iter().flat_map(|path| path.split('/')).collect();
        let words = match words.as_slice() {
            [name] => vec!["General", name],
            ["General", rest @ ..] => [&["%General"], rest].concat(),
            words => words.to_vec(),
        };
        words.into_iter().map(str::to_owned).collect()
    };
    theirs.into_iter().map(|(theirs, values)| (path(theirs), values)).collect()
}

#[test]
fn qt_reads_every_setting_of_zoom_as_we_do() {
    compare(QT, (QSETTINGS, with_general, 60), |text| qsettings::read(text, |_, _| true).unwrap());
}

const JSON: &[&[u8]] = &[
    b"{\"proxyServer\": \"p:3128\", \"disableGpu\": true, \"url\": \"https://teams.example.org/\"}",
    b"{\"customCACertsFingerprints\": [\"sha256/a\", \"sha256/b\"], \"partition\": \"persist:x\"}",
    b"{\"url\": {\"below\": {\"more\": 1}}, \"chromeUserAgent\": \"a \\u263a \\\"b\\\"\"}\n",
];

#[test]
fn python_reads_every_setting_of_teams_for_linux_as_we_do() {
    compare(JSON, (PYTHON, |theirs| theirs, 7), |text| teams_for_linux::read(text).unwrap());
}
