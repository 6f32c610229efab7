//! The reading thread with sources that hang, break and obey.

use std::sync::mpsc::sync_channel;
use std::time::Instant;

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::redact::{RawPart, Redactor};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::sources::Sink;
use crate::spool::Settings;

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(20);

/// Reads a FIFO: hangs in the kernel until somebody writes.
struct Fifo(std::path::PathBuf);

impl Source for Fifo {
    fn name(&self) -> SourceName {
        "hanging".parse().unwrap()
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn read(&mut self, _machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        sink.seen("early".parse().unwrap(), RawPart::Unobserved(Reason::Denied));
        std::fs::read(&self.0).map_err(|_| Reason::Failed)?;
        sink.seen("late".parse().unwrap(), RawPart::Unobserved(Reason::Denied));
        Ok(())
    }
}

/// Breaks an assertion in its first reading.
struct Broken(Arc<AtomicBool>);

impl Source for Broken {
    fn name(&self) -> SourceName {
        "broken".parse().unwrap()
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn read(&mut self, _machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        assert!(self.0.load(Ordering::Relaxed), "a source broke an assertion on purpose");
        sink.seen("whole".parse().unwrap(), RawPart::Unobserved(Reason::Denied));
        Ok(())
    }
}

/// Reads a file of twice its budget again and again, and then says something.
struct Greedy;

impl Source for Greedy {
    fn name(&self) -> SourceName {
        "greedy".parse().unwrap()
    }

    fn domain(&self) -> Domain {
        Domain::Config
    }

    fn read(&mut self, machine: &Machine, sink: &mut dyn Sink) -> Result<(), Reason> {
        for _ in 0..3 {
            drop(machine.read("/large".as_ref(), 1 << 20));
        }
        let read = machine.read("/large".as_ref(), 1 << 20);
        assert!(read.is_err() || mutant::active(Mutant::BudgetsWithoutEnd));
        sink.seen("whole".parse().unwrap(), RawPart::Unobserved(Reason::Denied));
        Ok(())
    }
}

/// A reading thread over a spool of its own.
struct Bench {
    spool: Spool,
    vitals: Vitals,
    tell: SyncSender<Event>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
    fifo: std::path::PathBuf,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(CWD, &fifo, FileType::Fifo, mode, 0).unwrap();
        let redactor = Redactor::new([7; 32]);
        let settings =
            Settings { folder: folder.path().into(), limit_bytes: 1 << 24, boot: "boot".into() };
        let spool = Spool::open(settings, redactor.clone()).unwrap();
        let (tell, events) = sync_channel(16);
        let (stop, vitals) = (Arc::new(AtomicBool::new(false)), Vitals::default());
        let (path, healed) = (fifo.clone(), Arc::new(AtomicBool::new(false)));
        let make = move |name: &SourceName| -> anyhow::Result<Box<dyn Source>> {
            healed.store(true, Ordering::Relaxed);
            Ok(match name.as_str() {
                "hanging" => Box::new(Fifo(path.clone())),
                _ => Box::new(Broken(Arc::clone(&healed))),
            })
        };
        let sources: Vec<Box<dyn Source>> =
            vec![Box::new(Fifo(fifo.clone())), Box::new(Broken(Arc::default())), Box::new(Greedy)];
        std::fs::write(folder.path().join("large"), [b'x'; 2_000]).unwrap();
        let passes = Passes::new(Setting {
            sources,
            make: Box::new(make),
            watch: Box::new(|_, _| ()),
            machine: Arc::new(Machine::open(folder.path(), redactor).unwrap()),
            spool: spool.clone(),
            // Failures are tried again after this at the latest, so the tests need not wait.
            rescan_ms: 500,
            patience: Patience { still_ms: 100, whole_ms: 60_000 },
            budgets: Budgets { read_bytes: 1_000, ..Budgets::default() },
            news: Arc::default(),
            vitals: vitals.clone(),
            stop: Arc::clone(&stop),
            tell: tell.clone(),
        });
        let thread = std::thread::spawn(move || passes.run(&events));
        Self { spool, vitals, tell, stop, thread, fifo, _folder: folder }
    }

