//! Whose home is looked into: what an account of another puts there is not told as its own.

use std::os::unix::fs::{chown, symlink};

use super::*;

/// Where containers of Docker stand below a home.
const CONTAINERS: &str = ".local/share/docker/containers/abc";

/// The folder of `bob`, a container of `bob`'s, and `www`, whose home is where `alice` has a link.
fn linked(target: &str, uid: u32, owner: u32, home: &str) -> Planted {
    let root = tempfile::tempdir().unwrap();
    let at = |path: &str| root.path().join(path.trim_start_matches('/'));
    let containers = at(target).join(CONTAINERS);
    std::fs::create_dir_all(&containers).unwrap();
    for (name, text) in FILES.iter().zip([STATE, self::HOST]) {
        std::fs::write(containers.join(name), text).unwrap();
    }
    if owner != own() {
        chown(at(target), Some(owner), None).unwrap();
    }
    if home != target {
        std::fs::create_dir_all(at(home).parent().unwrap()).unwrap();
        symlink(target, at(home)).unwrap();
    }
    std::fs::create_dir_all(at("/etc")).unwrap();
    let passwd =
        format!("www:x:{uid}:33::{home}:/bin/sh\nalice:x:1001:1001::/home/alice:/bin/sh\n");
    std::fs::write(at("/etc/passwd"), passwd).unwrap();
    Planted::of(root)
}

#[test]
fn a_home_that_is_neither_the_accounts_nor_roots_is_not_looked_into() {
    let (www, bob) = (4_242, 4_243);
    let is_root = own() == 0;
    // Who is not root can give nothing away, but may be taken for another.
    let mut rows = vec![
        ("/srv/www", own(), own(), "/srv/www", true),
        ("/home/bob", own(), own(), "/home/alice/www", !is_root),
        ("/home/bob", own(), own(), "/srv/www", true),
    ];
    if !is_root {
        rows.push(("/home/bob", own() + 1, own(), "/home/alice/www", false));
        rows.push(("/srv/www", own() + 1, own(), "/srv/www", false));
    } else {
        rows.extend([
            ("/home/bob", www, bob, "/home/alice/www", false),
            ("/home/bob", www, bob, "/srv/www", false),
            ("/home/bob", www, bob, "/home/bob", false),
            ("/home/bob", www, www, "/home/alice/www", true),
            // Of root: where nobody else could have led to it.
            ("/root", www, 0, "/home/alice/www", false),
            ("/root", www, 0, "/srv/www", true),
            ("/var/lib/www", www, 0, "/var/lib/www", true),
            ("/home/alice/www", www, 0, "/home/alice/www", true),
        ]);
    }
    for (target, uid, owner, home, expect) in rows {
        let planted = linked(target, uid, owner, home);
        let blind = planted.blind(&mut Containers::new());
        let of_www = |place: &str| place.ends_with("/~www");
        let refused = if expect { vec![] } else { ENGINES.map(|one| format!("{one}/~www")).into() };
        let blind: Vec<_> = blind
            .into_iter()
            .filter(|(place, reason)| of_www(place) && *reason == Reason::Unsupported)
            .map(|(place, _)| place)
            .collect();
        assert_eq!(blind, refused, "{home} at {target} of {owner}, for {uid}");
        let parts = planted.parts(&mut Containers::new());
        let is_told = parts.keys().any(|name| name.as_str() == "docker/~www/turn");
        assert_eq!(is_told, expect, "{home} at {target} of {owner}, for {uid}: {parts:?}");
    }
}
