//! How the host resolves names and reaches the network, as somebody configured it. What a network
//! gave (the values that begin with `Dhcp`) is not told. The file of hosts is one of `files`.

use driftline_protocol::redact::RawItems;
use driftline_protocol::snapshot::Domain;

use super::{Look, Product, Trouble, chosen, kept, key, manual, trees};

pub(super) const NETWORK: Product = Product {
    name: "network",
    domain: Domain::Config,
    manual: manual(
        "`tcpip` (resolver and fixed addresses by adapter), `proxy`, `name_resolution` \
         (rules and policies of the resolver)",
    ),
    tables: &[
        kept("tcpip", tcpip),
        kept("proxy", proxy),
        kept("name_resolution", |look| trees(look, &RESOLUTION)),
    ],
};

const TCPIP: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";

const OF_HOST: [&str; 6] = [
    "Domain",
    "NV Domain",
    "SearchList",
    "NameServer",
    "IPEnableRouter",
    "UseDomainNameDevolution",
];

const OF_ADAPTER: [&str; 7] = [
    "EnableDHCP",
    "IPAddress",
    "SubnetMask",
    "DefaultGateway",
    "NameServer",
    "Domain",
    "RegistrationEnabled",
];

const RESOLUTION: [(&str, &str); 2] = [
    ("rules", r"SYSTEM\CurrentControlSet\Services\Dnscache\Parameters\DnsPolicyConfig"),
    ("policy", r"SOFTWARE\Policies\Microsoft\Windows NT\DNSClient"),
];

fn tcpip(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    let Some(parameters) = key(look, TCPIP, 2)? else { return Ok(None) };
    // Leases are renewed all day.
    look.without_bytes();
    let mut items = RawItems::new();
    chosen(&mut items, &[], &parameters, &OF_HOST);
    let adapters = parameters.below(&["Interfaces"]).map(|key| &key.keys);
    for (adapter, key) in adapters.into_iter().flatten() {
        chosen(&mut items, &["interfaces", adapter], key, &OF_ADAPTER);
    }
    Ok(Some(items))
}

const PROXY: [(&str, &str); 2] = [
    ("policy", r"SOFTWARE\Policies\Microsoft\Windows\CurrentVersion\Internet Settings"),
    ("host", r"SOFTWARE\Microsoft\Windows\CurrentVersion\Internet Settings"),
];

fn proxy(look: &mut Look<'_>) -> Result<Option<RawItems>, Trouble> {
    const NAMES: [&str; 5] =
        ["ProxyEnable", "ProxyServer", "ProxyOverride", "AutoConfigURL", "ProxySettingsPerUser"];
    let mut items = RawItems::new();
    let mut found = false;
    for (name, path) in PROXY {
        let Some(key) = key(look, path, 0)? else { continue };
        found = true;
        chosen(&mut items, &[name], &key, &NAMES);
    }
    look.without_bytes();
    Ok(found.then_some(items))
}
