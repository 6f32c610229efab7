//! Patterns for paths: small, bounded, and matched without a regular expression.
//!
//! `*` stands for any characters of one segment, `?` for one of them, `[a-z]`, `[!a-z]` and
//! `[^a-z]` for one of a set, `{a,b}` for either text, and `**` as a whole segment for any number
//! of segments, none included. A pattern that does not begin with `/` is looked for at any depth.
//! Paths are matched as part names, so a byte that is no UTF-8 is written `\xNN`. Matching is two
//! nested backtracking scans, each of at most quadratic cost.

/// The longest pattern, in bytes.
const PATTERN_BYTES: usize = 1_024;

/// The most patterns the braces of one may stand for.
const ALTERNATIVES: usize = 64;

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    /// What its braces stand for.
    alternatives: Vec<Alternative>,
}

/// One text without braces.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    /// The names before the first wildcard, as a path; empty where there is none. Every path that
    /// is meant begins with it, so most are refused by one comparison.
    root: Box<str>,
    segments: Box<[Segment]>,
}

/// Why a text is not a pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("pattern {pattern:?}: {what}")]
pub struct GlobError {
    /// The text, cut to a readable length.
    pub pattern: String,
    /// What is wrong with it.
    pub what: &'static str,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// `**`.
    Any,
    /// A name.
    Literal(Box<str>),
    /// `*name`, the commonest of patterns.
    Ending(Box<str>),
    /// Anything else.
    Pattern(Box<[Token]>),
}

/// What stands for one character, or for any number of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Char(char),
    One,
    Many,
    Set { except: bool, ranges: Vec<(char, char)> },
}

impl Glob {
    /// The pattern that `text` spells.
    ///
    /// # Errors
    /// [`GlobError`] for an empty or too long text, an open bracket or brace, or too many
    /// alternatives.
    pub fn new(text: &str) -> Result<Self, GlobError> {
        let error = |what| GlobError { pattern: text.chars().take(80).collect(), what };
        if text.is_empty() || text.len() > PATTERN_BYTES {
            return Err(error("must have 1 to 1024 bytes"));
        }
        let mut alternatives = Vec::new();
        for spelled in expand(text).map_err(error)? {
            let anywhere = (!spelled.starts_with('/')).then_some(Segment::Any);
            let names = spelled.split('/').filter(|name| !name.is_empty());
            let segments: Result<Vec<_>, _> = names.map(Segment::new).collect();
            let segments = anywhere.into_iter().chain(segments.map_err(error)?);
            alternatives.push(Alternative::of(segments.collect()));
        }
        Ok(Self { alternatives })
    }

    /// Whether the path is one of those meant; a path has one slash before each name.
    pub fn matches(&self, path: &str) -> bool {
        self.alternatives.iter().any(|one| match &*one.segments {
            // Most exclusions are a name at any depth; looking at the last segment is enough.
            [Segment::Any, name] if *name != Segment::Any => {
                name.matches(path.rsplit('/').next().unwrap_or_default())
            }
            segments => path.starts_with(&*one.root) && matches_all(segments, segments_of(path)),
        })
    }

    /// Whether a path below `directory` could be one of those meant.
    pub fn reaches_below(&self, directory: &str) -> bool {
        self.alternatives.iter().any(|one| {
            let mut segments = one.segments.iter();
            for name in segments_of(directory) {
                match segments.next() {
                    Some(Segment::Any) => return true,
                    Some(segment) if segment.matches(name) => {}
                    Some(_) | None => return false,
                }
            }
            segments.next().is_some()
        })
    }

    /// The directories or files from which everything meant can be reached: what stands before the
    /// first wildcard.
    pub fn roots(&self) -> impl Iterator<Item = String> {
        let root = |one: &Alternative| match &*one.root {
            "" => "/".into(),
            root => root.to_owned(),
        };
        self.alternatives.iter().map(root)
    }
}

impl Alternative {
    fn of(segments: Vec<Segment>) -> Self {
        let mut root = String::new();
        for segment in &segments {
            let Segment::Literal(name) = segment else { break };
            root.push('/');
            root.push_str(name);
        }
        Self { root: root.into(), segments: segments.into() }
    }
}

