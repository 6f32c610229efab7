//! Scripts of the shell: comments and layout go, the rest is kept by line.
//!
//! What is a comment is found as the shell finds it: a `#` at the beginning of a word outside of
//! quotes, here-documents and expansions. Where that is not certain (`$'…'`, a quote within an
//! expansion, a `case` within `$( )`, anything that is open at the end) the whole file is kept as
//! text is, comments and all: a comment that is told is a nuisance, and a change that is not told
//! is a failure. Comments that programs read stay: the block of an init script, `chkconfig`, and
//! directives of batch systems.

use std::collections::VecDeque;

use driftline_protocol::item::{ItemKey, ItemValue};
use driftline_protocol::limits;
use driftline_protocol::redact::{RawItem, RawItems};

use super::asterisk::addressed;
use super::lines::{BLANKS, decode};
use super::{Format, FormatError, text};

/// Scripts of the shell.
pub static FORMAT: Format =
    Format { name: "shell", version: 1, ordered: "`lines` keeps its order", claims, read };

/// Names of files that a shell reads as its own.
const NAMES: &[&str] = &[
    ".bash_logout",
    ".bash_profile",
    ".bashrc",
    ".profile",
    "bash.bash_logout",
    "bash.bashrc",
    "profile",
];

/// Folders of files that a script reads as its own.
const FOLDERS: &[&str] = &[
    "/X11/Xsession.d/",
    "/chromium.d/",
    "/dhclient-enter-hooks.d/",
    "/dhclient-exit-hooks.d/",
    "/profile.d/",
];

/// How the first line of a program names the shell.
const SHELLS: &[&str] = &["sh", "ash", "bash", "dash", "ksh"];

/// What begins a comment that a program reads.
const DIRECTIVES: &[&str] = &["#!", "#$ ", "#BSUB", "#PBS", "#SBATCH", "# chkconfig:"];

/// What the block of an init script stands between.
const BLOCK: [&str; 2] = ["### BEGIN INIT INFO", "### END INIT INFO"];

/// The most quotes and expansions within one another.
const DEPTH: usize = 64;

fn claims(path: &str, head: &[u8]) -> bool {
    let first = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if let Some(program) = first.strip_prefix(b"#!") {
        let program = String::from_utf8_lossy(program);
        let mut words = program.split_ascii_whitespace();
        let names = |word: &str| word.rsplit('/').next().map(str::to_owned);
        let named = words.next().and_then(names);
        let named =
            if named.as_deref() == Some("env") { words.next().and_then(names) } else { named };
        return named.is_some_and(|name| SHELLS.contains(&name.as_str()));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    NAMES.contains(&name)
        || name.ends_with(".sh")
        || FOLDERS.iter().any(|folder| path.contains(folder))
}

fn read(bytes: &[u8]) -> Result<RawItems, FormatError> {
    let content = decode(bytes);
    let Some(lines) = meant(&content) else { return (text::FORMAT.read)(bytes) };
    if lines.len() > limits::VALUES_PER_ITEM {
        return Err(FormatError::TooLarge);
    }
    let lines = lines.iter().map(|line| addressed(line).into_owned()).collect();
    Ok([(ItemKey::of(["lines"]), RawItem::plain(ItemValue::Lines(lines)))].into())
}

/// The lines of a script without what means nothing; `None` where that is not certain.
fn meant(content: &str) -> Option<Vec<String>> {
    let mut shell = Shell { within: vec![Within::Code(0)], ..Shell::default() };
    let (mut lines, mut in_block) = (Vec::new(), false);
    for line in content.lines() {
        let bare = line.trim_matches(BLANKS);
        if let Some((word, tabs)) = shell.documents.front() {
            let end = if *tabs { line.trim_start_matches('\t') } else { line };
            if end == word {
                shell.documents.pop_front();
            }
            lines.push(line.to_owned());
            continue;
        }
        in_block = (in_block || bare == BLOCK[0]) && bare != BLOCK[1];
        let kept = in_block || DIRECTIVES.iter().any(|start| bare.starts_with(start));
        if shell.is_code() && bare.starts_with('#') && kept {
            lines.push(bare.to_owned());
            continue;
        }
        let (began_in_code, continued) = (shell.is_code(), shell.continued);
        let end = shell.line(line)?;
        let mut said = line.get(..end)?;
        if shell.is_code() && !shell.continued {
            said = said.trim_end_matches(BLANKS);
        }
        if began_in_code && !continued {
            said = said.trim_start_matches(BLANKS);
        }
        // An empty line means something only where it goes on with what stands before it.
        if !said.is_empty() || !began_in_code || continued {
            lines.push(said.to_owned());
        }
    }
    let closed = shell.within.len() == 1 && !shell.single && shell.documents.is_empty();
    closed.then_some(lines)
}

/// Where a character stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    /// Commands, with so many parentheses open.
    Code(u32),
    /// Commands between backquotes.
    Backquotes,
    /// Double quotes.
    Quotes,
    /// `${…}`.
    Braces,
}

