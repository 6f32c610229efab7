//! A manager interface that follows a transcript of ours, and one that misbehaves.

use super::*;
use crate::sources::running::scripted::{Fault, Heard, Transcript, read};

/// The manager as its documentation has it: responses, lists announced and closed, and events
/// nobody asked for in between.
const fn transcript(struck: &'static str) -> Transcript {
    Transcript { hello: "Asterisk Call Manager/9.0.0\r\n", answers, struck }
}

fn answers(request: &str) -> String {
    let action = request.lines().next().unwrap_or_default().trim_start_matches("Action: ");
    let list = |rows: &[&str]| {
        let start = "Response: Success\r\nActionID: {id}\r\nEventList: start\r\n\r\n".to_owned();
        let noise = "Event: PeerStatus\r\nPeer: PJSIP/alice\r\n\r\n";
        let rows = rows.iter().map(|row| format!("{row}ActionID: {{id}}\r\n\r\n{noise}"));
        let end = "Event: ListComplete\r\nActionID: {id}\r\nEventList: Complete\r\n\r\n";
        start + &rows.collect::<String>() + end
    };
    match action {
        "Login" if request.contains("Secret: right\r\n") => {
            "Response: Success\r\nActionID: {id}\r\nMessage: Authentication accepted\r\n\r\n".into()
        }
        "Login" => {
            "Response: Error\r\nActionID: {id}\r\nMessage: Authentication failed\r\n\r\n".into()
        }
        "CoreSettings" => {
            "Response: Success\r\nActionID: {id}\r\nAsteriskVersion: 20.5.0\r\n\r\n".into()
        }
        "CoreStatus" => "Response: Success\r\nActionID: {id}\r\nCoreStartupDate: 2026-11-28\r\n\
             CoreStartupTime: 09:00:00\r\nCoreReloadDate: 2026-11-28\r\n\
             CoreReloadTime: 10:00:00\r\nCoreCurrentCalls: 7\r\n\r\n"
            .into(),
        "PJSIPShowEndpoints" => list(&[
            "Event: EndpointList\r\nObjectName: alice\r\nDeviceState: In use\r\n",
            "Event: EndpointList\r\nObjectName: trunk\r\nDeviceState: Not in use\r\n",
        ]),
        "PJSIPShowRegistrationsOutbound" => list(&[
            "Event: OutboundRegistrationDetail\r\nObjectName: carrier\r\nStatus: Rejected\r\n\
             NextReg: 57\r\nPassword: canary-Am1\r\n",
        ]),
        "QueueStatus" => list(&[
            "Event: QueueParams\r\nQueue: sales\r\nStrategy: ringall\r\nWeight: 0\r\nMax: 0\r\n\
             Calls: 3\r\nHoldtime: 12\r\n",
            "Event: QueueMember\r\nQueue: sales\r\nStateInterface: PJSIP/alice\r\n\
             Membership: static\r\nPenalty: 2\r\nPaused: 1\r\n",
            "Event: QueueMember\r\nQueue: sales\r\nStateInterface: PJSIP/bob\r\n\
             Membership: dynamic\r\nPenalty: 0\r\n",
        ]),
        _ => "Response: Error\r\nActionID: {id}\r\nMessage: Invalid/unknown command\r\n\r\n".into(),
    }
}

fn run(struck: &'static str, fault: Fault, secret: &str) -> (Result<(), Reason>, Heard) {
    read(transcript(struck), fault, secret, |login| {
        Box::new(AsteriskRunning::new(login, Duration::from_secs(30)))
    })
}

#[test]
fn an_answer_becomes_items_that_hold_still() {
    let (result, heard) = run("-", Fault::None, "right");
    assert_eq!(result, Ok(()));
    assert_eq!(
        heard.shown("process"),
        [
            "@now/reloaded Text(\"2026-11-28 10:00:00\")",
            "@now/started Text(\"2026-11-28 09:00:00\")",
            "version Text(\"20.5.0\")",
        ]
    );
    assert_eq!(heard.shown("endpoints"), ["alice Nothing", "trunk Nothing"]);
    assert_eq!(heard.shown("trunks"), ["carrier Text(\"rejected\")"]);
    assert_eq!(
        heard.shown("queues"),
        [
            "sales Nothing",
            "sales/max Integer(0)",
            "sales/member/PJSIP~1alice/penalty Integer(2)",
            "sales/strategy Text(\"ringall\")",
            "sales/weight Integer(0)",
        ]
    );
}

#[test]
fn a_wrong_password_is_denied_and_a_dumb_server_waited_for_no_longer_than_patience() {
    let (result, heard) = run("-", Fault::None, "wrong");
    assert_eq!((result, heard.parts.len()), (Err(Reason::Denied), 0));
    let (result, heard) = run("-", Fault::Dumb, "right");
    assert_eq!((result, heard.parts.len()), (Err(Reason::TimedOut), 0));
    let (result, _) = run("-", Fault::None, "right\r\nAction: Command");
    assert_eq!(result, Err(Reason::Unsupported), "a password became another header");
}

#[test]
fn a_fault_in_one_answer_leaves_what_follows_unobserved() {
    for (fault, reason) in [
        (Fault::Stalls, "timed_out"),
        (Fault::Trickles, "timed_out"),
        (Fault::HangsUp, "failed"),
        (Fault::Floods, "too_large"),
    ] {
        let (result, heard) = run("PJSIPShowRegistrationsOutbound", fault, "right");
        assert_eq!(result, Ok(()), "{fault:?}");
        assert_eq!(heard.shown("endpoints").len(), 2, "{fault:?}");
        assert_eq!(heard.shown("trunks"), [reason], "{fault:?}");
        assert_eq!(heard.shown("queues").len(), 1, "{fault:?}: {:?}", heard.shown("queues"));
    }
}