    fn unobserved(&mut self, source: &str) -> BTreeMap<Reason, u64> {
        let sections = self.spool.status().unwrap().sections;
        let name: SourceName = source.parse().unwrap();
        sections.get(&name).map(|section| section.unobserved.clone()).unwrap_or_default()
    }

    fn wait_for(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < LIMIT, "waited in vain: {what}");
            std::thread::yield_now();
        }
    }

    /// Stops the thread and gives how long that took.
    fn stop(self) -> Duration {
        let begun = Instant::now();
        self.stop.store(true, Ordering::Release);
        self.tell.send(Event::Stop).unwrap();
        self.thread.join().unwrap();
        begun.elapsed()
    }
}

#[test]
fn a_source_that_hangs_is_timed_out_and_the_others_are_read() {
    let mut bench = Bench::new();
    let timed_out = BTreeMap::from([(Reason::TimedOut, 1)]);
    bench.wait_for("the time-out", |bench| bench.unobserved("hanging") == timed_out);
    bench.wait_for("the other source", |bench| bench.unobserved("broken").len() == 1);
    assert_eq!(bench.vitals.stuck(), 1);
    // Tried again and again, it never holds a second thread.
    let spool = bench.spool.clone();
    let before = spool.identity().reserved;
    bench.wait_for("another try", |bench| {
        bench.tell.try_send(Event::Wake(["hanging".parse().unwrap()].into())).is_ok()
    });
    assert_eq!((bench.vitals.stuck(), spool.identity().reserved), (1, before));
    // The thread comes back: what it says is too late, and the source is read anew.
    let fifo = bench.fifo.clone();
    let writer = std::thread::spawn(move || std::fs::write(fifo, "x"));
    bench.wait_for("its end", |bench| bench.vitals.stuck() == 0);
    writer.join().unwrap().unwrap();
    let fifo = bench.fifo.clone();
    let stop = Arc::clone(&bench.stop);
    let writer = std::thread::spawn(move || {
        while !stop.load(Ordering::Acquire) {
            // Nobody reads for now: try again.
            let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
            if rustix::fs::open(&fifo, flags, Mode::empty()).is_err() {
                std::thread::yield_now();
            }
        }
    });
    let read = BTreeMap::from([(Reason::Denied, 2)]);
    bench.wait_for("a whole reading", |bench| bench.unobserved("hanging") == read);
    assert!(bench.vitals.restarts() >= 2);
    bench.stop();
    writer.join().unwrap();
}

#[test]
fn a_stop_does_not_wait_for_a_source_that_hangs() {
    let mut bench = Bench::new();
    bench.wait_for("the time-out", |bench| bench.vitals.stuck() == 1);
    let fifo = bench.fifo.clone();
    let took = bench.stop();
    assert!(took < LIMIT, "{took:?}");
    // Lets the thread go before the folder does.
    let opened = rustix::fs::open(
        &fifo,
        rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK,
        Mode::empty(),
    );
    drop(opened);
}

#[test]
fn a_source_that_broke_is_made_anew_and_counted() {
    let mut bench = Bench::new();
    let healed = BTreeMap::from([(Reason::Denied, 1)]);
    bench.wait_for("the new source", |bench| {
        let read = bench.unobserved("broken") == healed;
        read || {
            // A busy machine can end the patience of a test first; the source heals all the same.
            let now = bench.unobserved("broken");
            let meanwhile =
                [Reason::Failed, Reason::TimedOut].map(|why| BTreeMap::from([(why, 1)]));
            assert!(now.is_empty() || meanwhile.contains(&now) || now == healed, "{now:?}");
            false
        }
    });
    assert!(bench.vitals.restarts() >= 1);
    bench.stop();
}

#[test]
fn a_source_that_costs_too_much_is_stopped_named_and_left_alone_for_its_interval() {
    let mut bench = Bench::new();
    let stopped = BTreeMap::from([(Reason::TooLarge, 1)]);
    bench.wait_for("the stop", |bench| bench.unobserved("greedy") == stopped);
    let over = BTreeMap::from([("greedy".parse().unwrap(), Budget::Reads)]);
    bench.wait_for("its name", |bench| bench.vitals.over_budget() == over);
    bench.wait_for("the other source", |bench| bench.unobserved("broken").len() == 1);
    bench.stop();
}
