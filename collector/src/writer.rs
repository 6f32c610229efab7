//! The one thread that decides and writes.
//!
//! Requests wait in a bounded queue; the thread takes what waits, lets [`Ingest`] decide each in
//! turn, makes all steps durable in one go and only then answers: *acknowledge only after durable*.
//! When the store fails, everybody in the group is told so and nothing of it is applied. A request
//! whose decision panics is answered with a failure and counted; what was decided before it is
//! kept, and the state is read anew from the store. What takes nothing but memory is answered
//! beside the thread, also while it writes ([`Writer::at_once`]): the state is locked while
//! something is decided and free while it is written. The writer knows no HTTP and no message by
//! name.

mod steps;
#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use driftline_protocol::mutant::{self, Mutant};
use driftline_protocol::wire::Problem;
use jiff::Timestamp;
use tokio::sync::oneshot;

use self::steps::{decides_acts, told_of_runs};
use crate::auth::Keys;
use crate::ingest::{self, Context, Decided, Ingest, IngestError, Settlement, Store};
use crate::metrics::live::Live;
use crate::store::{
    Append, NewPart, ReadCases, ReadHistory, ReadIntent, ReadSuspects, Step, StoreError,
};

/// The most requests that wait for the writer: a second of work, so that waiting longer is told as
/// `busy`.
pub const QUEUED: usize = 4_096;

/// The most requests made durable together: beyond it a group gains nothing and its first waits too
/// long.
pub const GROUP: usize = 1_000;

/// The longest a group is gathered. Nothing is waited for: a group is what came during the last
/// write.
pub const GATHER: Duration = Duration::from_millis(10);

/// How often a free moment of the state is looked for before waiting on another thread: some
/// microseconds.
const TRIES: usize = 64;

/// Everything that reads a store.
pub trait Reads: Store + ReadHistory + ReadCases + ReadSuspects + ReadIntent {}

impl<T: Store + ReadHistory + ReadCases + ReadSuspects + ReadIntent> Reads for T {}

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Too many wait; it was not even looked at.
    #[error("more than {QUEUED} requests wait for the store")]
    Busy,
    /// It was refused for what it is.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The collector failed; its log says how.
    #[error("the store could not be written or read")]
    Failed,
}

/// What the writer thread works with.
pub struct Parts {
    /// The write half of the store.
    pub append: Box<dyn Append>,
    /// The read halves.
    pub read: Arc<dyn Reads>,
    /// What ingest must know.
    pub config: ingest::Config,
    /// Learns which tokens exist.
    pub keys: Arc<Keys>,
    /// Counts.
    pub live: Arc<Live>,
}

