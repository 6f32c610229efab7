//! SIP OPTIONS: a request that asks for nothing but an answer (RFC 3261, section 11).

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use super::{Answer, PATIENCE, Target, failure};

/// The largest answer, in bytes: its status and headers.
const ANSWER_BYTES: usize = 16 * 1024;

/// The code of the final answer to a datagram.
pub(super) fn over_udp(target: &Target, address: SocketAddr) -> Result<u16, Answer> {
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any).map_err(|e| failure(&e))?;
    socket.connect(address).map_err(|e| failure(&e))?;
    let local = socket.local_addr().map_err(|e| failure(&e))?;
    let (id, request) = request(target, "UDP", local)?;
    socket.send(request.as_bytes()).map_err(|e| failure(&e))?;
    let deadline = Instant::now() + PATIENCE;
    let mut piece = vec![0; ANSWER_BYTES];
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(Answer::Silent);
        }
        socket.set_read_timeout(Some(rest)).map_err(|e| failure(&e))?;
        let length = socket.recv(&mut piece).map_err(|e| failure(&e))?;
        if let Some(code) = code(piece.get(..length).unwrap_or_default(), &id) {
            return Ok(code);
        }
    }
}

/// The code of the final answer over a connection that was begun at `began`.
pub(super) fn over_stream(
    target: &Target,
    transport: &str,
    stream: &mut (impl Read + Write),
    began: Instant,
) -> Result<u16, Answer> {
    let local = SocketAddr::from(([127, 0, 0, 1], 5_060));
    let (id, request) = request(target, transport, local)?;
    stream.write_all(request.as_bytes()).map_err(|e| failure(&e))?;
    let (mut answer, mut piece) = (Vec::new(), vec![0; 4_096]);
    while began.elapsed() < PATIENCE * 2 && answer.len() < ANSWER_BYTES {
        let length = stream.read(&mut piece).map_err(|e| failure(&e))?;
        if length == 0 {
            return Err(Answer::Refused);
        }
        answer.extend_from_slice(piece.get(..length).unwrap_or_default());
        // Provisional answers have no body, so each ends at its empty line.
        while let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            if let Some(code) = code(answer.get(..end).unwrap_or_default(), &id) {
                return Ok(code);
            }
            answer.drain(..end + 4);
        }
    }
    Err(Answer::Silent)
}

/// The request, and what names it.
fn request(
    target: &Target,
    transport: &str,
    local: SocketAddr,
) -> Result<(String, String), Answer> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Answer::Silent)?;
    let id = format!("{:016x}", u64::from_le_bytes(bytes));
    let address = &target.address;
    let parameter = match transport {
        "UDP" => "",
        "TCP" => ";transport=tcp",
        _ => ";transport=tls",
    };
    let text = format!(
        "OPTIONS sip:{address}{parameter} SIP/2.0\r\n\
         Via: SIP/2.0/{transport} {local};branch=z9hG4bK{id};rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:driftline@{local}>;tag={id}\r\n\
         To: <sip:{address}>\r\n\
         Call-ID: {id}@driftline\r\n\
         CSeq: 1 OPTIONS\r\n\
         Contact: <sip:driftline@{local}>\r\n\
         Accept: application/sdp\r\n\
         User-Agent: driftline\r\n\
         Content-Length: 0\r\n\r\n"
    );
    Ok((id, text))
}

/// The code of a final answer to our request; `None` for anything else.
fn code(answer: &[u8], id: &str) -> Option<u16> {
    let text = String::from_utf8_lossy(answer);
    let mut lines = text.lines();
    let code: u16 = lines.next()?.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()?;
    let ours = lines.any(|line| {
        let (name, value) = line.split_once(':').unwrap_or_default();
        let name = name.trim();
        (name.eq_ignore_ascii_case("call-id") || name.eq_ignore_ascii_case("i"))
            && value.trim().starts_with(id)
    });
    (ours && code >= 200).then_some(code)
}
