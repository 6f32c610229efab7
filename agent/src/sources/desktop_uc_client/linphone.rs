//! `linphonerc`, as Linphone's own reader takes it (`lpconfig.c` of liblinphone 5.1).
//!
//! A line ends at a line feed or a carriage return. What begins with `[`, behind spaces at most,
//! opens the section that the first word before `]` names, and says nothing where there is none.
//! `#` begins a line of comment, and `;` does not. The name of a setting is the first word before
//! `=`; its value loses spaces at its end, keeps what blanks stand before it (Linphone then knows
//! ` srtp` for no encryption), and is none when it is empty. Of a setting that comes again the last
//! counts, and what stands before the first section says nothing.

use driftline_protocol::item::ItemKey;
use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::RawItems;

use crate::formats::FormatError;
use crate::formats::build::Builder;
use crate::formats::lines::scalar;

/// The longest line that Linphone reads as one, in bytes (`MAX_LEN` of its reader).
const LINE_BYTES: usize = 16_383;

/// Sections that decide whether and how a call gets through, with or without a number behind them.
const SECTIONS: [&str; 6] = ["sip", "net", "rtp", "proxy", "nat_policy", "audio_codec"];

/// What Linphone notes of a person or a device in those sections.
const OWN: [&str; 5] = ["reg_identity", "contact", "default_proxy", "refkey", "contact_parameters"];

pub(super) fn tells(section: &str, name: &str) -> bool {
    let plain = section.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    SECTIONS.contains(&plain) && !OWN.contains(&name)
}

/// The settings that `tells` wants, by section and name.
///
/// # Errors
/// [`FormatError::TooLarge`] for a line that Linphone would read as several and for more than a
/// part may hold, [`FormatError::Malformed`] for a zero byte, behind which it reads some of the
/// lines.
pub fn read(bytes: &[u8], tells: fn(&str, &str) -> bool) -> Result<RawItems, FormatError> {
    let mut items = Builder::default();
    let mut section: Option<String> = None;
    for (number, line) in (1..).zip(bytes.split(|byte| matches!(byte, b'\n' | b'\r'))) {
        if line.len() > LINE_BYTES {
            return Err(FormatError::TooLarge);
        }
        if line.contains(&0) {
            return Err(FormatError::malformed(number, "a text holds no zero byte"));
        }
        let line = String::from_utf8_lossy(line);
        let begins = line.trim_start_matches(' ');
        if let Some(rest) = begins.strip_prefix('[') {
            section = rest.split_once(']').and_then(|(name, _)| word(name)).or(section);
        } else if !begins.starts_with('#')
            && let Some((name, value)) = line.split_once('=')
            && let (Some(section), Some(name)) = (&section, word(name))
        {
            set(&mut items, [section, &name], value, tells)?;
        }
    }
    Ok(items.finish())
}

fn set(
    items: &mut Builder,
    [section, name]: [&str; 2],
    value: &str,
    tells: fn(&str, &str) -> bool,
) -> Result<(), FormatError> {
    let value = value.trim_end_matches(' ');
    if value.is_empty() || !tells(section, name) {
        return Ok(());
    }
    let key = ItemKey::of([section, name]);
    if mutant::active(Mutant::FirstSettingCounts) && items.has(&key) {
        return Ok(());
    }
    items.set(key, scalar(value))
}

/// The first word of `text`, as `%s` of scanf(3) takes it.
fn word(text: &str) -> Option<String> {
    let blank = |c: char| matches!(c, ' ' | '\t'..='\r');
    text.split(blank).find(|word| !word.is_empty()).map(str::to_owned)
}
