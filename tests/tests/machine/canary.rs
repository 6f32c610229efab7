//! A secret in every shape and in every format: none may be found anywhere but where it was put.
//!
//! The shapes are five: a key that names a secret, a name beside a value, a place in a line, inside
//! an address or command, a file as a whole. Each secret is a word of its own, so that a hit says
//! which shape of which file leaked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::Context;
use driftline_tests::http;
use driftline_tests::wait::{self, PATIENCE};

use super::pair::{HOST, Pair, SECRET, Who};

/// Files by path below `etc`; each `@` becomes a secret of its own, each `%` a changing number.
const FILES: [(&str, &str); 22] = [
    ("app/env.conf", "DB_PASSWORD=@\nexport API_TOKEN='@'\nurl=mysql://u:@@db.example/x\nn=%\n"),
    (
        "app/plain.cfg",
        "password: @\nclient_secret = \"@\"\nsomething else %\n<password>@</password>\n",
    ),
    (
        "app/app.json",
        "{\"password\":\"@\",\"list\":[{\"name\":\"api_key\",\"value\":\"@\"}],\
      \"u\":\"amqp://guest:@@mq/x\",\"deep\":{\"auth\":{\"token\":[\"@\",\"@\"]}},\"n\":%}",
    ),
    ("app/app.ini", "[db]\npassword = @\ndsn = postgres://a:@@h/d\nsecret=@\nn = %\n"),
    ("asterisk/pjsip.conf", "[alice]\ntype=auth\nusername=alice\npassword=@\nmd5_cred=@\nn=%\n"),
    ("asterisk/manager.conf", "[admin]\nsecret = @\npermit=10.0.0.0/8\nn=%\n"),
    (
        "freeswitch/vars.xml",
        "<include>\n<param name=\"password\" value=\"@\"/>\n\
      <X-PRE-PROCESS cmd=\"set\" data=\"default_password=@\"/>\n\
      <variable name=\"vm-password\" value=\"@\"/><n>%</n>\n</include>\n",
    ),
    (
        "kamailio/kamailio.cfg",
        "#!substdef \"!X!amqp://guest:@@10.0.0.1!g\"\n\
      modparam(\"db\", \"db_url\", \"mysql://k:@@localhost/k\")\nn=%\n",
    ),
    (
        "netplan/x.yaml",
        "network:\n  wifis:\n    password: \"@\"\n    auth:\n      password: @\n  n: %\n",
    ),
    ("environment", "http_proxy=http://u:@@proxy:3128/\nAWS_SECRET_ACCESS_KEY=@\nN=%\n"),
    ("fstab", "//nas/x /mnt/x cifs username=u,password=@,ro 0 %\n"),
    ("apt/sources.list", "deb https://u:@@repo.example/debian stable main%\n"),
    ("apt/auth.conf", "machine repo.example login u password @\nn %\n"),
    ("hosts", "127.0.0.1 localhost host-%\n# password=@\n"),
    ("sysctl.conf", "kernel.hostname = x%\n# token: @\n"),
    (
        "cron.d/job",
        "* * * * * root curl --header 'Authorization: Bearer @' https://x/%\n\
      * * * * * root mysqldump --password=@ db\n",
    ),
    (
        "systemd/system/x.service",
        "[Service]\nEnvironment=\"PGPASSWORD=@\"\n\
      ExecStart=/bin/x --api-key=@ --n=%\nExecStartPre=/bin/y --token @\n",
    ),
    ("app/id_rsa", "-----BEGIN OPENSSH PRIVATE KEY-----\n@\n-----END OPENSSH PRIVATE KEY-----\n"),
    ("app/server.pem", "n%\n-----BEGIN PRIVATE KEY-----\n@\n@\n-----END PRIVATE KEY-----\n"),
    ("shadow", "root:@:19000:0:99999:7:::\nu%:*:1::::::\n"),
    ("app/.htpasswd", "u:@\nn%\n"),
    ("ppp/chap-secrets", "u * @ *\nn%\n"),
];

/// Plants every file; the secrets are numbered in the order of the table, `round` makes new ones.
fn plant(etc: &Path, round: u32) -> anyhow::Result<BTreeMap<String, String>> {
    let mut planted = BTreeMap::new();
    for (index, (name, text)) in FILES.iter().enumerate() {
        let mut body = String::new();
        // `:@@` is a secret before the sign that ends an address's user information.
        for (place, piece) in text.replace("@@", "@\u{1}").split('@').enumerate() {
            if place > 0 {
                let secret = format!("Zq7canary{round}{index:02}{place}w9XkT4");
                body.push_str(&secret);
                planted.insert(secret, format!("{name}, secret {place}"));
            }
            body.push_str(&piece.replace('\u{1}', "@").replace('%', &round.to_string()));
        }
        let path = etc.join(name);
        std::fs::create_dir_all(path.parent().context("a folder")?)?;
        std::fs::write(path, body)?;
    }
    Ok(planted)
}

/// Every page the portal links to from its first one.
fn crawl(pair: &Pair) -> anyhow::Result<BTreeMap<String, String>> {
    let mut pages = BTreeMap::new();
    let mut waiting = BTreeSet::from(["/".to_string()]);
    while let Some(path) = waiting.pop_first() {
        if pages.len() > 2_000 {
            break;
        }
        let answer = http::get(pair.address, &path)?;
        anyhow::ensure!(answer.status == 200, "{path}: {}", answer.status);
        let text = answer.text();
        for link in text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
            let link = link.replace("&amp;", "&");
            let link = link.split('#').next().unwrap_or_default().to_string();
            if link.starts_with('/') && !pages.contains_key(&link) {
                waiting.insert(link);
            }
        }
        pages.insert(path, text);
    }
    Ok(pages)
}

