//! Where settings come from, told of small configurations; and the rows of the shared check.

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const SCRIPT: &str = "\
#!KAMAILIO
#!define DBURL \"mysql://kamailio:canary-Kd8@db/kamailio\"
import_file \"local.cfg\"
include_file \"routes/*.cfg\"
modparam(\"usrloc|dispatcher\", \"db_url\", DBURL)
modparam(\"dispatcher\", \"table_name\", \"gateways\")
modparam(\"tm\", \"fr_timer\", 30000)
request_route { exit; }
";

const XML: &str = "\
<document type=\"freeswitch/xml\">
  <!-- <X-PRE-PROCESS cmd=\"include\" data=\"commented.xml\"/> -->
  <X-PRE-PROCESS cmd=\"include\" data=\"autoload_configs/*.xml\"/>
</document>
";

const CURL: &str = "\
<configuration name=\"xml_curl.conf\"><bindings>
  <binding name=\"users\">
    <param name=\"gateway-url\" value=\"http://fs:canary-Xc4@web/users\" bindings=\"directory\"/>
  </binding>
</bindings></configuration>
";

/// Makes a source.
type Make = fn() -> Box<dyn Source>;

fn fixture(
    product: (Make, Make),
    tree: Vec<(&'static str, u32, &'static str)>,
    broken: (&'static str, &'static str, &'static str),
    edit: (&'static str, &'static str),
) -> Fixture {
    let (path, content, part) = broken;
    let canaries = ["canary-Kd8", "canary-Xc4"];
    let canary = canaries.into_iter().find(|c| tree.iter().any(|(_, _, text)| text.contains(c)));
    Fixture {
        source: product.0,
        recast: product.1,
        tree,
        malformed: Some(Broken { path, content, part }),
        denied: Denied { path, part },
        edit,
        canary,
    }
}

fn later(product: &'static Product) -> Box<dyn Source> {
    Box::new(Origins { version: VERSION + 1, ..Origins::new(product) })
}

pub(in crate::sources) fn asterisk() -> Fixture {
    fixture(
        (|| Box::new(Origins::new(&ASTERISK)), || later(&ASTERISK)),
        vec![
            ("/etc/asterisk/asterisk.conf", 0o640, "[options]\nexecincludes = yes\n"),
            ("/etc/asterisk/extconfig.conf", 0o640, "[settings]\nqueues => odbc,asterisk\n"),
        ],
        ("/etc/asterisk/extconfig.conf", "[settings\n", "origins of /etc/asterisk"),
        ("/etc/asterisk/extconfig.conf", "[settings]\nqueues => pgsql,asterisk\n"),
    )
}

pub(in crate::sources) fn kamailio() -> Fixture {
    fixture(
        (|| Box::new(Origins::new(&KAMAILIO)), || later(&KAMAILIO)),
        vec![
            ("/etc/kamailio/kamailio.cfg", 0o640, SCRIPT),
            ("/etc/kamailio/routes/a.cfg", 0o640, "loadmodule \"acc.so\"\n"),
        ],
        ("/etc/kamailio/routes/a.cfg", "route {\n", "origins of /etc/kamailio"),
        ("/etc/kamailio/local.cfg", "modparam(\"acc\", \"db_url\", \"text:///x\")\n"),
    )
}

pub(in crate::sources) fn opensips() -> Fixture {
    fixture(
        (|| Box::new(Origins::new(&OPENSIPS)), || later(&OPENSIPS)),
        vec![("/etc/opensips/opensips.cfg", 0o640, "modparam(\"a\", \"db_url\", \"x\")\n")],
        ("/etc/opensips/opensips.cfg", "route {\n", "origins of /etc/opensips"),
        ("/etc/opensips/opensips.cfg", "modparam(\"a\", \"db_url\", \"y\")\n"),
    )
}

pub(in crate::sources) fn freeswitch() -> Fixture {
    fixture(
        (|| Box::new(Origins::new(&FREESWITCH)), || later(&FREESWITCH)),
        vec![
            ("/etc/freeswitch/freeswitch.xml", 0o640, XML),
            ("/etc/freeswitch/autoload_configs/xml_curl.conf.xml", 0o640, CURL),
        ],
        ("/etc/freeswitch/freeswitch.xml", "<document>", "origins of /etc/freeswitch"),
        ("/etc/freeswitch/autoload_configs/new.xml", "<include/>\n"),
    )
}

pub(in crate::sources) fn ejabberd() -> Fixture {
    fixture(
        (|| Box::new(Origins::new(&EJABBERD)), || later(&EJABBERD)),
        vec![("/etc/ejabberd/ejabberd.yml", 0o640, "sql_password: canary-Kd8\nloglevel: 4\n")],
        ("/etc/ejabberd/ejabberd.yml", "a: [", "origins of /etc/ejabberd"),
        ("/etc/ejabberd/ejabberd.yml", "auth_method: [ldap]\n"),
    )
}

pub(in crate::sources) fn prosody() -> Fixture {
    fixture(
        (|| Box::new(Origins::new(&PROSODY)), || later(&PROSODY)),
        vec![
            ("/etc/prosody/prosody.cfg.lua", 0o640, "Include \"conf.d/*.cfg.lua\"\n"),
            ("/etc/prosody/conf.d/a.cfg.lua", 0o640, "sql = { password = 'canary-Kd8' }\n"),
        ],
        ("/etc/prosody/conf.d/a.cfg.lua", "a = {", "origins of /etc/prosody"),
        ("/etc/prosody/conf.d/b.cfg.lua", "storage = 'sql'\n"),
    )
}

/// The items of the one part of `product`, one line each, secrets hidden as they leave the host.
#[track_caller]
fn check(product: &Product, files: &[(&str, &str)], expected: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let redactor = Redactor::new([1; 32]);
    let machine = Machine::open(root.path(), Redactor::new([1; 32])).unwrap();
    let mut walk = Walk::new(&machine);
    let directory = product.directories.first().unwrap();
    let found = (product.follow)(&mut walk, Path::new(directory));
    assert!(matches!(found, Ok(Found::File)), "{} finds nothing", product.name);
    let show = |value: &ItemValue| match value {
        ItemValue::Nothing => "-".to_owned(),
        ItemValue::Text(text) => redactor.redact_text(text).into_owned(),
        ItemValue::Flag(_)
        | ItemValue::Integer(_)
        | ItemValue::Fingerprint(_)
        | ItemValue::List(_)
        | ItemValue::Set(_)
        | ItemValue::Lines(_) => format!("{value:?}"),
    };
    let said: Vec<String> =
        walk.said().iter().map(|(key, item)| format!("{key} = {}", show(&item.value))).collect();
    assert_eq!(said, expected);
}

#[test]
fn a_script_says_what_it_reads_and_which_modules_ask_a_database() {
    let redactor = Redactor::new([1; 32]);
    let url = redactor.redact_text("mysql://kamailio:canary-Kd8@db/kamailio").into_owned();
    check(
        &KAMAILIO,
        &[
            ("/etc/kamailio/kamailio.cfg", SCRIPT),
            ("/etc/kamailio/routes/b.cfg", "modparam(\"acc\", \"db_url\", \"text:///b\")\n"),
            ("/etc/kamailio/routes/a.cfg", "import_file \"../kamailio.cfg\"\n"),
        ],
        &[
            "database/acc/db_url = text:///b",
            &format!("database/dispatcher/db_url = {url}"),
            "database/dispatcher/table_name = gateways",
            &format!("database/usrloc/db_url = {url}"),
            "reads/~1etc~1kamailio~1kamailio.cfg = -",
            "reads/~1etc~1kamailio~1local.cfg = not there",
            "reads/~1etc~1kamailio~1routes~1..~1kamailio.cfg = -",
            "reads/~1etc~1kamailio~1routes~1a.cfg = -",
            "reads/~1etc~1kamailio~1routes~1b.cfg = -",
        ],
    );
}

#[test]
fn realtime_and_sorcery_say_what_is_not_in_the_files() {
    check(
        &ASTERISK,
        &[
            ("/etc/asterisk/asterisk.conf", "[directories]\nastetcdir => /srv/pbx\n"),
            (
                "/srv/pbx/extconfig.conf",
                "[settings]\nqueues => odbc,asterisk,queue_table\n#include more.conf\n",
            ),
            ("/srv/pbx/more.conf", "[settings](+)\nps_endpoints => odbc,asterisk\n"),
            (
                "/srv/pbx/sorcery.conf",
                "[res_pjsip]\nendpoint=config,pjsip.conf\nendpoint=realtime,ps_endpoints\n",
            ),
        ],
        &[
            "folder = /srv/pbx",
            "reads/~1etc~1asterisk~1asterisk.conf = -",
            "reads/~1srv~1pbx~1extconfig.conf = -",
            "reads/~1srv~1pbx~1more.conf = -",
            "reads/~1srv~1pbx~1sorcery.conf = -",
            "realtime/ps_endpoints = odbc,asterisk",
            "realtime/queues = odbc,asterisk,queue_table",
            "sorcery/res_pjsip/endpoint = List([Text(\"config,pjsip.conf\"), \
             Text(\"realtime,ps_endpoints\")])",
        ],
    );
}

#[test]
fn a_web_server_that_answers_for_a_file_is_told() {
    let redactor = Redactor::new([1; 32]);
    let url = redactor.redact_text("http://fs:canary-Xc4@web/users").into_owned();
    check(
        &FREESWITCH,
        &[
            ("/etc/freeswitch/freeswitch.xml", XML),
            ("/etc/freeswitch/autoload_configs/xml_curl.conf.xml", CURL),
            (
                "/etc/freeswitch/autoload_configs/modules.conf.xml",
                "<configuration><modules><load module=\"mod_xml_curl\"/>\
                 <load module=\"mod_sofia\"/></modules></configuration>",
            ),
        ],
        &[
            "module/mod_xml_curl = loaded",
            "reads/~1etc~1freeswitch~1autoload_configs~1modules.conf.xml = -",
            "reads/~1etc~1freeswitch~1autoload_configs~1xml_curl.conf.xml = -",
            "reads/~1etc~1freeswitch~1commented.xml = not there",
            "reads/~1etc~1freeswitch~1freeswitch.xml = -",
            "xml_curl/users = -",
            &format!("xml_curl/users/param/gateway-url = {url}"),
            "xml_curl/users/param/gateway-url/@bindings = directory",
        ],
    );
}

#[test]
fn where_accounts_are_is_told() {
    check(
        &EJABBERD,
        &[
            (
                "/etc/ejabberd/ejabberd.yml",
                "auth_method: [sql]\nloglevel: 4\ninclude_config_file: more.yml\n\
                 modules:\n  mod_roster:\n    db_type: mnesia\n",
            ),
            ("/etc/ejabberd/more.yml", "default_db: sql\n"),
        ],
        &[
            "reads/~1etc~1ejabberd~1ejabberd.yml = -",
            "reads/~1etc~1ejabberd~1more.yml = -",
            "store/auth_method = List([Text(\"sql\")])",
            "store/default_db = sql",
            "store/modules/mod_roster/db_type = mnesia",
        ],
    );
    check(
        &PROSODY,
        &[
            (
                "/etc/prosody/prosody.cfg.lua",
                "storage = \"internal\"\nInclude \"conf.d/*.cfg.lua\"\n",
            ),
            (
                "/etc/prosody/conf.d/a.cfg.lua",
                "VirtualHost \"a.example\"\n  authentication = \"ldap\"\n  x = 1\n",
            ),
        ],
        &[
            "reads/~1etc~1prosody~1conf.d~1a.cfg.lua = -",
            "reads/~1etc~1prosody~1prosody.cfg.lua = -",
            "store/VirtualHost a.example/authentication = ldap",
            "store/storage = internal",
        ],
    );
}
