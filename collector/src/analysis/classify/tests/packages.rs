//! What package managers did explains what they brought, and nothing else.

use super::*;

#[test]
fn dpkg_explains_upgrades_and_the_files_of_packages() {
    let moment = at("2026-11-28T06:25:00Z");
    let mut dpkg = Transactions::default();
    let (old, new) = (item("1:9.2-2"), item("1:9.2-3"));
    let version = ItemKey::of(["openssh-server:amd64", "version"]);
    let change = |kind, key: &ItemKey, before: Option<&Item>| Change {
        part: "dpkg".parse().unwrap(),
        key: Some(key.clone()),
        kind,
        before: before.cloned(),
        after: Some(new.clone()),
    };
    dpkg.add((7, moment), &change(ChangeKind::Modified, &version, Some(&old)));
    let installed = ItemKey::of(["nmap:amd64", "version"]);
    dpkg.add((9, moment), &change(ChangeKind::Added, &installed, None));
    let conffile = ItemKey::of(["openssh-server:amd64", "conffile", "/etc/ssh/sshd_config"]);
    let flag = ItemValue::Flag(true);
    dpkg.owned_by([(&conffile, &flag)].into_iter());
    let mut explained = |source: &str, part: &str, key: ItemKey, minutes: i64| {
        let world = World {
            source: source.parse().unwrap(),
            part: part.parse().unwrap(),
            key,
            at: moment + SignedDuration::from_mins(minutes),
            ..World::new("2026-11-28T06:25:00Z")
        };
        dpkg.explain(&world.subject())
    };
    let port = || ItemKey::of(["Port"]);
    let file = explained("files", "/etc/ssh/sshd_config", port(), 3).unwrap();
    assert_eq!(file.name, "dpkg 7");
    assert!(file.says.contains("openssh-server:amd64 1:9.2-2 to 1:9.2-3"), "{}", file.says);
    assert!(file.says.contains("nmap:amd64 1:9.2-3 installed"), "{}", file.says);
    assert!(explained("files", "/etc/ssh/sshd_config", port(), 16).is_none(), "another time");
    assert!(explained("files", "/etc/ssh/other", port(), 0).is_none(), "another file");
    assert!(explained("packages", "dpkg", version.clone(), 0).is_some());
    let status = ItemKey::of(["openssh-server:amd64", "status"]);
    assert!(explained("packages", "dpkg", status, 0).is_some(), "half-way states belong to it");
    let hold = ItemKey::of(["openssh-server:amd64", "hold"]);
    assert!(explained("packages", "dpkg", hold, 0).is_none(), "a hold is a decision");
    assert!(explained("packages", "dpkg", installed, 0).is_none(), "so is installing");
}

#[test]
fn only_a_package_manager_explains_what_it_did() {
    let moment = at("2026-11-28T06:25:00Z");
    let key = ItemKey::of(["Zoiper5", "version"]);
    for (part, explained) in [("dpkg", Some("dpkg 7")), ("rpm", Some("rpm 7")), ("programs", None)]
    {
        let mut known = Transactions::default();
        let part: PartName = part.parse().unwrap();
        let change = Change {
            part: part.clone(),
            key: Some(key.clone()),
            kind: ChangeKind::Modified,
            before: Some(item("5.1")),
            after: Some(item("5.2")),
        };
        known.add((7, moment), &change);
        let source = "packages".parse().unwrap();
        let world = World { source, part, key: key.clone(), ..World::new("2026-11-28T06:25:00Z") };
        let said = known.explain(&world.subject()).map(|explained| explained.name);
        assert_eq!(said.as_deref(), explained);
    }
}

/// `nmap` is installed, and ten minutes later upgraded: a decision, and then routine.
#[test]
fn of_two_works_on_one_package_the_nearest_explains() {
    let key = ItemKey::of(["nmap:amd64", "version"]);
    let moment = |minutes: i64| at("2026-11-28T06:25:00Z") + SignedDuration::from_mins(minutes);
    let (old, new) = (item("7.93"), item("7.94"));
    let change = |kind, before: Option<&Item>, after: &Item| Change {
        part: "dpkg".parse().unwrap(),
        key: Some(key.clone()),
        kind,
        before: before.cloned(),
        after: Some(after.clone()),
    };
    let mut dpkg = Transactions::default();
    dpkg.add((7, moment(0)), &change(ChangeKind::Added, None, &old));
    dpkg.add((8, moment(10)), &change(ChangeKind::Modified, Some(&old), &new));
    for (minutes, upgrade) in [(0, false), (4, false), (6, true), (10, true), (20, true)] {
        let world = World {
            source: "packages".parse().unwrap(),
            part: "dpkg".parse().unwrap(),
            key: key.clone(),
            at: moment(minutes),
            ..World::new("2026-11-28T06:25:00Z")
        };
        let explained = dpkg.explain(&world.subject());
        assert_eq!(explained.is_some(), upgrade, "{minutes} minutes after the installation");
    }
}
