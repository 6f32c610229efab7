//! What the state in memory is worth after a decision that broke off, and what a decision sees of
//! those before it.

use std::sync::Arc;

use driftline_protocol::ids::HostId;
use driftline_protocol::wire::{EnrolRequest, HostKind, PROTOCOL_VERSION, Problem, ProblemCode};
use jiff::Timestamp;

use super::{Parts, WriteError, Writer};
use crate::analysis::drift;
use crate::analysis::finding::{Finding, Resolution, made_up};
use crate::auth;
use crate::auth::tokens::{self, Namesake};
use crate::ingest::{self, Decided, IngestError, Proof};
use crate::metrics::live::Live;
use crate::store::memory::Memory;
use crate::store::{EventKind, EventRecord, FindingFilter, Scope, Step, StoreError};

fn writer() -> Writer {
    writer_of(Memory::new(), Arc::default())
}

fn writer_of(memory: Memory, live: Arc<Live>) -> Writer {
    let parts = Parts {
        append: Box::new(memory.clone()),
        read: Arc::new(memory),
        config: ingest::Config::default(),
        keys: Arc::default(),
        live,
    };
    Writer::start(parts).unwrap()
}

/// As `report` does when it has taken one section and cannot read what the next one needs.
#[tokio::test]
async fn what_a_failed_decision_took_is_not_known_afterwards() {
    let writer = writer();
    let host: HostId = "a".parse().unwrap();
    let request = EnrolRequest {
        version: PROTOCOL_VERSION,
        secret: None,
        replaces: None,
        proposed: host.clone(),
        kind: HostKind::Uc,
        incarnation: driftline_protocol::ids::Incarnation([1; 16]),
        agent_version: "0.1.0".into(),
    };
    let enrol = move |ingest: &mut ingest::Ingest, context: ingest::Context<'_>| {
        ingest.enrol(context, &request, (Proof::Secret, [7; 32]))
    };
    writer.ask(enrol).await.unwrap();
    let retired = host.clone();
    let half = move |ingest: &mut ingest::Ingest, context: ingest::Context<'_>| {
        ingest.retire(context, (&retired, "ada"))?;
        let damaged = StoreError::Damaged { what: "a part".into() };
        Err::<Decided<()>, _>(IngestError::Store(damaged))
    };
    let failed = writer.ask(half).await;
    assert!(matches!(failed, Err(WriteError::Failed)), "{failed:?}");
    let admitted = writer
        .ask(move |ingest, _| {
            ingest.admit(&host)?;
            Ok(Decided { answer: ingest.view(Timestamp::now()).hosts.len(), ..nothing() })
        })
        .await;
    assert_eq!(admitted.unwrap(), 1, "the host is retired in memory and nowhere else");
    writer.stop();
}

/// As tokens and exceptions are made: who looks for a name finds it, however lately it was given.
#[tokio::test]
async fn of_two_who_take_a_name_at_once_the_second_finds_it_taken() {
    let writer = writer();
    let take = |who: &'static str| {
        writer.ask_after(move |_, context| {
            let (_, token) = auth::make("desk", Scope::Read, 1, context.now).unwrap();
            let (made, by) = ((token, Namesake::Stays), (who, context.now));
            let steps = tokens::kept(made, &context.store.tokens()?, by).map_err(|taken| {
                let detail = taken.to_string();
                IngestError::Refused(Problem { code: ProblemCode::Conflict, detail })
            })?;
            Ok(Decided { answer: who, parts: Vec::new(), steps })
        })
    };
    // Both wait while something else is done, so that one group takes them.
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let before = writer.run(move |_, _| gate.recv().is_ok());
    let (before, first, second, ()) =
        tokio::join!(before, take("ada"), take("bob"), async { open.send(()).unwrap() });
    assert!(before.unwrap());
    assert_eq!(first.unwrap(), "ada");
    assert!(matches!(second, Err(WriteError::Refused(ref told)) if told.detail.contains("desk")));
    writer.stop();
}

/// The event of an agent, as one of a report.
fn told(context: ingest::Context<'_>) -> Decided<usize> {
    let (at, detail) = (context.now, String::new());
    let event = EventRecord { at, host: None, kind: EventKind::Reloaded, detail };
    Decided { steps: vec![Step::Event(event)], ..nothing() }
}

#[tokio::test]
async fn an_act_that_is_refused_again_and_again_cuts_no_group_of_reports() {
    const REPORTS: u64 = 200;
    let live = Arc::new(Live::default());
    let writer = Arc::new(writer_of(Memory::new(), Arc::clone(&live)));
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let mut waiting = tokio::task::JoinSet::new();
    let held = Arc::clone(&writer);
    waiting.spawn(async move { held.run(move |_, _| gate.recv().is_ok()).await.is_ok() });
    for _ in 0..REPORTS {
        let (agent, person) = (Arc::clone(&writer), Arc::clone(&writer));
        waiting.spawn(async move { agent.ask(|_, context| Ok(told(context))).await.is_ok() });
        waiting.spawn(async move {
            let refuse = |_: &mut ingest::Ingest, _: ingest::Context<'_>| {
                let (code, detail) = (ProblemCode::Conflict, "no".into());
                Err::<Decided<()>, _>(IngestError::Refused(Problem { code, detail }))
            };
            matches!(person.ask_after(refuse).await, Err(WriteError::Refused(_)))
        });
    }
    waiting.spawn(async move { open.send(()).is_ok() });
    assert!(waiting.join_all().await.into_iter().all(|as_it_should| as_it_should));
    // One, where the machine is not busy.
    let groups = live.batches.load(std::sync::atomic::Ordering::Relaxed);
    assert!(groups < REPORTS / 4, "{groups} groups for {REPORTS} reports");
    writer.stop();
}

#[tokio::test]
async fn an_act_sees_the_finding_that_a_report_before_it_opened_again() {
    let writer = writer();
    let finding = made_up("/etc/a", None);
    let over = drift::resolved(&finding, finding.first_seen, Resolution::Returned);
    let reports = |finding: Finding| {
        move |_: &mut ingest::Ingest, _: ingest::Context<'_>| {
            Ok(Decided { steps: vec![Step::Findings(vec![finding])], ..nothing() })
        }
    };
    for known in [finding.clone(), over] {
        writer.ask(reports(known)).await.unwrap();
    }
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let before = writer.run(move |_, _| gate.recv().is_ok());
    let again = writer.ask(reports(finding));
    let act = writer.ask_after(|_, context| {
        let found = context.store.findings(&FindingFilter::default())?;
        Ok(Decided { answer: found[0].openings, parts: Vec::new(), steps: Vec::new() })
    });
    let (before, again, act, ()) =
        tokio::join!(before, again, act, async { open.send(()).unwrap() });
    assert!(before.unwrap());
    again.unwrap();
    assert_eq!(act.unwrap(), 2, "it would be of the opening that is over");
    writer.stop();
}

fn nothing() -> Decided<usize> {
    Decided { answer: 0, parts: Vec::new(), steps: Vec::new() }
}
