//! What stands in the files of hosts, and the lines people write into them.

use super::host::Role;

/// A line somebody may write: the file, the beginning of the line it replaces, the line (`#` stands
/// for a number that makes it his own), and a piece of the item's key, for requests that name it.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    /// The file.
    pub part: &'static str,
    /// The beginning of the line that is replaced; a file without one gets the line at its end.
    pub find: &'static str,
    /// The new line; nothing takes the old one away.
    pub line: Option<&'static str>,
    /// What the item's key has in it, as people read it in the portal.
    pub key: &'static str,
}

const fn edit(part: &'static str, find: &'static str, line: &'static str) -> Edit {
    Edit { part, find, line: Some(line), key: "" }
}

const fn keyed(
    part: &'static str,
    find: &'static str,
    line: &'static str,
    key: &'static str,
) -> Edit {
    Edit { part, find, line: Some(line), key }
}

/// sshd's file; dpkg brings it with `openssh-server`.
pub const SSHD: &str = "/etc/ssh/sshd_config";
/// The time service's file; the first rollout is in it and nobody else's deed.
pub const CHRONY: &str = "/etc/chrony/chrony.conf";
/// The log service's file; dpkg brings it with `rsyslog`.
pub const RSYSLOG: &str = "/etc/rsyslog.conf";
/// Name servers; flaps where a tunnel comes and goes.
pub const RESOLV: &str = "/etc/resolv.conf";
/// Where calls go; the second rollout is in it.
pub const DISPATCHER: &str = "/etc/kamailio/dispatcher.list";

const HOSTS: &str = "/etc/hosts";
const JOURNALD: &str = "/etc/systemd/journald.conf";
const SYSCTL: &str = "/etc/sysctl.d/90-site.conf";
const LIMITS: &str = "/etc/security/limits.conf";
const NSSWITCH: &str = "/etc/nsswitch.conf";
const SUDOERS: &str = "/etc/sudoers.d/ops";
const BACKUP: &str = "/etc/systemd/system/backup.service";
const KAMAILIO: &str = "/etc/kamailio/kamailio.cfg";
const PJSIP: &str = "/etc/asterisk/pjsip.conf";
const QUEUES: &str = "/etc/asterisk/queues.conf";
const CHROME: &str = "/etc/opt/chrome/policies/managed/site.json";
const NETWORK: &str = "/etc/NetworkManager/NetworkManager.conf";

/// Files every host has.
const EVERYWHERE: [(&str, &str); 8] = [
    (
        SSHD,
        "# managed by the site\nPort 22\nPermitRootLogin no\nPasswordAuthentication no\n\
         MaxAuthTries 4\nLoginGraceTime 30\nX11Forwarding no\nAllowGroups ops\n\
         ClientAliveInterval 300\n",
    ),
    (
        CHRONY,
        "pool ntp1.example.org iburst\ndriftfile /var/lib/chrony/drift\nmakestep 1.0 3\nrtcsync\n\
         maxupdateskew 100.0\n",
    ),
    (
        RSYSLOG,
        "module(load=\"imuxsock\")\nmodule(load=\"imklog\")\n$FileCreateMode 0640\n\
         *.* @@logs.example.org:514\n",
    ),
    (RESOLV, "search example.org\nnameserver 10.0.0.53\nnameserver 10.0.1.53\noptions timeout:2\n"),
    (HOSTS, "127.0.0.1 localhost\n::1 localhost ip6-localhost\n10.0.0.10 pbx.example.org pbx\n"),
    (JOURNALD, "[Journal]\nStorage=persistent\nSystemMaxUse=500M\nForwardToSyslog=yes\n"),
    (
        SYSCTL,
        "net.ipv4.ip_forward = 0\nnet.ipv4.conf.all.rp_filter = 1\nkernel.randomize_va_space = 2\n\
         net.core.rmem_max = 212992\n",
    ),
    (LIMITS, "* hard core 0\n@ops soft nofile 4096\n@ops hard nofile 8192\n"),
];

