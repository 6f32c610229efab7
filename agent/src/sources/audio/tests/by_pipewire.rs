//! What PipeWire's own reader makes of configurations: `spa-json-dump` prints them as JSON.

use driftline_protocol::redact::RawItems;

use crate::formats::{hocon, json};
use crate::sources::oracle::asked;

/// Texts as people write them, each of which PipeWire takes.
const TEXTS: &[&str] = &[
    "context.properties = {\n  default.clock.rate = 48000 # Hz\n\
     \x20 default.clock.allowed-rates = [ 44100 48000 ]\n\
     \x20 log.level = 2, mem.allow-mlock = true x = null y = 0.5 z = \"a b\"\n}\n\
     context.modules = [\n  # first\n  { name = libpipewire-module-rt\n\
     \x20   args = { nice.level = -11 }\n\
     \x20   flags = [ ifexists nofail ]\n  }\n  { name = libpipewire-module-protocol-native }\n]\n",
    "{ a: 1, \"b\": [1 2,3], \"c d\" : { } , e:[ ], }\n",
    "a 1\nb { c d e [ f g ] }\n\"h\" i\n",
    "a = x#y\n#b = 1\nc = 1 # d = 2\ne=[ 1#2 #3\n4 ]\n",
    "a = \"q\\\"u\\\\ \\t \\u00e4 \\ud83e\\udd80 \\/ #no {no} [no]\"\nb = \"\"\nc = 'd'\n",
    "a=b c:d,e=f\ng = h+i j+k = l m.n = o/p\n",
    "a = yes c = 48000.5 f = 9223372036854775807 g = true# h = TRUE\n",
    "monitor.alsa.rules = [ { matches = [ { device.name = \"~alsa_card.*\" } { node.name = x } ]\n\
     actions = { update-props = { api.alsa.use-acp = true node.nick = \"My Node\" } } } ]\n",
    "\ta\t=\t1\r\nb = 2\r\n\n\n",
];

/// Key and value of each item.
fn items(read: Result<RawItems, crate::formats::FormatError>) -> Vec<String> {
    let line = |(key, item): (&_, &driftline_protocol::redact::RawItem)| {
        format!("{key} = {:?}", item.value)
    };
    read.unwrap().iter().map(line).collect()
}

#[test]
fn pipewire_reads_every_configuration_as_we_do() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().display().to_string();
    let mut compared = 0;
    for text in TEXTS {
        std::fs::write(file.path(), text).unwrap();
        let Some(printed) = asked(&["spa-json-dump", &path]) else { return };
        let ours = items((hocon::PIPEWIRE.read)(text.as_bytes()));
        assert_eq!(ours, items((json::FORMAT.read)(printed.as_bytes())), "{text} is {printed}");
        compared += ours.len();
    }
    assert!(compared > 40, "{compared}");
}

/// Each file that PipeWire brings along is one that it reads.
#[test]
fn pipewire_reads_its_own_configurations_as_we_do() {
    for folder in ["/usr/share/pipewire", "/usr/share/wireplumber"] {
        let Ok(entries) = std::fs::read_dir(folder) else { continue };
        let paths = entries.map(|entry| entry.unwrap().path());
        for path in paths.filter(|path| path.extension().is_some_and(|end| end == "conf")) {
            let text = std::fs::read(&path).unwrap();
            let Some(printed) = asked(&["spa-json-dump", &path.display().to_string()]) else {
                return;
            };
            let ours = items((hocon::PIPEWIRE.read)(&text));
            assert_eq!(ours, items((json::FORMAT.read)(printed.as_bytes())), "{}", path.display());
        }
    }
}
