//! resolv.conf(5): reading the host's, writing a container's. Pure.

use std::{
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
};

/// Where a container finds its resolver.
const RESOLVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    pub nameservers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

impl ResolvConf {
    /// As glibc reads it: what it does not know is passed over, the last `search` or `domain` counts.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A zone (`fe80::1%eth0`) cannot be kept in an address.
                    let address: Option<IpAddr> = words.next().and_then(|word| word.split('%').next()?.parse().ok());
                    conf.nameservers.extend(address);
                }
                Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => conf.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        conf
    }

    /// The container's file: the resolver of muster, and the host's search list and options where the service does not
    /// give its own. `ndots:0`, as Docker sets it, makes a service name be asked for as it is.
    pub fn for_container(host: &Self, search: &[String], options: &[String]) -> String {
        let search = match search {
            [] => host.search.as_slice(),
            // A single dot means: none.
            [dot] if dot == "." => &[],
            own => own,
        };
        let mut options = if options.is_empty() { host.options.clone() } else { options.to_vec() };
        if !options.iter().any(|option| option.starts_with("ndots:")) {
            options.push("ndots:0".into());
        }
        let mut text = format!("nameserver {RESOLVER}\n");
        if !search.is_empty() {
            let _ = writeln!(text, "search {}", search.join(" "));
        }
        let _ = writeln!(text, "options {}", options.join(" "));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# made by hand\nnameserver 192.0.2.53\nnameserver fe80::1%eth0\nnameserver nonsense\n\
                        domain example.org\nsearch example.org example.com\noptions edns0 trust-ad\n; end\n";

    #[test]
    fn the_hosts_file_is_read_as_glibc_does() {
        let conf = ResolvConf::parse(HOST);
        assert_eq!(conf.nameservers, ["192.0.2.53".parse::<IpAddr>().unwrap(), "fe80::1".parse().unwrap()]);
        assert_eq!(conf.search, ["example.org", "example.com"]);
        assert_eq!(conf.options, ["edns0", "trust-ad"]);
        assert_eq!(ResolvConf::parse(""), ResolvConf::default());
    }

    #[test]
    fn a_container_gets_the_hosts_search_list_or_its_own() {
        let host = ResolvConf::parse(HOST);
        let own = |search: &[&str], options: &[&str]| {
            let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
            ResolvConf::for_container(&host, &owned(search), &owned(options))
        };
        assert_eq!(
            own(&[], &[]),
            "nameserver 127.0.0.11\nsearch example.org example.com\noptions edns0 trust-ad ndots:0\n"
        );
        assert_eq!(own(&["corp"], &["ndots:2"]), "nameserver 127.0.0.11\nsearch corp\noptions ndots:2\n");
        assert_eq!(own(&["."], &["timeout:1"]), "nameserver 127.0.0.11\noptions timeout:1 ndots:0\n");
    }
}
