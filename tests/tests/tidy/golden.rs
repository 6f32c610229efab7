//! Every message of every wire version has a golden file, so that an old agent is understood for
//! ever.

use super::tree::{Offence, Tree};

/// Each message of the table in `wire.rs` stands in `protocol/golden/vN/` for each version N up to
/// now.
pub(crate) fn every_message(tree: &Tree) -> Vec<Offence> {
    let Some(wire) = tree.get("protocol/src/wire.rs") else { return Vec::new() };
    let version: u32 = wire
        .lines()
        .find_map(|line| line.strip_prefix("pub const PROTOCOL_VERSION: u32 = "))
        .and_then(|value| value.trim_end_matches(';').parse().ok())
        .expect("wire.rs states PROTOCOL_VERSION on one line");
    let messages: Vec<String> = wire
        .lines()
        .filter(|line| line.starts_with("//! POST "))
        .flat_map(|line| line.split_whitespace())
        .filter(|word| {
            ["Request", "Answer", "Heartbeat", "Upload", "Report", "Import"]
                .iter()
                .any(|end| word.ends_with(end))
        })
        .map(snake)
        .collect();
    assert!(messages.len() >= 8, "the table of messages in wire.rs has another form than expected");
    let mut offences = Vec::new();
    for version in 1..=version {
        let folder = format!("protocol/golden/v{version}/");
        for message in messages.iter().map(String::as_str).chain(["problem"]) {
            let there = tree.files(&folder, "").any(|(path, text)| {
                let name = path.rsplit('/').next().unwrap_or_default();
                name.split('.').next() == Some(message) && !text.is_empty()
            });
            if !there {
                offences.push(Offence {
                    check: "every_message",
                    place: format!("{folder}{message}.json"),
                    what: "is missing".into(),
                    why: "without the old bytes nobody notices that an old agent is misread",
                    cure: "write it once with the present encoder; never edit it afterwards",
                });
            }
        }
    }
    offences
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
