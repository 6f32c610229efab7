//! Sends a history to a collector, state by state, in messages of bounded size.
//!
//! A state is one commit in which some file's part is another; it is numbered by its commit, so the
//! number says how far an earlier import came. Memory holds the name and digest of each file of one
//! commit, and one message.

use std::collections::BTreeMap;

use anyhow::{bail, ensure};
use driftline_protocol::canonical;
use driftline_protocol::ids::{Digest, Generation, HostId, PartName, SourceName};
use driftline_protocol::limits;
use driftline_protocol::manifest::{Manifest, ManifestDelta};
use driftline_protocol::snapshot::Part;
use driftline_protocol::wire::{
    Held, HostKind, Import, ImportAnswer, ImportedVersion, PROTOCOL_VERSION,
};
use jiff::Timestamp;
use tokio::runtime::Handle;

use crate::client::Client;
use crate::history::Witness;
use crate::history::progress::Progress;
use crate::history::timeline::Touched;

/// Whose history is sent, and under which names.
pub(super) struct Whose {
    pub(super) host: HostId,
    pub(super) kind: HostKind,
    pub(super) source: SourceName,
    /// What the names of files begin with.
    pub(super) at: Option<String>,
}

/// What was sent.
pub(super) struct Sent {
    pub(super) whose: Whose,
    /// Commits read.
    pub(super) commits: u64,
    /// States the collector has now and had not before.
    pub(super) added: u64,
    /// States it had.
    pub(super) known: u64,
    /// States sent that it will not keep.
    pub(super) forgotten: u64,
}

/// See the module.
pub(super) struct Sender {
    client: Client,
    runtime: Handle,
    progress: Progress,
    sent: Sent,
    /// What the collector had when this began.
    held: Held,
    /// Changes from before this moment are not kept.
    kept_from: Timestamp,
    /// The state after the commit before.
    manifest: Manifest,
    generation: Generation,
    /// Whether any state came before.
    begun: bool,
    time: Timestamp,
    /// Files from before the first commit.
    known: BTreeMap<PartName, Option<Digest>>,
    /// Files of the commit that is being told.
    touched: BTreeMap<PartName, Option<Digest>>,
    message: Message,
}

/// What waits to be sent.
#[derive(Default)]
struct Message {
    versions: Vec<ImportedVersion>,
    parts: BTreeMap<Digest, Part>,
    bytes: usize,
}

