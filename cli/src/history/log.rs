//! What `git log --raw -z` says, commit by commit.
//!
//! A commit is `C <id> <committer time> <parents…>` and then, for each file that differs from the
//! first parent, `:<mode> <mode> <id> <id> <letter>` and its path; all end in NUL. A path may hold
//! any byte, so it is taken as what follows an entry and never looked into.

use std::io::BufRead;

use anyhow::{Context, bail};
use jiff::Timestamp;

/// The mode git gives a link.
const LINK: u32 = 0o120_000;

/// The mode git gives a commit of another repository.
const SUBMODULE: u32 = 0o160_000;

/// Something that speaks to its end, and then says whether that was a good one.
pub(crate) trait Said {
    /// What it is read through.
    type Reader: BufRead;

    /// What it says.
    fn reader(&mut self) -> &mut Self::Reader;

    /// Whether it came to its end.
    ///
    /// # Errors
    /// When it broke off.
    fn finish(&mut self) -> anyhow::Result<()>;
}

/// One commit, and what differs from its first parent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    /// Its name.
    pub(crate) id: String,
    /// When it was committed; `None` for a time no clock shows.
    pub(crate) time: Option<Timestamp>,
    /// Its first parent, if it has one here.
    pub(crate) parent: Option<String>,
    /// Files by path that are others than before.
    pub(crate) touched: Vec<(Vec<u8>, Option<Version>)>,
}

/// A file as one commit has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// Kind and permissions.
    pub(crate) mode: u32,
    /// The name of its content.
    pub(crate) id: String,
}

/// What a path is in a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    File,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

impl Version {
    /// What it is.
    pub(crate) fn kind(&self) -> Kind {
        match self.mode & 0o170_000 {
            LINK => Kind::Link,
            SUBMODULE => Kind::Submodule,
            _ => Kind::File,
        }
    }

    /// Path and version that one entry of `git ls-tree -z` names.
    pub(crate) fn of_tree(entry: &[u8]) -> Option<(Vec<u8>, Self)> {
        let tab = entry.iter().position(|byte| *byte == b'\t')?;
        let (words, path) = entry.split_at_checked(tab)?;
        let mut words = std::str::from_utf8(words).ok()?.split(' ');
        let (mode, _, id) = (words.next()?, words.next()?, words.next()?);
        let mode = u32::from_str_radix(mode, 8).ok()?;
        Some((path.get(1..)?.to_vec(), Self { mode, id: id.to_owned() }))
    }

    /// The version after, as an entry of `--raw` without its colon names it; `None` within for a
    /// file that is gone.
    fn of_raw(entry: &str) -> Option<Option<Self>> {
        let mut words = entry.split(' ').skip(1);
        let (mode, id) = (words.next()?, words.nth(1)?);
        let mode = u32::from_str_radix(mode, 8).ok()?;
        Some((mode != 0).then(|| Self { mode, id: id.to_owned() }))
    }
}

/// See the module.
pub(crate) struct Log<S> {
    said: S,
    /// The commit whose header was read last.
    open: Option<Commit>,
}

impl<S: Said> Log<S> {
    pub(super) fn new(said: S) -> Self {
        Self { said, open: None }
    }

    /// The next commit, if there is one.
    ///
    /// # Errors
    /// When git breaks off or says what no git says.
    pub(crate) fn next_commit(&mut self) -> anyhow::Result<Option<Commit>> {
        while let Some(word) = self.word()? {
            let word = String::from_utf8(word).context("git log gave no text")?;
            let word = word.trim_start_matches('\n');
            if word.is_empty() {
                continue;
            }
            if let Some(entry) = word.strip_prefix(':') {
                let version = Version::of_raw(entry).context("git log gave an unknown entry")?;
                let path = self.word()?.context("git log ended before a path")?;
                let open = self.open.as_mut().context("git log gave a file before a commit")?;
                open.touched.push((path, version));
                continue;
            }
            let next = header(word).context("git log gave an unknown line")?;
            if let Some(done) = self.open.replace(next) {
                return Ok(Some(done));
            }
        }
        if self.open.is_none() {
            self.said.finish()?;
        }
        Ok(self.open.take())
    }

    fn word(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        let mut word = Vec::new();
        self.said.reader().read_until(0, &mut word).context("reading from git log")?;
        match word.pop() {
            None => Ok(None),
            Some(0) => Ok(Some(word)),
            Some(_) => bail!("git log broke off"),
        }
    }
}

fn header(line: &str) -> Option<Commit> {
    let mut words = line.strip_prefix("C ")?.split(' ');
    let (id, time) = (words.next()?.to_owned(), words.next()?);
    let time = time.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let parent = words.next().filter(|parent| !parent.is_empty()).map(str::to_owned);
    Some(Commit { id, time, parent, touched: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Recorded(&'static [u8]);

    impl Said for Recorded {
        type Reader = &'static [u8];

        fn reader(&mut self) -> &mut Self::Reader {
            &mut self.0
        }

        fn finish(&mut self) -> anyhow::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn commits_are_read_with_whatever_names_their_files_have() {
        let mut log = Log::new(Recorded(
            b"C aa 10 \0\n:000000 100644 00 11 A\0C x 1 y\0:000000 120000 00 12 A\0:a\n\xff\0\
            C bb -5 aa cc\0C dd 99999999999999 bb\0\n:100644 000000 11 00 D\0C x 1 y\0",
        ));
        let first = log.next_commit().unwrap().unwrap();
        assert_eq!((first.id.as_str(), first.parent), ("aa", None));
        let names: Vec<&[u8]> = first.touched.iter().map(|(path, _)| path.as_slice()).collect();
        assert_eq!(names, [&b"C x 1 y"[..], b":a\n\xff"]);
        assert_eq!(first.touched[1].1.as_ref().unwrap().kind(), Kind::Link);
        let second = log.next_commit().unwrap().unwrap();
        assert_eq!(second.time.unwrap().to_string(), "1969-12-31T23:59:55Z");
        assert_eq!((second.parent.as_deref(), second.touched.len()), (Some("aa"), 0));
        let third = log.next_commit().unwrap().unwrap();
        assert_eq!((third.time, third.touched), (None, vec![(b"C x 1 y".to_vec(), None)]));
        assert_eq!(log.next_commit().unwrap(), None);
    }

    #[test]
    fn a_log_that_breaks_off_is_an_error() {
        for text in [&b"C aa 10 "[..], b"C aa 10 \0\n:000000 100644 00 11 A\0", b"what\0"] {
            let mut log = Log::new(Recorded(text));
            assert!(log.next_commit().is_err() || log.next_commit().is_err(), "{text:?}");
        }
    }
}
