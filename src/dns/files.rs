//! The text of the files that a container's programs read for names: /etc/hosts, /etc/hostname. Pure.

use indexmap::IndexMap;
use std::{fmt::Write, net::IpAddr};

const LOCAL: &str = "127.0.0.1\tlocalhost\n\
                     ::1\tlocalhost ip6-localhost ip6-loopback\n\
                     fe00::\tip6-localnet\n\
                     ff00::\tip6-mcastprefix\n\
                     ff02::1\tip6-allnodes\n\
                     ff02::2\tip6-allrouters\n";

/// What stands in a container's /etc/hosts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hosts<'a> {
    /// The container's addresses; none without a network.
    pub addresses: &'a [IpAddr],
    pub hostname: &'a str,
    pub domainname: Option<&'a str>,
    /// `extra_hosts`: name -> addresses or `host-gateway`.
    pub extra: Option<&'a IndexMap<String, Vec<String>>>,
    /// What `host-gateway` stands for: the gateway of the network with the default route.
    pub host_gateway: Option<IpAddr>,
}

impl Hosts<'_> {
    /// Docker's form and order. An entry whose `host-gateway` has no address is left out: the container has no way to
    /// the host.
    pub fn text(&self) -> String {
        let mut text = LOCAL.to_owned();
        for (name, addresses) in self.extra.into_iter().flatten() {
            for address in addresses {
                match (address.as_str(), self.host_gateway) {
                    ("host-gateway", Some(gateway)) => {
                        let _ = writeln!(text, "{gateway}\t{name}");
                    }
                    ("host-gateway", None) => {}
                    (address, _) => {
                        let _ = writeln!(text, "{address}\t{name}");
                    }
                }
            }
        }
        for address in self.addresses {
            let _ = match self.domainname {
                Some(domain) => writeln!(text, "{address}\t{0}.{domain} {0}", self.hostname),
                None => writeln!(text, "{address}\t{}", self.hostname),
            };
        }
        text
    }
}

/// /etc/hostname
pub fn hostname(hostname: &str) -> String {
    format!("{hostname}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_and_extra_hosts_stand_in_the_file() {
        let extra = IndexMap::from([
            ("printer".to_owned(), vec!["192.0.2.9".to_owned(), "2001:db8::9".to_owned()]),
            ("host.docker.internal".to_owned(), vec!["host-gateway".to_owned()]),
        ]);
        let addresses = ["10.1.0.2".parse().unwrap(), "10.2.0.2".parse().unwrap()];
        let hosts = Hosts {
            addresses: &addresses,
            hostname: "web",
            domainname: Some("example.org"),
            extra: Some(&extra),
            host_gateway: Some("10.1.0.1".parse().unwrap()),
        };
        assert_eq!(
            hosts.text().strip_prefix(LOCAL).unwrap(),
            "192.0.2.9\tprinter\n2001:db8::9\tprinter\n10.1.0.1\thost.docker.internal\n\
             10.1.0.2\tweb.example.org web\n10.2.0.2\tweb.example.org web\n"
        );
        let alone = Hosts { hostname: "web", extra: Some(&extra), ..Hosts::default() };
        assert!(!alone.text().contains("host.docker.internal"));
    }
}
