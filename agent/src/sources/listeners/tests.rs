//! What is told of the sockets of a host, compared with `ss`, and the row of the shared check.

use std::net::IpAddr;

use driftline_protocol::redact::Redactor;

use super::*;
use crate::sources::check::{Broken, Denied, Fixture, Planted};
use crate::sources::{Carry, Receipt};

const HEAD: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n";

/// Port 22 everywhere, an established connection, and 127.0.0.1:5038.
const TCP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n\
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 18\n\
   1: 0100007F:0016 0100007F:C350 01 00000000:00000000 00:00000000 00000000 0 0 19\n\
   2: 0100007F:13AE 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 20\n";

/// Port 5060 everywhere, a media port, and a DHCP client.
const UDP: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n\
   0: 00000000:13C4 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 21\n\
   1: 00000000:2710 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 22\n\
   2: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 23\n";

pub(in crate::sources) fn fixture() -> Fixture {
    Fixture {
        source: || Box::new(Listeners::new()),
        recast: || Box::new(Listeners { version: VERSION + 1 }),
        tree: vec![("/proc/net/tcp", 0o444, TCP), ("/proc/net/udp", 0o444, UDP)],
        malformed: Some(Broken { path: "/proc/net/tcp", content: "no table\n", part: "tcp" }),
        denied: Denied { path: "/proc/net/tcp", part: "tcp" },
        edit: ("/proc/net/udp", HEAD),
        canary: None,
    }
}

