//! The commented sample configuration, made from one table that a test holds against the struct.

use crate::platform::path_example;

/// One key: its table, its name, what it means, and an example in TOML.
struct Field {
    table: &'static str,
    key: &'static str,
    text: &'static str,
    example: &'static str,
}

const fn field(
    table: &'static str,
    key: &'static str,
    text: &'static str,
    example: &'static str,
) -> Field {
    Field { table, key, text, example }
}

/// Every key, in the order a reader needs them. An example is the default where there is one.
const FIELDS: &[Field] = &[
    field(
        "",
        "collector",
        "The collector's address. https, or http on this machine only. No default.",
        "\"https://collector.example.org:9470\"",
    ),
    field(
        "",
        "ca_file",
        "Certificates the collector's must lead to, in PEM form.\nDefault: those of the platform.",
        "\"/etc/driftline/ca.pem\"",
    ),
    field(
        "",
        "host_name",
        "What this host calls itself when it enrols; the collector decides.\n\
         Default: the kernel's host name.",
        "\"sbc1\"",
    ),
    field(
        "",
        "kind",
        "What kind of host this is: endpoint, uc, contact_centre, directory or cloud.\n\
         The collector's configuration decides.",
        "\"endpoint\"",
    ),
    field(
        "",
        "state_dir",
        "Where the agent keeps its state. Nothing is written anywhere else.",
        "\"/var/lib/driftline/agent\"",
    ),
    field(
        "",
        "fingerprint_key_file",
        "The site's fingerprint key: 32 bytes or more, readable by the owner only, the same\n\
         file on every host of the site. The collector must never hold it. Default: a key of\n\
         this host's own, so that equal secrets on two hosts cannot be told.",
        "\"/etc/driftline/fingerprint.key\"",
    ),
    field(
        "",
        "enrolment_secret_file",
        "Holds the enrolment secret, readable by the owner only. Needed once; while it stays, a\n\
         host whose collector lost its store enrols again by itself, but not over plain http.",
        "\"/etc/driftline/enrolment.secret\"",
    ),
    field(
        "",
        "heartbeat_seconds",
        "How often the host reports that it lives, in seconds, from 5 to 3600, until the\n\
         collector says otherwise. Changes are sent at once.",
        "60",
    ),
    field(
        "",
        "spool_limit_bytes",
        "Disk the spool may use, in bytes, before old undelivered versions are merged.\n\
         The newest state is never dropped.",
        "268435456",
    ),
    field(
        "sources",
        "enable",
        "The sources that run. Default: all.",
        "[\"files\", \"packages\", \"services\"]",
    ),
    field(
        "sources",
        "rescan_seconds",
        "How often each source is read although nothing was seen to change, in seconds,\n\
         from 60 to 86400.",
        "3600",
    ),
    field(
        "files",
        "include",
        "Files that are reported. Default: the built-in list.",
        "[\"/etc/**\", \"/opt/pbx/etc/**\"]",
    ),
    field(
        "files",
        "exclude",
        "Files that are not. Default: the built-in list of volatile files.",
        "[\"/etc/**/*.bak\"]",
    ),
    field(
        "files",
        "withhold",
        "Files that are secrets as a whole and are never opened, beside the built-in ones.",
        "[\"/opt/pbx/etc/licence.key\"]",
    ),
    field(
        "runtime",
        "every_seconds",
        "How often the servers of this host are asked what is running, in seconds, from 1 to 3600.",
        "30",
    ),
    field(
        "runtime",
        "kamailio",
        "Where Kamailio answers: the datagram socket of its module jsonrpcs, or its module xhttp\n\
         on this host: { http = { address = \"127.0.0.1:5060\", path = \"/RPC\" } }.\n\
         Default: /run/kamailio/kamailio_rpc.sock, where there is one.",
        "{ socket = \"/run/kamailio/kamailio_rpc.sock\" }",
    ),
    field(
        "runtime",
        "asterisk",
        "Where the manager interface of Asterisk answers, and who asks; a user with\n\
         read = system,reporting and write = system,reporting is enough. Default: nobody asks.",
        "{ address = \"127.0.0.1:5038\", user = \"driftline\", \
         secret_file = \"/etc/driftline/asterisk.secret\" }",
    ),
    field(
        "runtime",
        "freeswitch",
        "Where the event socket of FreeSWITCH answers. Default: nobody asks.",
        "{ address = \"127.0.0.1:8021\", secret_file = \"/etc/driftline/freeswitch.secret\" }",
    ),
    field(
        "probes",
        "every_seconds",
        "How often each target is asked whether it answers, in seconds, from 5 to 3600.",
        "60",
    ),
    field(
        "probes",
        "name_server",
        "The name server that is asked for services of a domain, with its port. Default: those of\n\
         /etc/resolv.conf.",
        "\"127.0.0.1:53\"",
    ),
    field(
        "probes",
        "targets",
        "What this host depends on, at most 64. service and hop are a service path of the\n\
         collector and a group on it; kind is sip_udp, sip_tcp, sip_tls, tcp, tls, dns_srv or\n\
         dns_naptr. Of SIP an address without a port is a domain: DNS says its servers. With\n\
         ca_file the chain and the name of a certificate are judged. Default: nobody is asked.",
        "[{ service = \"voice\", hop = \"carrier\", kind = \"sip_udp\", \
         address = \"sip.example.org:5060\" }]",
    ),
    field(
        "certificates",
        "include",
        "Files that are looked into for certificates, beside those below /etc.",
        "[\"/opt/pbx/tls/**/*.pem\"]",
    ),
    field(
        "budget",
        "cpu_seconds",
        "CPU time that one pass of one source may take, in seconds. A source that passes a bound\n\
         of its budget is stopped: what it reads is unobserved, the portal says why, and it is\n\
         read again after its interval.",
        "60",
    ),
    field(
        "budget",
        "memory_bytes",
        "Memory by which the agent may grow in one pass, in bytes, at least 4194304.",
        "100663296",
    ),
    field(
        "budget",
        "read_bytes",
        "Bytes of files that one pass may read, at least 4194304.",
        "4294967296",
    ),
];

