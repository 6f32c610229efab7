//! Which paths are parts, and which of them are never read.
//!
//! `include` and `exclude` decide which parts there are, `withhold` whether a part's content is
//! read. None of them changes an item of a part that *is* read, and content that is withheld says
//! so itself ([`Content::Unread`](driftline_protocol::snapshot::Content)). So no glob enters a
//! reading's scope digest: a wider include must not make every file look as if it were read anew,
//! and a file read on two hosts under different globs stays one part. A path that leaves the scope
//! is not gone: see [`Source::covers`](crate::sources::Source::covers).

use std::collections::BTreeSet;

use crate::sources::glob::{Glob, GlobError};

/// What is looked at where the configuration says nothing else.
pub const INCLUDE: &[&str] = &[
    "/etc/**",
    // Where telephony servers stand that no distribution packaged; see `sources::origins`.
    "/opt/ejabberd/conf/**",
    "/opt/freeswitch/conf/**",
    "/usr/local/etc/{asterisk,kamailio,opensips,rtpengine,turnserver}/**",
    "/usr/local/etc/turnserver.conf",
    "/usr/local/freeswitch/conf/**",
];

/// The same on Windows.
pub const WINDOWS: &[&str] = &[
    "/c/Windows/System32/drivers/etc/**",
    "/c/Windows/System32/GroupPolicy/**",
    "/c/Program Files/Driftline/**/*.toml",
    "/c/ProgramData/ssh/**",
];

/// What is never looked at where the configuration says nothing else: it changes by itself and says
/// nothing about what is configured.
pub const EXCLUDE: &[&str] = &[
    // Written at mounting, at shutdown, by package triggers and by locking.
    "/etc/mtab",
    "/etc/adjtime",
    "/etc/ld.so.cache",
    "/etc/.pwd.lock",
    "/etc/.updated",
    "/etc/udev/hwdb.bin",
    "/etc/fake-hwclock.data",
    // The copies and locks of the tools that edit accounts (passwd(5), subuid(5), vipw(8)); what
    // they edit is read, and each edit would show twice.
    "/etc/{passwd,group,shadow,gshadow,subuid,subgid}{-,+,.lock,.edit}",
    "/etc/lvm/{archive,backup,cache}/**",
    "/etc/lvm/devices/backup/**",
    "/etc/cups/subscriptions.conf*",
    // What cupsd keeps of the file before.
    "/etc/cups/*.O",
    // Profiles are told by `network`, which knows a person's own from the host's.
    "/etc/NetworkManager/system-connections/**",
    // What DHCP and VPN clients put aside while they are connected; what they wrote instead is
    // read.
    "/etc/resolv.conf.{dhclient-new*,vpnbackup,bak,tmp,tp}",
    "/etc/resolv.pre-tailscale-backup.conf",
    "/etc/.resolv.conf.*",
    // The state of sound cards and of OpenVPN's connections.
    "/etc/asound.state",
    "/etc/openvpn/**/{*status*.log,ipp.txt}",
    // What editors leave while somebody types.
    "*.swp",
    "*.swo",
    "*.swx",
    "*~",
    ".#*",
    "#*#",
    "4913",
    // What installers leave while they work. `.dpkg-old` and the like stay: somebody decided there.
    "*.dpkg-new",
    "*.dpkg-tmp",
    "*.ucf-new",
    // Histories of the tree itself.
    "/etc/.git/**",
    "/etc/.hg/**",
    "/etc/.bzr/**",
];

/// What is a secret as a whole. The configuration can add to this and cannot take away.
pub const WITHHOLD: &[&str] = &[
    "/etc/{shadow,gshadow}*",
    "/etc/security/opasswd*",
    "*.key",
    "ssh_host_*_key",
    "id_{rsa,dsa,ecdsa,ed25519}",
    "/etc/ssl/private/**",
    "/etc/letsencrypt/**/privkey*.pem",
    ".htpasswd",
    "*.keytab",
    "*.{p12,pfx,jks,keystore,kdbx}",
    "/etc/driftline/**/*key*",
    "*secret*",
    ".netrc",
    ".pgpass",
    "/etc/ppp/*-secrets",
    "/etc/wireguard/**/*.conf",
    "/etc/postfix/**/sasl_passwd*",
    "/etc/exim*/passwd.client",
    "/etc/{ntp,chrony}/**/*.keys",
    "/etc/{ntp,chrony}.keys",
    "/etc/{ntpsec,linuxptp}/**/*.keys",
    "/etc/ntp/keys",
    "psk.txt",
    "*.psk",
    "*.{pass,priv,private}",
    "*.keyfile",
    "*-keyfile",
    "{.,}erlang.cookie",
    "{.,}google_authenticator",
    "dropbear_*_host_key",
    "authkey",
    "{.,}vault_pass*",
    "ssl_passwords.txt",
    "/etc/ceph/**/*.keyring",
    "/etc/krb5kdc/{stash,.k5.*}",
    "/etc/kubernetes/**/*.csv",
    "/etc/NetworkManager/system-connections/*",
];

/// See the module.
#[derive(Clone, Debug)]
pub struct Scope {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
    withhold: Vec<Glob>,
}