/// How far a script has been read.
#[derive(Default)]
struct Shell {
    within: Vec<Within>,
    /// Whether a single quote is open.
    single: bool,
    /// Whether the last line goes on in the next.
    continued: bool,
    /// The character before the sign that said so.
    last: Option<char>,
    /// The words that end here-documents, and whether tabs before them do not count.
    documents: VecDeque<(String, bool)>,
}

impl Shell {
    fn is_code(&self) -> bool {
        !self.single && matches!(self.within.last(), Some(Within::Code(_)))
    }

    /// Reads one line, and says where its comment begins or it ends.
    fn line(&mut self, line: &str) -> Option<usize> {
        let mut before = if std::mem::take(&mut self.continued) { self.last } else { None };
        let nested = self.within.len() > 1;
        if nested && (line.contains("esac") || line.contains("case ")) {
            return None;
        }
        let mut characters = line.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            if self.single {
                self.single = c != '\'';
            } else if c == '\\' {
                match characters.next() {
                    Some((_, skipped)) => {
                        before = Some(skipped);
                        continue;
                    }
                    None => {
                        (self.continued, self.last) = (true, before);
                        return Some(line.len());
                    }
                }
            } else if c == '#' && self.is_code() && begins_word(before) {
                return Some(at);
            } else if c == '<' && next == Some('<') && self.is_code() {
                let rest = line.get(at + 2..)?;
                if rest.starts_with('<') {
                    characters.next();
                    characters.next();
                } else {
                    self.documents.push_back(document(rest)?);
                    characters.next();
                }
            } else if self.character(c, next, before)? {
                characters.next();
            }
            before = Some(c);
        }
        Some(line.len())
    }

    /// Passes one character; says whether it takes the next with it.
    fn character(&mut self, c: char, next: Option<char>, before: Option<char>) -> Option<bool> {
        let top = self.within.len().checked_sub(1)?;
        let place = *self.within.get(top)?;
        match (place, c) {
            (_, '$') if next == Some('(') => return self.open(Within::Code(0)),
            (_, '$') if next == Some('{') => return self.open(Within::Braces),
            (Within::Quotes, '"') | (Within::Braces, '}') | (Within::Backquotes, '`') => {
                self.within.pop();
            }
            (Within::Braces, '"' | '\'' | '`') | (Within::Quotes, '`') => return None,
            (Within::Backquotes, '#') if begins_word(before) => return None,
            (Within::Backquotes, '<') if next == Some('<') => return None,
            (Within::Code(_), '`') => {
                self.open(Within::Backquotes)?;
            }
            (Within::Code(_) | Within::Backquotes, '\'') if before == Some('$') => return None,
            (Within::Code(_) | Within::Backquotes, '\'') => self.single = true,
            (Within::Code(_) | Within::Backquotes, '"') => {
                self.open(Within::Quotes)?;
            }
            (Within::Code(open), '(') => *self.within.get_mut(top)? = Within::Code(open + 1),
            (Within::Code(0), ')') if top > 0 => {
                self.within.pop();
            }
            (Within::Code(open), ')') => {
                *self.within.get_mut(top)? = Within::Code(open.saturating_sub(1));
            }
            _ => {}
        }
        Some(false)
    }

    fn open(&mut self, within: Within) -> Option<bool> {
        self.within.push(within);
        (self.within.len() <= DEPTH).then_some(true)
    }
}

