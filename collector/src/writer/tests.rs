//! What the state in memory is worth after a decision that broke off, and what a decision sees of
//! those before it.

use std::sync::Arc;

use driftline_protocol::ids::HostId;
use driftline_protocol::wire::{EnrolRequest, HostKind, PROTOCOL_VERSION, Problem, ProblemCode};
use jiff::Timestamp;

use super::{Parts, WriteError, Writer};
use crate::auth;
use crate::auth::tokens::{self, Namesake};
use crate::ingest::{self, Decided, IngestError, Proof};
use crate::store::memory::Memory;
use crate::store::{Scope, StoreError};

fn writer() -> Writer {
    let memory = Memory::new();
    let parts = Parts {
        append: Box::new(memory.clone()),
        read: Arc::new(memory),
        config: ingest::Config::default(),
        keys: Arc::default(),
        live: Arc::default(),
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

fn nothing() -> Decided<usize> {
    Decided { answer: 0, parts: Vec::new(), steps: Vec::new() }
}