impl Scope {
    /// The scope of these patterns; `withhold` adds to [`WITHHOLD`].
    ///
    /// # Errors
    /// [`GlobError`] for the first text that is no pattern.
    pub fn new<S: AsRef<str>>(
        include: &[S],
        exclude: &[S],
        withhold: &[S],
    ) -> Result<Self, GlobError> {
        let mut always = globs(WITHHOLD)?;
        always.extend(globs(withhold)?);
        Ok(Self { include: globs(include)?, exclude: globs(exclude)?, withhold: always })
    }

    /// Where looking begins; one root may stand below another.
    pub fn roots(&self) -> BTreeSet<String> {
        self.include.iter().flat_map(Glob::roots).collect()
    }

    /// Whether `path` is a part, given that everything above it was walked.
    pub fn includes(&self, path: &str) -> bool {
        self.include.iter().any(|glob| glob.matches(path))
    }

    /// Whether `path` and everything below it is left out.
    pub fn excludes(&self, path: &str) -> bool {
        self.exclude.iter().any(|glob| glob.matches(path))
    }

    /// Whether something below `directory` may be a part.
    pub fn reaches_below(&self, directory: &str) -> bool {
        self.include.iter().any(|glob| glob.reaches_below(directory))
    }

    /// Whether `path` is a part, all said.
    pub fn covers(&self, path: &str) -> bool {
        self.includes(path) && !self.leaves_out(path)
    }

    /// Whether `path` or something above it is left out.
    pub fn leaves_out(&self, path: &str) -> bool {
        let above = path.match_indices('/').skip(1).filter_map(|(slash, _)| path.get(..slash));
        above.chain([path]).any(|path| self.excludes(path))
    }

    /// Whether the content of `path` is a secret as a whole.
    pub fn withholds(&self, path: &str) -> bool {
        self.withhold.iter().any(|glob| glob.matches(path))
    }
}

fn globs<S: AsRef<str>>(texts: &[S]) -> Result<Vec<Glob>, GlobError> {
    texts.iter().map(|text| Glob::new(text.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope::new(INCLUDE, EXCLUDE, &[]).unwrap()
    }

    #[test]
    fn the_default_scope_is_etc_without_what_changes_by_itself() {
        let kept = ["/etc", "/etc/hosts", "/etc/resolv.conf", "/etc/ssl/certs/a.pem", "/etc/group"];
        for path in kept {
            assert!(scope().covers(path), "{path} is not looked at");
        }
        for path in [
            "/etc/mtab",
            "/etc/ld.so.cache",
            "/etc/passwd-",
            "/etc/gshadow-",
            "/etc/subuid-",
            "/etc/group.lock",
            "/etc/resolv.conf.dhclient-new.812",
            "/etc/resolv.pre-tailscale-backup.conf",
            "/etc/openvpn/server/openvpn-status.log",
            "/etc/NetworkManager/system-connections/cafe.nmconnection",
            "/etc/cups/printers.conf.O",
            "/etc/a/.b.swp",
            "/etc/x~",
            "/etc/.git/HEAD",
            "/usr/etc/a",
        ] {
            assert!(!scope().covers(path), "{path} is looked at");
        }
    }

    #[test]
    fn whole_secrets_are_never_read() {
        for path in [
            "/etc/shadow",
            "/etc/shadow-",
            "/etc/gshadow",
            "/etc/ssh/ssh_host_ed25519_key",
            "/etc/ssl/private/a/b.pem",
            "/etc/nginx/.htpasswd",
            "/etc/krb5.keytab",
            "/etc/tomcat/store.p12",
            "/etc/driftline/site_key",
            "/etc/ipsec.secrets",
            "/etc/ipsec.d/a/b.secrets",
            "/etc/ppp/chap-secrets",
            "/etc/postfix/sasl_passwd.db",
            "/etc/exim4/passwd.client",
            "/etc/chrony/chrony.keys",
            "/etc/ntp.keys",
            "/etc/NetworkManager/system-connections/office",
            "/etc/wpa/psk.txt",
            "/etc/iwd/home.psk",
            "/etc/davfs2/secrets",
            "/etc/skel/.netrc",
            "/etc/skel/.pgpass",
            "/etc/pw.kdbx",
            "/etc/wireguard/wg0.conf",
            "/etc/rsyncd.secrets",
            "/etc/ntpsec/ntp.keys",
            "/etc/ntp/keys",
            "/etc/rsync.pass",
            "/etc/opendkim/keys/default.private",
            "/etc/mongo-keyfile",
            "/etc/rabbitmq/.erlang.cookie",
            "/etc/erlang.cookie",
            "/etc/skel/.google_authenticator",
            "/etc/dropbear/dropbear_rsa_host_key",
            "/etc/corosync/authkey",
            "/etc/ansible/.vault_pass.txt",
            "/etc/ansible/vault_password",
            "/etc/nginx/ssl_passwords.txt",
            "/etc/krb5kdc/.k5.EXAMPLE.COM",
            "/etc/ceph/ceph.client.admin.keyring",
            "/etc/kubernetes/tokens.csv",
        ] {
            assert!(scope().withholds(path), "{path} is read");
        }
        for path in [
            "/etc/ssh/ssh_host_ed25519_key.pub",
            "/etc/passwd",
            "/etc/pam.d/common-password",
            "/etc/nginx/htpasswd",
            "/etc/postfix/main.cf",
        ] {
            assert!(!scope().withholds(path), "{path} is not read");
        }
    }
}
