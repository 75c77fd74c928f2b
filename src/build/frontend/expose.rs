//! Ports of EXPOSE: `80`, `80/udp`, `8000-8010`; what stands before a colon is checked and has no effect, as with Docker.

use super::error::Problem;

/// Each port with its protocol.
pub fn ports(text: &str) -> Result<Vec<String>, Problem> {
    let bad = |why| Problem::Port { text: text.to_owned(), why };
    let (host, container) = text.rsplit_once(':').map_or((None, text), |(host, container)| (Some(host), container));
    let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "" | "tcp" => "tcp",
        "udp" => "udp",
        "sctp" => "sctp",
        _ => return Err(bad("its protocol is none of tcp, udp and sctp")),
    };
    let (first, last) = range(container).ok_or_else(|| bad("ports are numbers from 0 to 65535, or two with a dash"))?;
    if let Some(host) = host {
        let (address, port) = host.rsplit_once(':').unwrap_or(("", host));
        let address = address.trim_start_matches('[').trim_end_matches(']');
        if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
            return Err(bad("what stands before the ports is no address"));
        }
        let span = if port.is_empty() { Some((first, last)) } else { range(port) };
        let Some((low, high)) = span else { return Err(bad("ports are numbers from 0 to 65535, or two with a dash")) };
        if high - low != last - first && last != first {
            return Err(bad("its two ranges differ in length"));
        }
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse::<u16>().ok()).flatten();
    let (first, last) = (digits(first)?, digits(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::ports;

    #[test]
    fn ports_have_protocols_and_ranges() {
        let read = |text: &str| ports(text).map(|ports| ports.join(" ")).unwrap_or_else(|_| "!".to_owned());
        for (text, expected) in [
            ("80", "80/tcp"),
            ("80/UDP", "80/udp"),
            ("80/", "80/tcp"),
            ("7-9/sctp", "7/sctp 8/sctp 9/sctp"),
            ("8080:80", "80/tcp"),
            ("127.0.0.1:8080:80/tcp", "80/tcp"),
            ("[::1]:1:2", "2/tcp"),
            ("1-2:3-4", "3/tcp 4/tcp"),
            ("1-9:3", "3/tcp"),
            ("", "!"),
            ("a", "!"),
            ("9-7", "!"),
            ("1-2-3", "!"),
            ("65536", "!"),
            ("+80", "!"),
            ("80/icmp", "!"),
            ("1-2:3-5", "!"),
            ("x:1:2", "!"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
