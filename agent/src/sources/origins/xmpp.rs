//! ejabberd and Prosody: the files they read, and what they keep in a database or a directory.
//!
//! `store/…` are the settings that say where accounts and data are: a user who is in the files of
//! one server is in a database or an LDAP directory of the next. ejabberd's `include_config_file`
//! and Prosody's `Include` are followed, relative to the configuration's folder.
//!
//! rtpengine and coturn have no source of their own: each keeps everything in one file, which
//! `files` reads whole.

use std::path::Path;

use driftline_protocol::item::ItemKey;
use driftline_protocol::snapshot::Reason;

use super::{DEPTH, Found, Product, Trouble, Walk, from_name, texts};
use crate::formats::{Format, prosody, yaml};

/// ejabberd.
pub static EJABBERD: Product = Product {
    name: "ejabberd",
    directories: &["/etc/ejabberd", "/opt/ejabberd/conf"],
    parts: "`origins of FOLDER`: the files ejabberd reads (`reads`), and where its accounts and \
        data are (`store`)",
    follow: |walk, directory| follow(walk, directory, &EJABBERD_FILES),
};

/// Prosody.
pub static PROSODY: Product = Product {
    name: "prosody",
    directories: &["/etc/prosody", "/usr/local/etc/prosody"],
    parts: "as of `ejabberd`, for Prosody",
    follow: |walk, directory| follow(walk, directory, &PROSODY_FILES),
};

/// How one of them writes its configuration.
struct Files {
    main: &'static str,
    format: &'static Format,
    include: &'static str,
    /// Whether a name says where accounts or data are.
    is_store: fn(&str) -> bool,
}

static EJABBERD_FILES: Files = Files {
    main: "ejabberd.yml",
    format: &yaml::EJABBERD,
    include: "include_config_file",
    is_store: |name| {
        let prefixes = ["ldap_", "redis_", "sql_"];
        let names = ["auth_method", "db_type", "default_db", "default_ram_db", "ram_db_type"];
        names.contains(&name) || prefixes.iter().any(|prefix| name.starts_with(prefix))
    },
};

static PROSODY_FILES: Files = Files {
    main: "prosody.cfg.lua",
    format: &prosody::FORMAT,
    include: "Include",
    is_store: |name| {
        let names = ["authentication", "default_storage", "sql", "sql_manage_tables", "storage"];
        names.contains(&name) || name.starts_with("ldap_") || name.starts_with("http_auth_")
    },
};

fn follow(walk: &mut Walk<'_>, directory: &Path, files: &Files) -> Result<Found, Trouble> {
    read(walk, (directory, &directory.join(files.main)), files, 0)?;
    Ok(walk.found())
}

fn read(
    walk: &mut Walk<'_>,
    (directory, path): (&Path, &Path),
    files: &Files,
    depth: usize,
) -> Result<(), Trouble> {
    if depth > DEPTH {
        return Err(Trouble::Unread(Reason::TooLarge));
    }
    for (key, item) in walk.file(path, files.format)?.unwrap_or_default() {
        if let Some(names) = from_name(&key, files.include) {
            // ejabberd names a file with options of its own as a key above them.
            let named = names.get(1).cloned().filter(|name| name != "(order)");
            for pattern in named.into_iter().chain(texts(&item.value)) {
                for path in walk.named(directory, &pattern)? {
                    read(walk, (directory, &path), files, depth + 1)?;
                }
            }
        } else if says_store(&key, files.is_store) {
            let names = ["store".to_owned()].into_iter().chain(key.segments());
            walk.say(names, item);
        }
    }
    Ok(())
}

fn says_store(key: &ItemKey, is_store: fn(&str) -> bool) -> bool {
    key.segments().any(|name| is_store(&name))
}