/// Every file below `folder` but the tree the secrets were planted in, whole and with what zstd
/// made smaller in it.
fn files(folder: &Path, outputs: &mut BTreeMap<String, Vec<u8>>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tree" {
            files(&path, outputs)?;
        } else if path.is_file() && name != "enrolment" {
            let bytes = std::fs::read(&path)?;
            let mut frames = Vec::new();
            for at in 0..bytes.len().saturating_sub(4) {
                if bytes[at..].starts_with(&[0x28, 0xB5, 0x2F, 0xFD]) {
                    let mut reader = zstd::Decoder::new(&bytes[at..])?.single_frame();
                    // A frame that ends on another page of the database reads up to there.
                    drop(std::io::copy(&mut reader, &mut frames));
                    frames.push(b'\n');
                }
            }
            outputs.insert(format!("{} unpacked", path.display()), frames);
            outputs.insert(path.display().to_string(), bytes);
        }
    }
    Ok(())
}

/// Everything either program ever says, by where it says it.
fn outputs(pair: &Pair) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    let mut outputs = BTreeMap::new();
    for (path, text) in crawl(pair)? {
        outputs.insert(format!("page {path}"), text.into_bytes());
    }
    let numbered = pair.changes()?;
    for row in &numbered {
        let path = format!("/api/v1/changes/{}", row["id"]);
        outputs.insert(path.clone(), http::get_ok(pair.address, &path)?.body);
    }
    let host = format!("/api/v1/hosts/{HOST}");
    let paths = [
        "/metrics".to_string(),
        "/api/v1/hosts".into(),
        host.clone(),
        format!("{host}/sections"),
        format!("{host}/snapshot"),
        "/api/v1/changes?limit=1000".into(),
        "/api/v1/findings?limit=1000".into(),
        "/api/v1/events?limit=1000".into(),
        "/api/v1/tokens".into(),
        "/api/v1/openapi.json".into(),
    ];
    for path in paths {
        outputs.insert(path.clone(), http::get_ok(pair.address, &path)?.body);
    }
    outputs.insert("snapshot".into(), pair.agent_snapshot()?.into_bytes());
    let address = format!("http://{}", pair.address);
    for command in [&["hosts"][..], &["host", HOST], &["changes"], &["findings"]] {
        let words = [&["--collector", &address, "--output", "json"], command].concat();
        outputs.insert(command.join(" "), pair.tool("driftline", &words)?.into_bytes());
    }
    files(&pair.path("."), &mut outputs)?;
    Ok(outputs)
}

#[test]
fn no_planted_secret_is_found_in_any_output() -> anyhow::Result<()> {
    if !super::is_root("canary")? {
        return Ok(());
    }
    let mut pair = Pair::new()?;
    let etc = pair.tree().join("etc");
    for who in [Who::Agent, Who::Collector] {
        let loud = ["DRIFTLINE_LOG=debug".to_string()];
        pair.environment.insert(who, loud.to_vec());
    }
    let mut planted = plant(&etc, 1)?;
    std::fs::write(etc.join("first.conf"), "first = marker-1-end\n")?;
    pair.start(Who::Collector)?;
    pair.start(Who::Agent)?;
    pair.wait_for("marker-1-end")?;
    for round in 2..=3 {
        // New secrets in the same places: differences between two of them are outputs too.
        planted.extend(plant(&etc, round)?);
        if round == 3 {
            let approve = format!("/api/v1/hosts/{HOST}/baseline");
            let json = [("Content-Type", "application/json")];
            let answer = http::post(pair.address, &approve, &json, b"{\"reason\": \"canary\"}")?;
            assert_eq!(answer.status, 200, "{}", answer.text());
            std::fs::rename(etc.join("app/env.conf"), etc.join("app/env2.conf"))?;
        }
        let marker = format!("marker-{round}-end");
        std::fs::write(etc.join("first.conf"), format!("first = {marker}\n"))?;
        pair.wait_for(&marker)?;
        wait::until("the last file is seen", PATIENCE, || {
            Ok(pair.snapshot()?.to_string().contains(&format!("host-{round}")).then_some(()))
        })?;
    }
    // What waits in the spool is an output too.
    pair.kill9(Who::Collector)?;
    planted.extend(plant(&etc, 4)?);
    wait::while_quiet(std::time::Duration::from_secs(2), || Ok(None))?;
    let mut all = BTreeMap::new();
    files(&pair.path("."), &mut all)?;
    pair.start(Who::Collector)?;
    wait::until("the last file is seen", PATIENCE, || {
        Ok(pair.snapshot()?.to_string().contains("host-4").then_some(()))
    })?;
    all.extend(outputs(&pair)?);
    planted.insert(SECRET.to_string(), "the enrolment secret".to_string());
    let mut leaks: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for (place, bytes) in &all {
        let text = String::from_utf8_lossy(bytes);
        for (secret, origin) in &planted {
            if text.contains(secret) {
                leaks.entry(origin).or_default().insert(place);
            }
        }
    }
    let shown: Vec<String> = leaks
        .iter()
        .map(|(origin, places)| {
            format!("{origin}: {} places, e.g. {:?}", places.len(), places.first())
        })
        .collect();
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), shown.join("\n"));
    let bytes: usize = all.values().map(Vec::len).sum();
    assert!(all.len() > 50 && bytes > 1_000_000, "only {} outputs", all.len());
    eprintln!("{} secrets, {} outputs of {bytes} bytes, 0 hits", planted.len(), all.len());
    Ok(())
}
