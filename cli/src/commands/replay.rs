//! `driftline replay`: what each commit of a git history changed, one line a commit.
//!
//! Lines are written as commits are read, oldest first. Secrets pass the redactor as on a host; the
//! fingerprint key is fixed, so that two replays can be compared. Whoever has the history has its
//! secrets, so the key hides nothing from them; the output is for those who have it.

use std::io::{self, BufWriter, Write};

use driftline_collector::analysis::reach::Reach;
use driftline_protocol::ids::PartName;
use driftline_protocol::item::ItemKey;
use driftline_protocol::redact::Redactor;
use driftline_protocol::snapshot::Part;
use jiff::Timestamp;

use crate::Verdict;
use crate::history::line::{Line, Row};
use crate::history::progress::Progress;
use crate::history::timeline::{Timeline, Touched};
use crate::history::{History, Keyed, Witness};
use crate::output::{self, Output};

/// What the fixed fingerprint key is made of.
const KEY: &[u8] = b"driftline replay";

/// Replays a history.
#[derive(clap::Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    history: History,
    /// Apply the changes of every commit to the state before it, and fail unless that gives the
    /// state after it.
    #[arg(long)]
    verify: bool,
}

impl Replay {
    /// Runs the command. `output` is NDJSON where nobody says otherwise.
    pub(crate) fn run(self, output: Option<Output>) -> anyhow::Result<Verdict> {
        let stdout = BufWriter::with_capacity(128 * 1024, io::stdout());
        match self.print(output.unwrap_or(Output::Ndjson), stdout) {
            Err(error) if is_closed_pipe(&error) => Ok(Verdict::Fine),
            printed => printed.map(|()| Verdict::Fine),
        }
    }

    fn print(self, output: Output, writer: impl Write) -> anyhow::Result<()> {
        let mut walk = self.history.open(Keyed::With(Redactor::from_key_file(KEY)))?;
        let mut printer = Printer {
            timeline: Timeline::new("files".parse()?),
            line: Line::default(),
            verify: self.verify,
            progress: Progress::new(walk.total()),
            paper: Paper { writer, output, lines: 0 },
        };
        walk.run(&mut printer)?;
        Ok(printer.paper.end()?)
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

struct Printer<W> {
    timeline: Timeline,
    /// Of the commit whose files are being told.
    line: Line,
    verify: bool,
    progress: Progress,
    paper: Paper<W>,
}

impl<W: Write> Witness for Printer<W> {
    fn known(&mut self, name: PartName, part: Part) -> anyhow::Result<()> {
        self.timeline.begin_with(name, part);
        Ok(())
    }

    fn touched(&mut self, touched: Touched) -> anyhow::Result<()> {
        if self.verify {
            self.timeline.verify(&touched)?;
        }
        self.timeline.step(touched, &mut self.line);
        Ok(())
    }

    fn committed(&mut self, id: String, time: Option<Timestamp>) -> anyhow::Result<()> {
        let mut line = Line { commit: id, time, ..std::mem::take(&mut self.line) };
        self.timeline.reach(&mut line);
        self.paper.print(&line)?;
        self.progress.step();
        Ok(())
    }
}

/// Where lines are written to.
struct Paper<W> {
    writer: W,
    output: Output,
    lines: u64,
}

impl<W: Write> Paper<W> {
    /// Writes a line, for its reader to see at once.
    fn print(&mut self, line: &Line) -> io::Result<()> {
        match self.output {
            Output::Ndjson => serde_json::to_writer(&mut self.writer, line)?,
            Output::Json => {
                self.writer.write_all(if self.lines == 0 { b"[\n" } else { b",\n" })?;
                serde_json::to_writer(&mut self.writer, line)?;
            }
            Output::Table => self.table(line)?,
        }
        self.lines += 1;
        if self.output == Output::Ndjson {
            self.writer.write_all(b"\n")?;
        }
        self.writer.flush()
    }

    /// What a person asks of a history: when, where, what. Columns have no common width, since
    /// nobody knows the longest before the end.
    fn table(&mut self, line: &Line) -> io::Result<()> {
        let time = line.time.map_or_else(|| "-".to_owned(), output::moment);
        writeln!(self.writer, "{time}  {}  {} files", line.commit, line.files.len())?;
        for row in line.changes.iter().chain(&line.moved) {
            let Row { section: _, part, key, kind, before, after, class: _, reach } = row;
            let key = output::printable(key.as_ref().map_or("-", ItemKey::as_str));
            let [before, after] = output::values(before.as_ref(), after.as_ref());
            let part = output::printable(part.as_str());
            writeln!(self.writer, "  {:8}  {part}  {key}  {before}  {after}", kind.as_str())?;
            if let Some(Reach { places, first }) = reach {
                let named: Vec<String> =
                    first.iter().map(|place| output::printable(place.key.as_str())).collect();
                let more = if named.len() as u64 == *places { "" } else { ", …" };
                writeln!(self.writer, "    reaches {places}: {}{more}", named.join(", "))?;
            }
        }
        for part in &line.cosmetic {
            writeln!(self.writer, "  cosmetic  {}", output::printable(part.as_str()))?;
        }
        for unobserved in &line.unobserved {
            let part = output::printable(unobserved.part.as_str());
            writeln!(self.writer, "  unobserved  {part}  {}", unobserved.reason)?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        if self.output == Output::Json {
            self.writer.write_all(if self.lines == 0 { b"[]\n" } else { b"\n]\n" })?;
        }
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests;
