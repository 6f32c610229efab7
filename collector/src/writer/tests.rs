//! What the state in memory is worth after a decision that broke off.

use std::sync::Arc;

use driftline_protocol::ids::HostId;
use driftline_protocol::wire::{EnrolRequest, HostKind, PROTOCOL_VERSION};
use jiff::Timestamp;

use super::{Parts, WriteError, Writer};
use crate::ingest::{self, Decided, IngestError, Proof};
use crate::store::StoreError;
use crate::store::memory::Memory;

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

fn nothing() -> Decided<usize> {
    Decided { answer: 0, parts: Vec::new(), steps: Vec::new() }
}