const OF_SERVERS: [(&str, &str); 3] = [
    (
        SUDOERS,
        "Defaults use_pty\n%ops ALL=(ALL:ALL) ALL\n\
         backup ALL=(root) NOPASSWD: /usr/bin/rsync\n",
    ),
    (
        BACKUP,
        "[Unit]\nDescription=Nightly backup\n\n[Service]\nType=oneshot\nUser=backup\n\
         ExecStart=/usr/local/bin/backup --all\nNice=10\n",
    ),
    (NSSWITCH, "passwd: files sss\ngroup: files sss\nhosts: files dns\n"),
];

const OF_PROXIES: [(&str, &str); 2] = [
    (
        DISPATCHER,
        "1 sip:10.1.0.11:5060 0 10 weight=50\n1 sip:10.1.0.12:5060 0 10 weight=50\n\
         2 sip:10.2.0.11:5060 0 5\n",
    ),
    (
        KAMAILIO,
        "debug=2\nchildren=8\nlisten=udp:10.1.0.1:5060\nloadmodule \"dispatcher.so\"\n\
         modparam(\"dispatcher\", \"ds_ping_interval\", 30)\n\
         request_route {\n\tds_select_dst(1, 4);\n\tt_relay();\n}\n",
    ),
];

const OF_QUEUES: [(&str, &str); 2] = [
    (
        PJSIP,
        "[transport-udp]\ntype=transport\nprotocol=udp\nbind=0.0.0.0\n\n[carrier]\ntype=endpoint\n\
         context=inbound\ndisallow=all\nallow=alaw\nallow=g722\ndirect_media=no\n",
    ),
    (
        QUEUES,
        "[general]\npersistentmembers=yes\n\n[service]\nstrategy=leastrecent\ntimeout=20\nretry=5\n\
         maxlen=40\nmember => PJSIP/1001\nmember => PJSIP/1002\n",
    ),
];

const OF_LAPTOPS: [(&str, &str); 2] = [
    (
        CHROME,
        "{\n  \"AudioCaptureAllowed\": true,\n  \"ProxyMode\": \"auto_detect\",\n\
         \x20 \"PasswordManagerEnabled\": false,\n  \"DefaultCookiesSetting\": 1\n}\n",
    ),
    (
        NETWORK,
        "[main]\nplugins=ifupdown,keyfile\ndns=default\n\n\
         [device]\nwifi.scan-rand-mac-address=yes\n",
    ),
];

const EDITS_EVERYWHERE: [Edit; 15] = [
    keyed(SSHD, "PermitRootLogin", "PermitRootLogin without-password", "permitrootlogin"),
    keyed(SSHD, "PasswordAuthentication", "PasswordAuthentication yes", "passwordauthentication"),
    keyed(SSHD, "MaxAuthTries", "MaxAuthTries #", "maxauthtries"),
    keyed(SSHD, "Banner", "Banner /etc/issue.#", "banner"),
    Edit { part: SSHD, find: "AllowGroups", line: None, key: "allowgroups" },
    edit(RSYSLOG, "*.*", "*.* @logs-#.example.org:514"),
    edit(RESOLV, "nameserver 10.0.0.53", "nameserver 10.77.0.#"),
    edit(HOSTS, "10.0.0.10", "10.0.9.# pbx.example.org pbx"),
    edit(HOSTS, "10.99", "10.99.0.# old-pbx.example.org"),
    keyed(JOURNALD, "SystemMaxUse", "SystemMaxUse=#M", "SystemMaxUse"),
    keyed(JOURNALD, "Storage", "Storage=volatile", "Storage"),
    edit(SYSCTL, "net.ipv4.ip_forward", "net.ipv4.ip_forward = 1"),
    edit(SYSCTL, "net.core.rmem_max", "net.core.rmem_max = #000"),
    edit(LIMITS, "@ops hard nofile", "@ops hard nofile #00"),
    edit(LIMITS, "@trial", "@trial - nproc #"),
];