/// The sample configuration: every key with its meaning, commented out.
pub fn sample() -> String {
    let mut text = String::from(
        "# The Driftline agent. Files in conf.d/ and then in agent.d/ beside this one are read\n\
         # after it, in the order of their names; a later file wins key by key. A collector on\n\
         # the same machine reads conf.d/ too; what only the agent knows belongs in agent.d/.\n",
    );
    let mut table = "";
    for field in FIELDS {
        if field.table != table {
            table = field.table;
            text.push_str(&format!("\n[{table}]\n"));
        }
        text.push('\n');
        for line in field.text.lines() {
            text.push_str(&format!("# {line}\n"));
        }
        text.push_str(&format!("#{} = {}\n", field.key, path_example(field.example)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::collections::BTreeSet;

    #[test]
    fn the_sample_holds_every_key_and_no_other() {
        let serde_json::Value::Object(keys) = serde_json::to_value(Config::default()).unwrap()
        else {
            panic!("a configuration is a table")
        };
        let mut expected = BTreeSet::new();
        for (name, value) in keys {
            if let serde_json::Value::Object(table) = value {
                expected.extend(table.into_iter().map(|(key, _)| (name.clone(), key)));
            } else {
                expected.insert((String::new(), name));
            }
        }
        let listed = FIELDS.iter().map(|field| (field.table.to_owned(), field.key.to_owned()));
        assert_eq!(listed.collect::<BTreeSet<_>>(), expected);
    }

    #[test]
    fn the_sample_is_valid_as_it_stands_and_with_every_key_set() {
        assert_eq!(toml::from_str::<Config>(&sample()).unwrap(), Config::default());
        let set: String = sample()
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(key) if !key.starts_with(' ') => format!("{key}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        toml::from_str::<Config>(&set).unwrap().check().unwrap();
    }
}
