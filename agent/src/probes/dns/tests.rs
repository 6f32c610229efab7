//! Messages of our own making, whole and broken, and a name server that answers what it likes.

use proptest::prelude::*;

use super::*;

/// A name as messages have it.
fn wire(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).unwrap());
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
    bytes
}

/// A record with its owner as bytes.
fn record(owner: &[u8], of: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let head = [of.to_be_bytes(), INTERNET.to_be_bytes(), [0, 0], [0, 60], length.to_be_bytes()];
    [owner, head.concat().as_slice(), data].concat()
}

fn srv(priority: u16, weight: u16, port: u16, target: &[u8]) -> Vec<u8> {
    [[priority, weight, port].map(u16::to_be_bytes).concat().as_slice(), target].concat()
}

/// The answer to a question, with these flags beside those of an answer.
fn answer(question: &[u8], flags: u16, records: &[Vec<u8>]) -> Vec<u8> {
    let mut message = question.to_vec();
    message[2..4].copy_from_slice(&(flags | 0x8180).to_be_bytes());
    message[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
    message.extend(records.concat());
    message
}

fn asked() -> Vec<u8> {
    question(7, "_sip._udp.Example.org.", Type::Srv).unwrap()
}

fn texts(message: &[u8]) -> Result<Vec<String>, Answer> {
    let records = read(message, &asked()).ok_or(Answer::Silent)?.records(Type::Srv)?;
    Ok(records.iter().map(Record::text).collect())
}

/// Where the name of the question stands.
const OWNER: [u8; 2] = [0xc0, 12];

#[test]
fn an_answer_is_read_with_its_pointers() {
    // `sbc1` and then the last two labels of the question.
    let target = [b"\x04sbc1".as_slice(), &[0xc0, 22]].concat();
    let records = [
        record(&OWNER, 33, &srv(10, 60, 5_060, &target)),
        record(&OWNER, 33, &srv(20, 0, 5_062, &wire("SBC2.example.net"))),
        record(&OWNER, 33, &srv(30, 0, 0, &[0])),
        record(&OWNER, 46, b"a signature"),
        record(&wire("other.example"), 33, &srv(0, 0, 1, &wire("not.ours"))),
    ];
    let expected = ["10 60 5060 sbc1.example.org", "20 0 5062 sbc2.example.net", "30 0 0 ."];
    assert_eq!(texts(&answer(&asked(), 0, &records)).unwrap(), expected);
}

#[test]
fn a_name_that_stands_for_another_is_followed() {
    let alias = |from: &str, to: &str| record(&wire(from), ALIAS, &wire(to));
    let found = record(&wire("b.example"), 33, &srv(1, 2, 3, &wire("c.example")));
    let records =
        [alias("_sip._udp.example.org", "a.example"), alias("a.example", "b.example"), found];
    assert_eq!(texts(&answer(&asked(), 0, &records)).unwrap(), ["1 2 3 c.example"]);
    let round = [alias("_sip._udp.example.org", "a.example"), alias("a.example", "a.example")];
    assert_eq!(texts(&answer(&asked(), 0, &round)).unwrap(), [""; 0]);
}

#[test]
fn what_is_no_answer_to_the_question_is_none() {
    let whole = answer(&asked(), 0, &[record(&OWNER, 33, &srv(1, 2, 3, &wire("c.example")))]);
    let other = |at: usize, byte: u8| {
        let mut message = whole.clone();
        message[at] = byte;
        read(&message, &asked())
    };
    assert_eq!(other(1, 8), None, "another question's number");
    assert_eq!(other(2, 0x01), None, "a question");
    assert_eq!(other(14, b'x'), None, "another name");
    assert_eq!(other(6, 0xff), None, "more records than there are");
    assert_eq!(read(&whole[..whole.len() - 1], &asked()), None, "cut off");
    let round = answer(&asked(), 0, &[record(&[0xc0, 39], 33, &srv(1, 2, 3, &[0]))]);
    assert_eq!(read(&round, &asked()), None, "a name that points to itself");
    assert_eq!(texts(&answer(&asked(), 3, &[])), Err(Answer::Unknown));
    assert_eq!(texts(&answer(&asked(), 2, &[])), Err(Answer::Refused));
}

#[test]
fn a_name_is_a_name() {
    assert!(is_name("_sip._udp.example.org") && is_name("example.org."));
    for name in ["", ".", "a..b", "a b", "a/b", &"x".repeat(64), &"abcdefg.".repeat(40)] {
        assert!(!is_name(name), "{name:?}");
    }
}

#[test]
fn rules_are_told_as_zone_files_write_them() {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let rule = [
        &[0, 10, 0, 50][..],
        &text("s"),
        &text("SIP+D2U"),
        &text("a\"\u{1}"),
        &wire("_sip._udp.example.org"),
    ];
    let question = question(7, "example.org", Type::Naptr).unwrap();
    let message = answer(&question, 0, &[record(&OWNER, 35, &rule.concat())]);
    let records = read(&message, &question).unwrap().records(Type::Naptr).unwrap();
    let expected = "10 50 \"s\" \"SIP+D2U\" \"a\\\"\\001\" _sip._udp.example.org";
    assert_eq!(records.iter().map(Record::text).collect::<Vec<_>>(), [expected]);
}

/// Answers one datagram with that it is truncated, and the same over TCP as a whole.
#[test]
fn what_does_not_fit_a_datagram_comes_over_tcp() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(address).unwrap();
    let server = std::thread::spawn(move || {
        let mut piece = [0; 600];
        let (length, from) = socket.recv_from(&mut piece).unwrap();
        socket.send_to(&answer(&piece[..length], 1 << 9, &[]), from).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        let length = stream.read(&mut piece).unwrap();
        let records: Vec<_> =
            (0..40).map(|n| record(&OWNER, 33, &srv(n, 0, 5_060, &wire("a.example")))).collect();
        let whole = answer(&piece[2..length], 0, &records);
        stream.write_all(&u16::try_from(whole.len()).unwrap().to_be_bytes()).unwrap();
        for piece in whole.chunks(97) {
            stream.write_all(piece).unwrap();
        }
    });
    let records = ask(&[address], "_sip._udp.example.org", Type::Srv).unwrap();
    server.join().unwrap();
    assert_eq!(records.len(), 40);
}

