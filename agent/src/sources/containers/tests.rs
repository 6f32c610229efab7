//! Which containers are told, and the row of the shared check.

use super::*;
use crate::sources::check::{Broken, Denied, Fixture};

const STATE: &str = "\
{\"ID\": \"abc\", \"Created\": \"2026-11-01T00:00:00Z\",
 \"State\": {\"Running\": true, \"Pid\": 812},
 \"Image\": \"sha256:11\", \"Name\": \"/turn\",
 \"Config\": {\"Hostname\": \"abc\", \"Image\": \"coturn:4.6\", \"Cmd\": [\"-n\", \"-v\"],
 \"Env\": [\"SECRET_WORD=canary-6b7a\", \"MODE=canary-6b7a\"]}}";

const HOST: &str = "\
{\"RestartPolicy\": {\"Name\": \"always\"}, \"NetworkMode\": \"host\", \"Binds\": [\"/a:/b:ro\"],
 \"PortBindings\": {\"3478/udp\": [{\"HostIp\": \"\", \"HostPort\": \"3478\"}]}, \"CapAdd\": null}";

const HOST_PLACE: &str = "/var/lib/docker/containers/abc/hostconfig.json";
const PLACE: &str = "/var/lib/docker/containers/abc/config.v2.json";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Containers::new()),
        recast: || Box::new(Containers { version: VERSION + 1, ..Containers::new() }),
        tree: vec![(PLACE, 0o600, STATE), (HOST_PLACE, 0o600, HOST)],
        malformed: Some(Broken { path: HOST_PLACE, content: "{", part: "docker/turn" }),
        denied: Denied { path: "/var/lib/docker/containers", part: "docker/turn" },
        edit: (PLACE, "{\"Name\": \"/turn\", \"Config\": {\"Image\": \"coturn:4.7\"}}"),
        canary: Some("canary-6b7a"),
    }
}

fn told(state: &str, host: &str) -> Vec<String> {
    let state: State = serde_json::from_str(state).unwrap();
    let host: Host = serde_json::from_str(host).unwrap();
    let items = items(&state, &host, "always");
    items.iter().map(|(key, item)| format!("{key} {:?}", item.value)).collect()
}

#[test]
fn a_container_made_anew_from_the_same_words_is_the_same() {
    let shown = told(STATE, HOST);
    let expect = "image Text(\"coturn:4.6\")".to_owned();
    assert!(shown.contains(&expect), "{shown:?}");
    assert!(shown.iter().any(|line| line.starts_with("ports/3478")), "{shown:?}");
    let anew =
        STATE.replace("abc", "def").replace("812", "900").replace("2026-11-01", "2026-11-02");
    assert_eq!(told(&anew, HOST), shown);
    assert_ne!(told(&STATE.replace("sha256:11", "sha256:12"), HOST), shown);
}
