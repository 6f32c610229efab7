//! Debian's sipp as a SIP server that answers as a scenario of our own says.
//!
//! Knows sipp's scenarios and flags and nothing of Driftline.

#![allow(clippy::print_stderr, reason = "what goes wrong while a test ends is for the terminal")]

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::process::Process;
use crate::wait;

/// How long it may take to start.
const STARTING: Duration = Duration::from_secs(30);

/// How each OPTIONS is answered.
#[derive(Debug, Clone, Copy)]
pub enum Answers {
    /// At once, with this status code and its words.
    With(u16, &'static str),
    /// With 200, so many milliseconds later.
    Late(u32),
    /// With 200, but each n-th request never.
    AllBut(u32),
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Datagrams.
    Udp,
    /// A connection for each caller.
    Tcp,
}

/// A running sipp.
#[derive(Debug)]
pub struct Sipp {
    /// Where it listens.
    pub address: SocketAddr,
    process: Option<Process>,
}

impl Sipp {
    /// Starts one with its files in `folder`.
    ///
    /// # Errors
    /// When it cannot be started, with what it said.
    pub fn start(folder: &Path, over: Over, answers: Answers) -> anyhow::Result<Self> {
        let address = match over {
            Over::Udp => UdpSocket::bind("127.0.0.1:0")?.local_addr()?,
            Over::Tcp => std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?,
        };
        let scenario = folder.join(format!("sipp-{}.xml", address.port()));
        std::fs::write(&scenario, scenario_of(answers))?;
        let transport = if over == Over::Udp { "u1" } else { "t1" };
        // A caller that asks nothing but OPTIONS never ends a call: sipp forgets it by itself.
        let arguments: Vec<String> = [
            "-sf",
            &scenario.display().to_string(),
            "-i",
            "127.0.0.1",
            "-p",
            &address.port().to_string(),
            "-t",
            transport,
            "-nostdin",
            "-skip_rlimit",
        ]
        .map(String::from)
        .to_vec();
        let log = folder.join(format!("sipp-{}.log", address.port()));
        let mut process = Process::start(Path::new("/usr/bin/sipp"), &arguments, &log)
            .context("Debian's package sip-tester is needed")?;
        wait::until("sipp listens", STARTING, || {
            process.check_alive()?;
            let listens = match over {
                Over::Udp => UdpSocket::bind(address).is_err(),
                Over::Tcp => TcpStream::connect(address).is_ok(),
            };
            Ok(listens.then_some(()))
        })?;
        Ok(Self { address, process: Some(process) })
    }
}

impl Drop for Sipp {
    fn drop(&mut self) {
        if let Some(process) = self.process.take()
            && let Err(error) = process.kill9()
        {
            eprintln!("sipp: {error:#}");
        }
    }
}

/// The scenario: what comes, what is done before the answer, and the answer.
fn scenario_of(answers: Answers) -> String {
    let (before, status) = match answers {
        Answers::With(code, words) => (String::new(), format!("{code} {words}")),
        Answers::Late(milliseconds) => {
            (format!("<pause milliseconds=\"{milliseconds}\"/>"), "200 OK".to_owned())
        }
        Answers::AllBut(each) => (
            format!(
                "<nop><action><add assign_to=\"count\" value=\"1\"/>\
                 <test assign_to=\"left_out\" variable=\"count\" compare=\"equal\" \
                 value=\"{each}\"/></action></nop>\n\
                 <nop next=\"silent\" test=\"left_out\"/>"
            ),
            "200 OK".to_owned(),
        ),
    };
    let after = match answers {
        Answers::AllBut(_) => {
            "<nop next=\"end\"/>\n<label id=\"silent\"/>\n\
             <nop><action><assign assign_to=\"count\" value=\"0\"/></action></nop>\n\
             <label id=\"end\"/>\n"
        }
        Answers::With(..) | Answers::Late(_) => "",
    };
    let counted = match answers {
        Answers::AllBut(_) => "<Global variables=\"count\"/>\n",
        Answers::With(..) | Answers::Late(_) => "",
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scenario name=\"answers\">\n{counted}\
         <recv request=\"OPTIONS\"/>\n{before}\n<send><![CDATA[\n\n\
         SIP/2.0 {status}\n[last_Via:]\n[last_From:]\n[last_To:];tag=[call_number]\n\
         [last_Call-ID:]\n[last_CSeq:]\nContent-Length: 0\n\n]]></send>\n{after}</scenario>\n"
    )
}