type Decide = Box<dyn FnOnce(&mut Ingest, Context<'_>) -> Decision + Send>;
type Errand = Box<dyn FnOnce(&Mutex<Ingest>, &mut dyn Append) + Send>;

enum Job {
    /// A request to decide.
    Decide(Decide),
    /// A request to decide when all that was decided before it, and that it may be decided by, is
    /// durable.
    DecideAfter(Decide),
    /// Something to do between groups.
    Errand(Errand),
    /// The state in memory may be half changed.
    Renew,
    /// Finish what waits and end.
    Stop,
}

struct Decision {
    parts: Vec<NewPart>,
    steps: Vec<Step>,
    trust: Trust,
    answer: Box<dyn FnOnce(Result<(), WriteError>) + Send>,
}

/// The way to the writer thread; whoever owns it stops it.
pub struct Writer {
    queue: SyncSender<Job>,
    ingest: Arc<Mutex<Ingest>>,
    read: Arc<dyn Reads>,
    live: Arc<Live>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError`] when the hosts cannot be read.
    pub fn start(parts: Parts) -> Result<Self, StoreError> {
        let (queue, jobs) = sync_channel(QUEUED);
        let live = Arc::clone(&parts.live);
        let ingest = Ingest::new(parts.config.clone(), upcast(&*parts.read))?;
        let ingest = Arc::new(Mutex::new(ingest));
        let read = Arc::clone(&parts.read);
        let mut desk = Desk { ingest: Arc::clone(&ingest), parts };
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || desk.run(&jobs))
            .expect("the operating system starts one thread while the program starts");
        Ok(Self { queue, ingest, read, live, thread: Mutex::new(Some(thread)) })
    }

    /// Lets `decide` decide and waits until what it decided is durable.
    ///
    /// # Errors
    /// [`WriteError`]; nothing was applied then.
    pub async fn ask<A: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Ingest, Context<'_>) -> Result<Decided<A>, IngestError>
        + Send
        + 'static,
    ) -> Result<A, WriteError> {
        self.asked(Job::Decide, decide).await
    }

    /// As [`Writer::ask`] for what is decided by what the store says, such as whether a name is
    /// taken: what acts are decided by is durable by then, and not on its way in one group with it.
    /// It may end a group, so it is for what persons do and not for what agents report.
    ///
    /// # Errors
    /// As [`Writer::ask`].
    pub async fn ask_after<A: Send + 'static>(
        &self,
        decide: impl FnOnce(&mut Ingest, Context<'_>) -> Result<Decided<A>, IngestError>
        + Send
        + 'static,
    ) -> Result<A, WriteError> {
        self.asked(Job::DecideAfter, decide).await
    }

    async fn asked<A: Send + 'static>(
        &self,
        job: fn(Decide) -> Job,
        decide: impl FnOnce(&mut Ingest, Context<'_>) -> Result<Decided<A>, IngestError>
        + Send
        + 'static,
    ) -> Result<A, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(job(Box::new(|ingest, context| {
            let decided = decide(ingest, context);
            // A decision that broke off while reading may have changed half of what it decides on;
            // what it took would be answered as known and never be durable.
            let trust = match &decided {
                Err(IngestError::Store(_)) => Trust::Doubtful,
                Ok(_) | Err(IngestError::Refused(_)) => Trust::Sound,
            };
            let (decided, parts, steps) = match decided {
                Ok(Decided { answer, parts, steps }) => (Ok(answer), parts, steps),
                Err(error) => (Err(told(error)), Vec::new(), Vec::new()),
            };
            let answer = Box::new(|written: Result<(), WriteError>| {
                // Nobody may be listening any more: the agent will send again and be told `known`.
                reply.send(written.and(decided)).ok();
            });
            Decision { parts, steps, trust, answer }
        })))?;
        answer.await.unwrap_or(Err(WriteError::Failed))
    }

    /// Lets `errand` run between two groups and waits for it.
    ///
    /// # Errors
    /// [`WriteError::Busy`], or [`WriteError::Failed`] when it panicked.
    pub async fn run<A: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut Ingest, &mut dyn Append) -> A + Send + 'static,
    ) -> Result<A, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Errand(Box::new(|ingest, append| {
            reply.send(errand(&mut locked(ingest), append)).ok();
        })))?;
        answer.await.map_err(|_| WriteError::Failed)
    }

    /// As [`Writer::run`] for what needs the store alone, so that [`Writer::at_once`] goes on.
    ///
    /// # Errors
    /// As [`Writer::run`].
    pub async fn maintain<A: Send + 'static>(
        &self,
        errand: impl FnOnce(&mut dyn Append) -> A + Send + 'static,
    ) -> Result<A, WriteError> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Errand(Box::new(|_, append| {
            reply.send(errand(append)).ok();
        })))?;
        answer.await.map_err(|_| WriteError::Failed)
    }

    /// Lets `look` answer at once, without waiting for any write; it must decide nothing that has
    /// to become durable. `None` when it gives nothing, or broke: then [`Writer::ask`].
    pub async fn at_once<A: Send + 'static>(
        &self,
        look: impl FnOnce(&mut Ingest, Context<'_>) -> Option<A> + Send + 'static,
    ) -> Option<A> {
        let (ingest, read) = (Arc::clone(&self.ingest), Arc::clone(&self.read));
        let look = move |ingest: &mut Ingest| {
            let context = Context { store: upcast(&*read), now: Timestamp::now() };
            catch_unwind(AssertUnwindSafe(|| look(ingest, context)))
        };
        // A decision takes some microseconds, so a free moment comes soon.
        for _ in 0..TRIES {
            if let Ok(mut ingest) = self.ingest.try_lock() {
                let looked = look(&mut ingest);
                drop(ingest);
                return looked.unwrap_or_else(|_| self.broken());
            }
            std::hint::spin_loop();
        }
        // Unless much is being decided: no thread of the runtime waits for that.
        let waited = tokio::task::spawn_blocking(move || look(&mut locked(&ingest))).await;
        waited.ok().and_then(Result::ok).unwrap_or_else(|| self.broken())
    }

    /// Whether the thread lives.
    pub fn is_alive(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn broken<A>(&self) -> Option<A> {
        self.live.count_panic("request");
        tracing::error!("a request broke the collector; this is a bug, please report it");
        // With the queue full the state stays as it is until the next panic of a decision.
        self.send(Job::Renew).ok();
        None
    }

    /// Finishes what waits and ends the thread. What comes later is refused as failed.
    pub fn stop(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(thread) = thread else { return };
        // An error means that the thread has ended already.
        self.queue.send(Job::Stop).ok();
        if thread.join().is_err() {
            tracing::error!("the writer thread ended with a panic");
        }
    }

    fn send(&self, job: Job) -> Result<(), WriteError> {
        self.live.queued.fetch_add(1, Ordering::Relaxed);
        self.queue.try_send(job).map_err(|error| {
            self.live.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) => WriteError::Busy,
                TrySendError::Disconnected(_) => WriteError::Failed,
            }
        })
    }
}

// A panic under the lock is followed by a renewal of the state.
fn locked(ingest: &Mutex<Ingest>) -> MutexGuard<'_, Ingest> {
    ingest.lock().unwrap_or_else(PoisonError::into_inner)
}

fn told(error: IngestError) -> WriteError {
    match error {
        IngestError::Refused(problem) => WriteError::Refused(problem),
        IngestError::Store(error) => {
            log(&error);
            WriteError::Failed
        }
    }
}

fn log(error: &StoreError) {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%error, cause, "the store failed");
}

fn upcast(read: &dyn Reads) -> &dyn Store {
    read
}

/// What the thread owns.
struct Desk {
    ingest: Arc<Mutex<Ingest>>,
    parts: Parts,
}

/// Whether the state in memory can be trusted after a decision.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Sound,
    Doubtful,
}

/// Whether there is more to do.
#[derive(PartialEq, Eq)]
enum Next {
    Group,
    End,
}

impl Desk {
    fn run(&mut self, jobs: &Receiver<Job>) {
        loop {
            let group = catch_unwind(AssertUnwindSafe(|| self.group(jobs)));
            match group {
                Ok(Next::Group) => {}
                Ok(Next::End) => return,
                // The answers of the group were dropped, which their senders see as a failure.
                Err(_) => {
                    self.parts.live.count_panic("writer");
                    self.renew();
                }
            }
        }
    }

    /// Decides what waits, makes it durable, answers.
    fn group(&mut self, jobs: &Receiver<Job>) -> Next {
        let Ok(mut job) = jobs.recv() else { return Next::End };
        let began = Instant::now();
        let mut decisions = Vec::new();
        let mut next = Next::Group;
        let mut trust = Trust::Sound;
        loop {
            self.parts.live.queued.fetch_sub(1, Ordering::Relaxed);
            match job {
                Job::Stop => next = Next::End,
                Job::Renew => trust = Trust::Doubtful,
                Job::Errand(errand) => {
                    self.commit(std::mem::take(&mut decisions));
                    trust = self.guarded(|desk| {
                        errand(&desk.ingest, &mut *desk.parts.append);
                        Trust::Sound
                    });
                }
                Job::Decide(decide) => trust = self.decide(decide, &mut decisions),
                Job::DecideAfter(decide) => {
                    let decides = |one: &Decision| one.steps.iter().any(decides_acts);
                    if decisions.iter().any(decides)
                        && !mutant::active(Mutant::NamesOnTheirWayAreFree)
                    {
                        self.commit(std::mem::take(&mut decisions));
                    }
                    trust = self.decide(decide, &mut decisions);
                }
            }
            let full = decisions.len() >= GROUP || began.elapsed() >= GATHER;
            if full || next == Next::End || trust == Trust::Doubtful {
                break;
            }
            match jobs.try_recv() {
                Ok(waiting) => job = waiting,
                Err(_) => break,
            }
        }
        self.commit(decisions);
        if trust == Trust::Doubtful {
            self.renew();
        }
        next
    }

    fn decide(&mut self, decide: Decide, decisions: &mut Vec<Decision>) -> Trust {
        self.guarded(|desk| {
            let context = Context { store: upcast(&*desk.parts.read), now: Timestamp::now() };
            let decision = decide(&mut locked(&desk.ingest), context);
            let trust = decision.trust;
            decisions.push(decision);
            trust
        })
    }

    fn guarded(&mut self, work: impl FnOnce(&mut Self) -> Trust) -> Trust {
        catch_unwind(AssertUnwindSafe(|| work(self))).unwrap_or_else(|_| {
            self.parts.live.count_panic("request");
            tracing::error!("a request broke the collector; this is a bug, please report it");
            Trust::Doubtful
        })
    }

    /// Makes everything decided durable, then answers; or tells everybody that nothing was applied.
    fn commit(&mut self, decisions: Vec<Decision>) {
        let mut parts = Vec::new();
        let mut steps = Vec::new();
        let mut answers = Vec::with_capacity(decisions.len());
        for decision in decisions {
            parts.extend(decision.parts);
            steps.extend(decision.steps);
            answers.push(decision.answer);
        }
        if mutant::active(Mutant::AcknowledgeBeforeCommit) && !steps.is_empty() {
            answers.drain(..).for_each(|answer| answer(Ok(())));
            // Long enough for a kill to fall between the answer and the commit.
            std::thread::sleep(GATHER * 300);
        }
        let written = self.write(&parts, &steps);
        let durable = written.is_ok();
        if let Err(error) = written {
            log(&error);
        }
        for answer in answers {
            answer(if durable { Ok(()) } else { Err(WriteError::Failed) });
        }
    }

    fn write(&mut self, parts: &[NewPart], steps: &[Step]) -> Result<(), StoreError> {
        if parts.is_empty() && steps.is_empty() {
            return Ok(());
        }
        self.parts.live.batches.fetch_add(1, Ordering::Relaxed);
        let written = self.append(parts, steps);
        let how = if written.is_ok() { Settlement::Durable } else { Settlement::Lost };
        let settled = locked(&self.ingest).settle(upcast(&*self.parts.read), how);
        if written.is_ok() {
            self.parts.keys.learn(steps);
            for version in steps.iter().filter_map(told_of_runs) {
                self.parts.live.note_told(&version.host, version.version.corrected_at);
            }
        }
        if let Err(error) = settled {
            log(&error);
            self.renew();
        }
        written
    }

    fn append(&mut self, parts: &[NewPart], steps: &[Step]) -> Result<(), StoreError> {
        let Parts { append, live, .. } = &mut self.parts;
        if mutant::active(Mutant::ApplyKnownGenerationAgain) {
            append.write(parts, steps, Timestamp::now())?;
        }
        let new = append.write(parts, steps, Timestamp::now())?;
        let hits = (parts.len() as u64).saturating_sub(new);
        live.part_misses.fetch_add(new, Ordering::Relaxed);
        live.part_hits.fetch_add(hits, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the state anew, since the one in memory may be half changed.
    fn renew(&mut self) {
        match Ingest::new(self.parts.config.clone(), upcast(&*self.parts.read)) {
            Ok(mut ingest) => {
                let mut before = locked(&self.ingest);
                ingest.adopt(before.standards());
                *before = ingest;
                drop(before);
                self.ingest.clear_poison();
            }
            // The next decision that reads the store fails and says so.
            Err(error) => log(&error),
        }
    }
}