fn world() -> World {
    World {
        chosen: 32_768..=60_999,
        reserved: vec![51_820..=51_820, 12_000..=12_009],
        steady: Some(BTreeSet::from([ip("192.0.2.1"), ip("2001:db8::1")])),
        tunnels: BTreeSet::from([ip("10.8.0.2")]),
    }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn a_port_that_somebody_chose_is_told_and_one_that_comes_by_itself_is_not() {
    for (transport, socket, expect) in [
        (Transport::Tcp, "0.0.0.0:22", Some("0.0.0.0:22")),
        (Transport::Tcp, "[::]:22", Some("[::]:22")),
        (Transport::Tcp, "127.0.0.1:5038", Some("127.0.0.1:5038")),
        (Transport::Tcp, "192.0.2.1:5061", Some("192.0.2.1:5061")),
        (Transport::Tcp, "[2001:db8::1]:5061", Some("[2001:db8::1]:5061")),
        // An address from DHCP, and one of a link.
        (Transport::Udp, "198.51.100.7:5060", Some("leased:5060")),
        (Transport::Tcp, "[fe80::1]:53", Some("leased:53")),
        // Chosen by the kernel, unless an admin reserved it.
        (Transport::Tcp, "127.0.0.1:45663", None),
        (Transport::Tcp, "0.0.0.0:51820", Some("0.0.0.0:51820")),
        (Transport::Tcp, "0.0.0.0:12001", Some("0.0.0.0:12001")),
        // Calls, DHCP, and what follows each new address.
        (Transport::Udp, "0.0.0.0:10002", None),
        (Transport::Udp, "0.0.0.0:12001", Some("0.0.0.0:12001")),
        (Transport::Udp, "0.0.0.0:68", None),
        (Transport::Udp, "0.0.0.0:123", Some("0.0.0.0:123")),
        (Transport::Udp, "192.0.2.1:123", None),
        (Transport::Udp, "198.51.100.7:5353", None),
        // A tunnel.
        (Transport::Tcp, "10.8.0.2:53", None),
    ] {
        let name = world().name(transport, socket.parse().unwrap());
        assert_eq!(name.as_deref(), expect, "{transport:?} {socket}");
    }
}

#[test]
fn a_control_group_is_named_by_its_unit_and_never_by_an_id() {
    let id = "0123456789abcdef0123456789abcdef";
    for (path, unit) in [
        ("", "/"),
        ("init.scope", "init.scope"),
        ("system.slice/ssh.service", "ssh.service"),
        ("system.slice/system-foo.slice/foo@bar.service", "foo@bar.service"),
        ("system.slice/asterisk.service/worker", "asterisk.service"),
        (&format!("system.slice/docker-{id}.scope"), "docker-*.scope"),
        ("system.slice/run-u12.service", "run-*.service"),
        ("user.slice/user-1000.slice/session-3.scope", "user.slice/session-3.scope"),
        (&format!("docker/{id}"), "docker/*"),
    ] {
        assert_eq!(units::unit(path), unit, "{path}");
    }
}

/// A hierarchy with a service, a session of a person, and `more` groups of his.
fn groups(place: &str, more: usize) -> Planted {
    let root = tempfile::tempdir().unwrap();
    let hierarchy = root.path().join("sys/fs/cgroup");
    for group in ["system.slice/ssh.service", "user.slice/user-1000.slice/session-3.scope"] {
        std::fs::create_dir_all(hierarchy.join(group)).unwrap();
    }
    std::fs::write(hierarchy.join("cgroup.controllers"), "").unwrap();
    for number in 0..more {
        std::fs::create_dir(hierarchy.join(place).join(number.to_string())).unwrap();
    }
    Planted::of(root)
}

#[test]
fn no_groups_of_a_person_have_his_ports_told() {
    const SESSION: &str = "user.slice/user-1000.slice/session-3.scope";
    let told_of = |planted: &Planted, group: &str, owner| {
        let path = Path::new("/sys/fs/cgroup").join(group);
        let group = planted.machine.stat_followed(&path).unwrap().map_or(7, |stat| stat.st_ino);
        let holder = Some(Holder { group, owner });
        let found = [Listener { address: "0.0.0.0:80".parse().unwrap(), holder }];
        let mut units = Units::new(&planted.machine);
        units.most = 100;
        let (part, holders) = Listeners::new().told(Transport::Tcp, &found, (&world(), &mut units));
        match part {
            RawPart::Observed(observed) => Ok((observed.items.len(), holders.is_ok())),
            RawPart::Unobserved(reason) => Err(reason),
        }
    };
    let told = |planted: &Planted, group: &str| told_of(planted, group, 1_000);
    let many = groups(SESSION, 110);
    assert_eq!(told(&many, "system.slice/ssh.service"), Ok((1, true)));
    assert_eq!(told(&many, SESSION), Ok((0, true)), "a person's port is told");
    assert_eq!(told(&many, "gone"), Ok((0, true)), "what is not found is a person's");
    for owner in [0, 33, 999] {
        let why = "a port of the kernel is lost, whose group went with its unit";
        assert_eq!(told_of(&many, "gone", owner), Ok((1, true)), "{owner}: {why}");
        assert_eq!(told_of(&many, SESSION, owner), Ok((0, true)), "{owner} in a session");
    }
    let full = groups("system.slice", 110);
    assert_eq!(told(&full, SESSION), Err(Reason::TooLarge), "unknown is never told");
    let events = Planted::new(&[
        ("/sys/fs/cgroup/cgroup.controllers", 0o444, ""),
        ("/sys/fs/cgroup/cgroup.events", 0o444, ""),
    ]);
    assert_eq!(told(&events, "gone"), Ok((1, true)), "a container sees no group but its own");
    assert_eq!(told(&Planted::new(&[]), "gone"), Ok((1, false)), "no groups at all");
}

#[test]
fn a_table_says_which_sockets_wait() {
    let listed = |text: &str, transport| -> Vec<String> {
        let found = decode::table(text.as_bytes(), transport).unwrap();
        found.iter().map(|listener| listener.address.to_string()).collect()
    };
    assert_eq!(listed(TCP, Transport::Tcp), ["0.0.0.0:22", "127.0.0.1:5038"]);
    let six = format!(
        "{HEAD} 0: 0000000000000000FFFF00000100007F:0050 0:0 0A 0:0 0:0 0 0 0 1\n\
         1: 00000000000000000000000001000000:0051 0:0 0A 0:0 0:0 0 0 0 1\n"
    );
    assert_eq!(listed(&six, Transport::Tcp), ["[::ffff:127.0.0.1]:80", "[::1]:81"]);
    for (text, line) in
        [("", 1), ("x\n", 1), (&format!("{HEAD} 0: 1\n"), 2), (&format!("{HEAD} 0: z:1 0:0 0A"), 2)]
    {
        let table = decode::table(text.as_bytes(), Transport::Udp);
        assert_eq!(table.map_err(|malformed| malformed.line), Err(line), "{text}");
    }
}

/// Keeps what a pass says.
#[derive(Default)]
struct Kept(BTreeMap<String, RawPart>);

impl Sink for Kept {
    fn seen(&mut self, part: driftline_protocol::ids::PartName, raw: RawPart) -> Receipt {
        self.0.insert(part.to_string(), raw);
        Receipt::of(driftline_protocol::ids::Digest([0; 32]), None)
    }

    fn same(&mut self, _: &driftline_protocol::ids::PartName, _: &Receipt) -> Carry {
        Carry::ReadAgain
    }

    fn blind(&mut self, _: &driftline_protocol::ids::PartName, _: Reason) {}
}

impl Kept {
    fn names(&self, part: &str) -> BTreeSet<String> {
        let Some(RawPart::Observed(observed)) = self.0.get(part) else { panic!("no {part}") };
        observed.items.keys().map(|key| key.segments().collect::<Vec<_>>().join("/")).collect()
    }
}

/// What `ss` lists and we leave out is what [`World::name`] gives no name; it writes `*` for `[::]`
/// where the socket takes IPv4 too, and adds the interface (`127.0.0.53%lo`) a socket is bound to.
#[test]
#[allow(clippy::disallowed_types, reason = "a test may ask ss itself")]
fn this_machine_has_the_sockets_that_ss_lists() {
    let here = ["127.0.0.1:0", "[::1]:0"].map(std::net::TcpListener::bind);
    // A host may have no IPv6; every host has the other.
    let steady: Vec<_> = here.into_iter().filter_map(Result::ok).collect();
    let Ok(output) = std::process::Command::new("ss").args(["-lntuH"]).output() else { return };
    let machine = Machine::open(Path::new("/"), Redactor::new([1; 32])).unwrap();
    // Every port counts here: the kernel is taken to choose none that is used.
    let everything = World { chosen: 0..=0, ..World::of(&machine) };
    for transport in [Transport::Tcp, Transport::Udp] {
        let Ok(Some(found)) = Listeners::new().sockets(&machine, transport) else {
            panic!("no sockets")
        };
        let ours: BTreeSet<String> = found
            .iter()
            .filter_map(|listener| everything.name(transport, listener.address))
            .collect();
        let theirs: BTreeSet<String> = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter(|line| line.starts_with(transport.name()))
            .filter_map(|line| line.split_ascii_whitespace().nth(4))
            .filter_map(|local| {
                let (address, port) = local.rsplit_once(':')?;
                let address = address.split('%').next()?.trim_matches(['[', ']']);
                let address = if address == "*" { "::" } else { address };
                let socket = SocketAddr::new(address.parse().ok()?, port.parse().ok()?);
                everything.name(transport, socket)
            })
            .collect();
        // Other tests open and close sockets meanwhile; those that were there all along must agree.
        for listener in steady.iter().filter(|_| transport == Transport::Tcp) {
            let here = listener.local_addr().unwrap().to_string();
            assert!(ours.contains(&here) && theirs.contains(&here), "{here} is not told");
        }
        let fixed = |names: &BTreeSet<String>| -> BTreeSet<String> {
            let port = |name: &str| name.rsplit(':').next().and_then(|port| port.parse().ok());
            let by_chance = |name: &String| port(name).is_none_or(|port: u16| port >= 32_768);
            names.iter().filter(|name| !by_chance(name)).cloned().collect()
        };
        assert_eq!(fixed(&ours), fixed(&theirs), "{transport:?}");
    }
}

#[test]
fn proc_and_the_kernel_say_the_same_of_this_machine() {
    let machine = Machine::open(Path::new("/"), Redactor::new([1; 32])).unwrap();
    let steady = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = std::net::TcpListener::bind(steady).unwrap();
    let here = listener.local_addr().unwrap();
    let asked = Listeners::new().sockets(&machine, Transport::Tcp).ok().flatten().unwrap();
    // A kernel before 5.9 tells no group.
    let owners = asked.iter().filter(|listener| listener.address == here);
    for holder in owners.filter_map(|listener| listener.holder) {
        assert_eq!(holder.owner, rustix::process::getuid().as_raw());
    }
    let mut look = Look::new(&machine);
    let read = tables(&mut look, Transport::Tcp).ok().flatten().unwrap();
    for found in [asked, read] {
        assert!(found.iter().any(|listener| listener.address == here), "{here} is not there");
    }
}

#[test]
fn a_running_host_says_who_holds_each_socket_or_why_not() {
    let machine = Machine::open(Path::new("/"), Redactor::new([1; 32])).unwrap();
    let mut kept = Kept::default();
    Listeners::new().read(&machine, &mut kept).unwrap();
    let named: BTreeSet<String> = ["tcp", "udp"]
        .iter()
        .flat_map(|part| kept.names(part).into_iter().map(move |name| format!("{part} {name}")))
        .collect();
    match kept.0.get("owners") {
        Some(RawPart::Observed(_)) => assert_eq!(kept.names("owners"), named),
        Some(RawPart::Unobserved(reason)) => assert_ne!(*reason, Reason::Failed),
        None => panic!("nothing is said of owners"),
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_sockets_or_malformed(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
        lines in "( 0: [0-9A-F]{8}:[0-9A-F]{4} 0:0 0[A7]\n){0,5}",
    ) {
        decode::socket(&bytes);
        for bytes in [bytes, format!("{HEAD}{lines}").into_bytes()] {
            for transport in [Transport::Tcp, Transport::Udp] {
                if let Err(malformed) = decode::table(&bytes, transport) {
                    proptest::prop_assert!(malformed.line > 0);
                }
            }
        }
    }
}