impl Sender {
    /// Asks the collector what it has.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(super) fn begin(
        whose: Whose,
        (client, runtime): (Client, Handle),
        progress: Progress,
    ) -> anyhow::Result<Self> {
        let mut sender = Self {
            client,
            runtime,
            progress,
            sent: Sent { whose, commits: 0, added: 0, known: 0, forgotten: 0 },
            held: Held { generation: Generation(0), digest: None },
            kept_from: Timestamp::MIN,
            manifest: Manifest::default(),
            generation: Generation(0),
            begun: false,
            time: Timestamp::UNIX_EPOCH,
            known: BTreeMap::new(),
            touched: BTreeMap::new(),
            message: Message::default(),
        };
        let answer = sender.deliver()?;
        (sender.held, sender.kept_from) = (answer.held, answer.kept_from);
        Ok(sender)
    }

    /// Sends what is left.
    ///
    /// # Errors
    /// As of [`Witness::committed`], and when the collector has more than the history.
    pub(super) fn end(mut self) -> anyhow::Result<Sent> {
        if !self.message.versions.is_empty() {
            self.flush()?;
        }
        ensure!(self.generation >= self.held.generation, "{}; this one is shorter", self.another());
        Ok(self.sent)
    }

    /// The digest of a part of the state that is being told, which is sent unless the collector has
    /// that state.
    fn take(&mut self, part: Part, state: Generation) -> anyhow::Result<Digest> {
        let bytes = canonical::encode(&part);
        let digest = canonical::digest_of_canonical(&bytes);
        if state > self.held.generation && !self.message.parts.contains_key(&digest) {
            if self.message.bytes + bytes.len() > limits::UPLOAD_BYTES {
                self.flush()?;
            }
            self.message.bytes += bytes.len();
            self.message.parts.insert(digest, part);
        }
        Ok(digest)
    }

    /// The next state: these files are others now.
    fn state(&mut self, files: BTreeMap<PartName, Option<Digest>>) -> anyhow::Result<()> {
        self.generation = self.generation.next();
        let new = self.generation > self.held.generation;
        let base = (new && self.begun).then(|| self.manifest.digest());
        let delta = self.apply(files, base);
        let same = delta.set.is_empty() && delta.unset.is_empty();
        self.begun |= !same;
        if !new {
            self.sent.known += u64::from(!same);
            return self.meet();
        }
        if same {
            return Ok(());
        }
        self.sent.forgotten += u64::from(self.time < self.kept_from);
        let (generation, observed_at) = (self.generation, self.time);
        let digest = self.manifest.digest();
        self.message.versions.push(ImportedVersion { generation, observed_at, delta, digest });
        if self.message.versions.len() >= limits::VERSIONS_PER_REPORT {
            self.flush()?;
        }
        Ok(())
    }

    /// Puts these files into the manifest; gives what that changed.
    fn apply(
        &mut self,
        files: BTreeMap<PartName, Option<Digest>>,
        base: Option<Digest>,
    ) -> ManifestDelta {
        let mut delta = ManifestDelta { base, ..ManifestDelta::default() };
        for (name, digest) in files {
            match digest {
                Some(digest) if self.manifest.0.get(&name) == Some(&digest) => {}
                Some(digest) => {
                    self.manifest.0.insert(name.clone(), digest);
                    delta.set.insert(name, digest);
                }
                None => {
                    if self.manifest.0.remove(&name).is_some() {
                        delta.unset.insert(name);
                    }
                }
            }
        }
        delta
    }

    /// Where an earlier import ended, the state must be the one it ended with.
    fn meet(&self) -> anyhow::Result<()> {
        let met = self.generation == self.held.generation;
        ensure!(!met || self.held.digest == Some(self.manifest.digest()), "{}", self.another());
        Ok(())
    }

    fn another(&self) -> String {
        let Whose { host, source, .. } = &self.sent.whose;
        format!(
            "the collector's {source} of {host} was imported from another history, path or range, \
             with another key or by a version that read files otherwise; choose another --section"
        )
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let answer = self.deliver()?;
        self.sent.added += answer.applied;
        if let Some(why) = answer.refused {
            bail!("the collector took no more: {why}; the same command goes on where this ended");
        }
        Ok(())
    }

    fn deliver(&mut self) -> anyhow::Result<ImportAnswer> {
        let Message { versions, parts, bytes: _ } = std::mem::take(&mut self.message);
        let Whose { host, kind, source, at: _ } = &self.sent.whose;
        let import = Import {
            version: PROTOCOL_VERSION,
            host: host.clone(),
            kind: *kind,
            source: source.clone(),
            versions,
            parts: parts.into_values().collect(),
        };
        self.runtime.block_on(self.client.deliver("/api/v1/import", &import))
    }

    /// The name of a file of the history as it is known on its host.
    fn placed(&self, name: PartName) -> anyhow::Result<PartName> {
        match &self.sent.whose.at {
            None => Ok(name),
            Some(at) => Ok(format!("{}/{name}", at.trim_end_matches('/')).parse()?),
        }
    }
}

impl Witness for Sender {
    fn known(&mut self, name: PartName, part: Part) -> anyhow::Result<()> {
        let first = self.generation.next();
        let (name, digest) = (self.placed(name)?, self.take(part, first)?);
        self.known.insert(name, Some(digest));
        Ok(())
    }

    fn touched(&mut self, Touched { name, now }: Touched) -> anyhow::Result<()> {
        let name = self.placed(name)?;
        let mut state = self.generation.next();
        if !self.known.is_empty() {
            state = state.next(); // what was there before is a state of its own
        }
        let digest = now.map(|part| self.take(part, state)).transpose()?;
        self.touched.insert(name, digest);
        Ok(())
    }

    fn committed(&mut self, _id: String, time: Option<Timestamp>) -> anyhow::Result<()> {
        // A time that no clock shows is not told; the one before is the nearest that is known.
        self.time = time.unwrap_or(self.time);
        let known = std::mem::take(&mut self.known);
        if !known.is_empty() {
            self.state(known)?;
        }
        let touched = std::mem::take(&mut self.touched);
        self.state(touched)?;
        self.sent.commits += 1;
        self.progress.step();
        Ok(())
    }
}