impl Segment {
    /// The pattern of one name. Braces stand for themselves here: [`Glob::new`] has spelled them.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(name: &str) -> Result<Self, &'static str> {
        if name == "**" {
            return Ok(Self::Any);
        }
        let plain = |text: &str| !text.contains(['*', '?', '[']);
        if plain(name) {
            return Ok(Self::Literal(name.into()));
        }
        match name.strip_prefix('*') {
            Some(ending) if plain(ending) => Ok(Self::Ending(ending.into())),
            _ => Ok(Self::Pattern(tokens(name)?.into())),
        }
    }

    /// Whether `name`, without a slash, is one of those meant.
    pub(crate) fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Literal(literal) => **literal == *name,
            Self::Ending(ending) => name.ends_with(&**ending),
            Self::Pattern(tokens) => matches_all(tokens, name.chars()),
        }
    }
}

/// Something that stands for one element, or for any number of them.
trait Wild<T> {
    fn any_number(&self) -> bool;
    fn one(&self, element: &T) -> bool;
}

impl Wild<char> for Token {
    fn any_number(&self) -> bool {
        *self == Self::Many
    }

    fn one(&self, element: &char) -> bool {
        match self {
            Self::Char(c) => c == element,
            Self::One | Self::Many => true,
            Self::Set { except, ranges } => {
                ranges.iter().any(|(from, to)| (from..=to).contains(&element)) != *except
            }
        }
    }
}

impl Wild<&str> for Segment {
    fn any_number(&self) -> bool {
        *self == Self::Any
    }

    fn one(&self, element: &&str) -> bool {
        self.matches(element)
    }
}

/// Whether the pattern covers all elements. Only the last `any_number` is ever tried again, which
/// is enough because an earlier one that covers less leaves more to the later.
///
/// The elements are an iterator and not a slice: a pass asks this of every path and every pattern,
/// and splitting the path into a vector each time was an eighth of its CPU.
fn matches_all<P: Wild<I::Item>, I: Iterator + Clone>(pattern: &[P], mut elements: I) -> bool {
    let mut p = 0;
    let mut again: Option<(usize, I)> = None;
    loop {
        let mut rest = elements.clone();
        match (pattern.get(p), rest.next()) {
            (None, None) => return true,
            (Some(wild), _) if wild.any_number() => {
                p += 1;
                again = Some((p, elements.clone()));
            }
            (Some(one), Some(element)) if one.one(&element) => {
                p += 1;
                elements = rest;
            }
            _ => {
                let Some((after, mut covered)) = again else { return false };
                if covered.next().is_none() {
                    return false;
                }
                p = after;
                elements = covered.clone();
                again = Some((after, covered));
            }
        }
    }
}

fn segments_of(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split('/').filter(|segment| !segment.is_empty())
}

fn tokens(name: &str) -> Result<Vec<Token>, &'static str> {
    let mut tokens = Vec::new();
    let mut chars = name.chars();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' if tokens.last() == Some(&Token::Many) => continue,
            '*' => Token::Many,
            '?' => Token::One,
            '[' => set(&mut chars)?,
            c => Token::Char(c),
        });
    }
    Ok(tokens)
}