#[test]
fn a_server_that_is_silent_is_told_from_one_that_is_not_there() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().map(|address| (silent, address)).unwrap();
    assert_eq!(ask(&[silent.1], "example.org", Type::Srv), Err(Answer::Silent));
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let answer = ask(&[gone], "example.org", Type::Srv);
    // Wine keeps a refusal by ICMP from whoever waits with a limit.
    assert!(answer == Err(Answer::Refused) || cfg!(windows) && answer == Err(Answer::Silent));
    assert_eq!(ask(&[], "example.org", Type::Srv), Err(Answer::Unknown));
}

proptest! {
    #[test]
    fn whatever_comes_is_read_or_not(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        reads(&bytes);
    }

    #[test]
    fn a_message_cut_or_bent_anywhere_is_read_or_not(at in 0_usize..90, byte in any::<u8>()) {
        let records = [record(&OWNER, 33, &srv(1, 2, 3, &[4, b's', b'b', b'c', b'1', 0xc0, 22]))];
        let mut message = answer(&asked(), 0, &records);
        let at = at % message.len();
        message[at] = byte;
        let _: Option<Reply> = read(&message, &asked());
        let _: Option<Reply> = read(&message[..at], &asked());
    }

    #[test]
    fn names_come_back_as_they_were(labels in proptest::collection::vec("[a-z0-9_-]{1,20}", 1..8)) {
        let name = labels.join(".");
        prop_assert!(is_name(&name));
        let bytes = wire(&name);
        let mut reader = Reader { message: &bytes, at: 0 };
        prop_assert_eq!(reader.name(), Some(name));
    }
}