const EDITS_SERVERS: [Edit; 5] = [
    edit(SUDOERS, "%ops", "%ops ALL=(ALL:ALL) NOPASSWD: ALL"),
    edit(SUDOERS, "deploy", "deploy ALL=(root) NOPASSWD: /usr/local/bin/deploy-#"),
    keyed(BACKUP, "User", "User=backup#", "User"),
    keyed(BACKUP, "Nice", "Nice=-1#", "Nice"),
    edit(NSSWITCH, "hosts:", "hosts: files mdns#_minimal dns"),
];

const EDITS_PROXIES: [Edit; 2] =
    [edit(KAMAILIO, "children", "children=#"), edit(KAMAILIO, "listen", "listen=tcp:10.1.0.1:50#")];

const EDITS_QUEUES: [Edit; 5] = [
    edit(PJSIP, "allow=alaw", "allow=gsm"),
    edit(PJSIP, "direct_media", "direct_media=yes"),
    edit(PJSIP, "context", "context=from-trunk-#"),
    edit(QUEUES, "timeout", "timeout=#"),
    edit(QUEUES, "member => PJSIP/1002", "member => PJSIP/2#"),
];

const EDITS_LAPTOPS: [Edit; 3] = [
    edit(CHROME, "  \"ProxyMode\"", "  \"ProxyMode\": \"direct\","),
    edit(CHROME, "  \"DefaultCookiesSetting\"", "  \"DefaultCookiesSetting\": 4"),
    edit(NETWORK, "dns", "dns=none"),
];

/// The files of a host of this role.
pub fn files(role: Role) -> impl Iterator<Item = (&'static str, &'static str)> {
    let own: &[(&str, &str)] = match role {
        Role::Laptop => &OF_LAPTOPS,
        Role::Server => &OF_SERVERS,
        Role::Proxy => &OF_PROXIES,
        Role::Queue => &OF_QUEUES,
    };
    EVERYWHERE.iter().chain(own).copied()
}

/// What people may write on a host of this role.
pub fn edits(role: Role) -> impl Iterator<Item = Edit> {
    let own: &[Edit] = match role {
        Role::Laptop => &EDITS_LAPTOPS,
        Role::Server => &EDITS_SERVERS,
        Role::Proxy => &EDITS_PROXIES,
        Role::Queue => &EDITS_QUEUES,
    };
    EDITS_EVERYWHERE.iter().chain(own).copied()
}

/// `text` with the first line that begins with `find` replaced, or the line put at its end.
#[must_use]
pub fn written(text: &str, find: &str, line: Option<&str>) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let place = lines.iter().position(|old| old.starts_with(find));
    match (place, line) {
        (Some(place), Some(line)) => {
            if let Some(old) = lines.get_mut(place) {
                *old = line;
            }
        }
        (Some(place), None) => drop(lines.remove(place)),
        (None, Some(line)) => lines.push(line),
        (None, None) => {}
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_replaced_added_or_taken_away() {
        let text = "a 1\nb 2\n";
        assert_eq!(written(text, "a", Some("a 3")), "a 3\nb 2\n");
        assert_eq!(written(text, "c", Some("c 3")), "a 1\nb 2\nc 3\n");
        assert_eq!(written(text, "a", None), "b 2\n");
    }

    #[test]
    fn every_edit_is_in_a_file_its_host_has() {
        for role in Role::ALL {
            for edit in edits(role) {
                assert!(files(role).any(|(part, _)| part == edit.part), "{edit:?}");
                let place = files(role).find(|(part, _)| *part == edit.part);
                let text = place.map(|(_, text)| written(text, edit.find, edit.line));
                assert_ne!(text.as_deref(), place.map(|(_, text)| text), "{edit:?}");
            }
        }
    }
}