/// Reads a set after its opening bracket; a `]` in first place stands for itself.
fn set(chars: &mut std::str::Chars<'_>) -> Result<Token, &'static str> {
    const OPEN: &str = "a bracket is not closed";
    let mut members: Vec<char> = Vec::new();
    let mut next = chars.next().ok_or(OPEN)?;
    let except = matches!(next, '!' | '^');
    if except {
        next = chars.next().ok_or(OPEN)?;
    }
    loop {
        members.push(next);
        next = chars.next().ok_or(OPEN)?;
        if next == ']' {
            break;
        }
    }
    let mut ranges = Vec::new();
    let mut rest = members.as_slice();
    loop {
        match rest {
            [from, '-', to, after @ ..] if from <= to => {
                ranges.push((*from, *to));
                rest = after;
            }
            [one, after @ ..] => {
                ranges.push((*one, *one));
                rest = after;
            }
            [] => return Ok(Token::Set { except, ranges }),
        }
    }
}

/// The texts that the braces of `text` stand for; braces do not nest.
fn expand(text: &str) -> Result<Vec<String>, &'static str> {
    let mut spelled = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}').ok_or("a brace is not closed")?;
        if inside.contains('{') {
            return Err("braces do not nest");
        }
        let choices: Vec<&str> = inside.split(',').collect();
        if spelled.len() * choices.len() > ALTERNATIVES {
            return Err("braces stand for more than 64 patterns");
        }
        spelled = spelled
            .iter()
            .flat_map(|start| choices.iter().map(move |choice| format!("{start}{before}{choice}")))
            .collect();
        rest = after;
    }
    Ok(spelled.into_iter().map(|start| start + rest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_means_what_it_says() {
        for (pattern, meant, not_meant) in [
            ("/etc/**", "/etc /etc/a /etc/a/b", "/etcetera /var/etc/a /"),
            ("/etc/*.conf", "/etc/a.conf /etc/.conf", "/etc/a/b.conf /etc/a.conf~"),
            ("*.swp", "/etc/.a.swp /x.swp", "/etc/a.swp/b /etc/a.swpx"),
            ("ssl/*.pem", "/etc/ssl/a.pem /ssl/b.pem", "/etc/ssl/certs/a.pem"),
            ("/a/**/z", "/a/z /a/b/z /a/b/c/z /a/z/z", "/a/zz /a/b/z/c"),
            ("/a/**/b/*/c", "/a/b/b/x/c /a/b/x/c", "/a/b/c /a/x/b/c"),
            ("/etc/shadow{,-}", "/etc/shadow /etc/shadow-", "/etc/shadow+"),
            ("/x[0-9]?", "/x1a /x9-", "/xa1 /x1 /x123"),
            ("/x[!a-c]", "/xd /x-", "/xa /xb"),
            ("/*key*", "/key /akeyb /kekey", "/ke/y /kye"),
            ("/", "/", "/a"),
        ] {
            let glob = Glob::new(pattern).unwrap();
            for path in meant.split(' ') {
                assert!(glob.matches(path), "{pattern} does not mean {path}");
            }
            for path in not_meant.split(' ') {
                assert!(!glob.matches(path), "{pattern} means {path}");
            }
        }
    }

    #[test]
    fn roots_stand_above_everything_that_is_meant() {
        for (pattern, roots) in [
            ("/etc/**", "/etc"),
            ("/etc/hosts", "/etc/hosts"),
            ("/{etc,opt}/a/*.conf", "/etc/a /opt/a"),
            ("*.conf", "/"),
        ] {
            let glob = Glob::new(pattern).unwrap();
            assert_eq!(glob.roots().collect::<Vec<_>>().join(" "), roots);
        }
    }

    #[test]
    fn a_broken_pattern_is_refused() {
        let many = "{a,b,c,d,e}".repeat(3);
        for pattern in ["", "/a[b", "/a{b", "/{a,{b}}", &many, &"x".repeat(2_000)] {
            assert!(Glob::new(pattern).is_err(), "{pattern} was taken for a pattern");
        }
    }

    proptest! {
        #[test]
        fn what_is_meant_is_reached_from_each_directory_above(
            pattern in "(/[ab*?]{1,3}|/\\*\\*){1,4}",
            path in "(/[ab]{1,2}){1,5}",
        ) {
            let glob = Glob::new(&pattern).unwrap();
            if glob.matches(&path) {
                for (slash, _) in path.match_indices('/') {
                    prop_assert!(glob.reaches_below(path.get(..slash).unwrap()));
                }
            }
        }

        #[test]
        fn any_text_is_a_pattern_or_an_error(pattern in ".{0,40}", path in ".{0,40}") {
            if let Ok(glob) = Glob::new(&pattern) {
                glob.matches(&path);
                glob.reaches_below(&path);
            }
        }
    }
}
