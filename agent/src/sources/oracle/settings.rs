//! What scripts beside the tests print of the libraries they ask: settings, one by one.
//!
//! For each file a script prints `PATH\0=VALUE\0\n` for each value, the words of the path with zero
//! bytes between them, or a line without `\0=` where its library refuses the file; then `\0end\0`.

use std::collections::BTreeMap;

use driftline_protocol::item::ItemValue;
use driftline_protocol::redact::RawItems;

use super::{left_out, said, shown};

/// Values by path.
pub(crate) type Settings = BTreeMap<Vec<String>, Vec<String>>;

/// A script and what it needs.
pub(crate) struct Script {
    /// What runs it.
    pub(crate) python: &'static str,
    /// Where it stands below this crate's sources.
    pub(crate) path: &'static str,
    /// What it says where its library is not installed.
    pub(crate) missing: &'static str,
}

impl Script {
    /// What is printed of each file; none of one that was refused. Nothing at all where what is
    /// asked is not installed.
    pub(crate) fn printed(&self, files: &[String]) -> Option<Vec<Option<Settings>>> {
        let script = format!("{}/src/{}", env!("CARGO_MANIFEST_DIR"), self.path);
        let words = [self.python, &script].into_iter().chain(files.iter().map(String::as_str));
        let (printed, succeeded) = said(&words.collect::<Vec<_>>())?;
        if printed.contains(self.missing) {
            left_out(self.path);
            return None;
        }
        assert!(succeeded, "{printed}");
        let answers: Vec<_> = printed.split_terminator("\0end\0").map(settings).collect();
        assert_eq!(answers.len(), files.len(), "{printed}");
        Some(answers)
    }
}

fn settings(answer: &str) -> Option<Settings> {
    let mut settings = Settings::new();
    for line in answer.split_terminator("\0\n") {
        let (path, value) = line.split_once("\0=")?;
        let path = path.split('\0').map(str::to_owned).collect();
        settings.entry(path).or_default().push(value.to_owned());
    }
    Some(settings)
}

/// Items as such a script would print them.
pub(crate) fn told(items: &RawItems) -> Settings {
    let settings = items.iter().map(|(key, item)| {
        let values = if let ItemValue::List(values) = &item.value {
            values.iter().map(shown).collect()
        } else {
            vec![shown(&item.value)]
        };
        (key.segments().collect(), values)
    });
    settings.collect()
}