/// Whether a word begins after this character.
fn begins_word(before: Option<char>) -> bool {
    before.is_none_or(|c| BLANKS.contains(&c) || ";&|()".contains(c))
}

/// The word that ends a here-document, from what follows `<<`.
fn document(rest: &str) -> Option<(String, bool)> {
    let (rest, tabs) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    let rest = rest.trim_start_matches(BLANKS);
    let end = rest.find(|c| BLANKS.contains(&c) || ";&|<>()".contains(c)).unwrap_or(rest.len());
    let word: String = rest.get(..end)?.chars().filter(|c| !"'\"\\".contains(*c)).collect();
    let plain = word.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '-');
    (plain && !word.contains(['$', '`'])).then_some((word, tabs))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check, check_differs, check_same};
    use super::FORMAT;

    #[test]
    fn comments_and_layout_mean_nothing() {
        let plain = "#!/bin/sh\nset -e\nif [ $# -gt 1 ]; then\necho \"a # b\" ${x#y} a#b\nfi\n";
        check_same(
            &FORMAT,
            plain,
            "#!/bin/sh\n# what it does\n\nset -e # stop\n  if [ $# -gt 1 ]; then\n\t# one\n\
             \techo \"a # b\" ${x#y} a#b #c\nfi",
        );
        check(&FORMAT, "#!/bin/sh\n:\n", &["lines = lines [\"#!/bin/sh\", \":\"]"]);
    }

    #[test]
    fn what_only_looks_like_a_comment_is_none() {
        for (one, other) in [
            ("cat <<E\n# a\nE\n", "cat <<E\n# b\nE\n"),
            ("cat <<-'E'\n# a\n\tE\n", "cat <<-'E'\n# b\n\tE\n"),
            ("x='\n# a\n'\n", "x='\n# b\n'\n"),
            ("x=\"\n# a\n\"\n", "x=\"\n# b\n\"\n"),
            ("x='\n\n'\n", "x='\n'\n"),
            ("x=\"$(a \"b # c\")\"\n", "x=\"$(a \"b # d\")\"\n"),
            ("x=\"`a \"b # c\"`\"\n", "x=\"`a \"b # d\"`\"\n"),
            ("x=$'it\\'s # a'\n", "x=$'it\\'s # b'\n"),
            ("a \\# b\n", "a \\# c\n"),
            ("a\\\n#b\n", "a\\\n#c\n"),
            ("a\\\n b\n", "a\\\nb\n"),
            ("x=${y:-'# a'}\n", "x=${y:-'# b'}\n"),
            (
                "x=$(case y in z) echo ;; esac; echo \"a # b\")\n",
                "x=$(case y in z) echo ;; esac; echo \"a # c\")\n",
            ),
            ("x=$((1 << y)) # a\nz\n", "x=$((1 << y)) # a\nw\n"),
            ("cat <<< '# a'\n", "cat <<< '# b'\n"),
        ] {
            check_differs(&FORMAT, one, other);
        }
    }

    #[test]
    fn comments_that_programs_read_stay() {
        let script = |level: u8, word: &str| {
            format!(
                "#!/bin/sh\n### BEGIN INIT INFO\n# Default-Start: 2 {level}\n### END INIT INFO\n\
                 # {word}\n:\n"
            )
        };
        check_differs(&FORMAT, &script(3, "a"), &script(4, "a"));
        check_same(&FORMAT, &script(3, "a"), &script(3, "b"));
        check_differs(&FORMAT, "#!/bin/sh\n# chkconfig: 345\n", "#!/bin/sh\n# chkconfig: 35\n");
        check_differs(&FORMAT, "#!/bin/sh\n:\n", "#!/bin/bash\n:\n");
    }
}
