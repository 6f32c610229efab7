//! What a source reads is what calls it: nothing waits for the hourly pass.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_protocol::ids::PartName;
use driftline_protocol::snapshot::{Part, Reason};

use super::{Fixture, Recording, plant, read, run};
use crate::machine::Seam;
use crate::sources::Source;

/// What makes a difference to the source when it goes or comes is to call it.
pub(super) fn what_is_read_is_watched(fixture: &Fixture) {
    let (mut source, seam) = ((fixture.source)(), Seam::default());
    let whole = lasting(run(fixture, &mut *source, &seam));
    if source.every().is_some() {
        return; // it is read so often that nothing need tell of a change
    }
    let is_watched = |path: &&PathBuf| is_watched(&*source, path);
    let asked = seam.asked.lock().unwrap();
    let matters = |path: &&PathBuf| {
        let root = plant(fixture);
        turn(&root.path().join(path.strip_prefix("/").unwrap()));
        lasting(read(root.path(), &mut *(fixture.source)(), Seam::default())) != whole
    };
    let missed: Vec<_> = asked.iter().filter(|path| !is_watched(path)).filter(matters).collect();
    assert!(missed.is_empty(), "{} reads what it does not watch: {missed:?}", source.name());
}

/// Takes away the file at `path`; makes one where there is none, and in a folder.
fn turn(path: &Path) {
    let made = if path.is_dir() { path.join("made") } else { path.to_owned() };
    if std::fs::remove_file(&made).is_err() {
        std::fs::create_dir_all(made.parent().unwrap()).unwrap();
        std::fs::write(&made, "made\n").unwrap();
    }
}

/// What a pass said, without what is so at that moment and calls for nothing.
fn lasting(said: Recording) -> (BTreeMap<PartName, Part>, Vec<(PartName, Reason)>) {
    let mut parts = said.seen;
    for part in parts.values_mut() {
        if let Part::Observed(observed) = part {
            observed.items.retain(|key, _| key.of_the_moment().is_none());
        }
    }
    (parts, said.blind)
}

/// Whether a change at `path` calls the source, as far as it knows now; what the kernel makes tells
/// of none.
fn is_watched(source: &dyn Source, path: &Path) -> bool {
    let alone = source.watched_alone();
    let mut ends = [Some(path), path.parent()].into_iter().flatten();
    source.watched().iter().any(|place| path.starts_with(place))
        || ends.any(|end| alone.iter().any(|place| place == end))
        || ["/proc", "/sys"].iter().any(|place| path.starts_with(place))
}

#[test]
#[cfg(unix)]
fn what_an_include_names_is_watched_wherever_it_stands() {
    use super::Planted;
    use crate::sources::origins::{ASTERISK, FREESWITCH, KAMAILIO, Origins};
    use crate::sources::{accounts, directory, login_policy, network, time_sync};

    let check = |source: &mut dyn Source, path: &str, including: &str, content: &str| {
        let more = "/opt/own/more";
        let planted = Planted::new(&[(path, 0o600, including), (more, 0o600, content)]);
        planted.parts(source);
        assert!(is_watched(source, Path::new(more)), "{path}: {:?}", source.watched_alone());
    };
    let accounts = accounts::Accounts::new;
    check(&mut accounts(), "/etc/sudoers", "@include /opt/own/more\n", "Defaults requiretty\n");
    // So that it is read once it is mended.
    check(&mut accounts(), "/etc/sudoers", "@include /opt/own/more\n", "what is\n");
    check(
        &mut login_policy::LoginPolicy::new(),
        "/etc/ssh/sshd_config",
        "Include /opt/own/*\n",
        "PermitRootLogin no\n",
    );
    check(
        &mut time_sync::TimeSync::new(),
        "/etc/chrony/chrony.conf",
        "include /opt/own/more\n",
        "server ntp.example.com\n",
    );
    check(
        &mut network::Network::new(),
        "/etc/network/interfaces",
        "source /opt/own/*\n",
        "auto lo\n",
    );
    check(
        &mut directory::Directory::new(),
        "/etc/krb5.conf",
        "include /opt/own/more\n",
        "[libdefaults]\n default_realm = EXAMPLE.COM\n",
    );
    check(
        &mut Origins::new(&KAMAILIO),
        "/etc/kamailio/kamailio.cfg",
        "include_file \"/opt/own/more\"\n",
        "debug=2\n",
    );
    check(
        &mut Origins::new(&ASTERISK),
        "/etc/asterisk/extconfig.conf",
        "#include /opt/own/more\n",
        "[settings]\n",
    );
    check(
        &mut Origins::new(&FREESWITCH),
        "/etc/freeswitch/freeswitch.xml",
        "<document><X-PRE-PROCESS cmd=\"include\" data=\"/opt/own/*\"/></document>",
        "<include/>",
    );
}

#[test]
#[cfg(unix)]
fn what_a_link_leads_to_is_watched() {
    use super::Planted;
    use crate::sources::accounts::Accounts;

    let planted = Planted::new(&[
        ("/etc/passwd", 0o644, "ada:x:1000:1000::/home/ada:/bin/sh\n"),
        ("/home/ada/.ssh/authorized_keys", 0o600, "-> ../keys"),
        ("/home/ada/keys", 0o600, "-> ./more/ada"),
        ("/home/ada/more/ada", 0o600, ""),
    ]);
    let mut source = Accounts::new();
    planted.parts(&mut source);
    for path in ["/home/ada/.ssh/authorized_keys", "/home/ada/keys", "/home/ada/more/ada"] {
        assert!(is_watched(&source, Path::new(path)), "{path}: {:?}", source.watched_alone());
    }
}
