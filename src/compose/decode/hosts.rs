//! Names and addresses: `extra_hosts`, `dns`, `hostname`.

use super::{At, Decoder};
use indexmap::IndexMap;
use std::net::IpAddr;

/// The address of the host, which is known only when a network is.
const HOST_GATEWAY: &str = "host-gateway";
/// `HOST_NAME_MAX`
const MAX_HOST_NAME: usize = 64;

impl Decoder<'_> {
    /// `host=address`
    pub fn extra_hosts(&mut self, at: &At<'_>) -> IndexMap<String, Vec<String>> {
        let mut hosts: IndexMap<String, Vec<String>> = IndexMap::new();
        for item in self.items(at) {
            let Some(text) = self.text(&item) else { continue };
            let (host, address) = text.split_once('=').unwrap_or((&text, ""));
            if self.good_host(&item, host)
                && let Some(address) = self.host_address(&item, address)
            {
                let addresses = hosts.entry(host.to_owned()).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    fn good_host(&mut self, at: &At<'_>, host: &str) -> bool {
        // It becomes a word of /etc/hosts.
        let good = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#');
        if !good {
            self.error(at, format!("has a bad host name: \"{host}\""));
        }
        good
    }

    fn host_address(&mut self, at: &At<'_>, text: &str) -> Option<String> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if bare == HOST_GATEWAY || bare.parse::<IpAddr>().is_ok() {
            return Some(bare.to_owned());
        }
        self.error(at, format!("needs an IP address or `{HOST_GATEWAY}`, not \"{text}\""));
        None
    }

    pub fn addresses(&mut self, at: &At<'_>) -> Vec<IpAddr> {
        let mut addresses = indexmap::IndexSet::new();
        for item in self.items(at) {
            addresses.extend(self.ip::<IpAddr>(&item, "an IP address"));
        }
        addresses.into_iter().collect()
    }

    pub fn host_name(&mut self, at: &At<'_>) -> Option<String> {
        let name = self.filled(at)?;
        let good = name.len() <= MAX_HOST_NAME
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !good {
            let help = format!("at most {MAX_HOST_NAME} letters, digits, `-`, `_` and `.`, a letter or digit first");
            self.error_with_help(at, format!("is no host name: \"{name}\""), help);
            return None;
        }
        Some(name)
    }
}
