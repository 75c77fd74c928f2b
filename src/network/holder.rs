//! Who holds a host port: a container of muster, by its record, or a process, by /proc. Only asked after a bind(2)
//! was refused, to tell the user; never to decide.

use super::error::Holder;
use crate::{
    model::{ContainerId, Protocol},
    state::{
        Layout, record,
        records::{ContainerRecord, Status},
    },
};
use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
};

pub fn find(layout: &Layout, ip: Ipv4Addr, port: u16, protocol: Protocol) -> Option<Holder> {
    container(layout, ip, port, protocol).or_else(|| process(ip, port, protocol))
}

/// A record that cannot be read is passed over: it is not what the user asked about.
fn container(layout: &Layout, ip: Ipv4Addr, port: u16, protocol: Protocol) -> Option<Holder> {
    fs::read_dir(layout.containers()).ok()?.flatten().find_map(|entry| {
        let record: ContainerRecord =
            record::read(&layout.container_record(&ContainerId::new(entry.file_name().into_string().ok()?))).ok()??;
        let up = matches!(record.status, Status::Running { .. } | Status::Restarting { .. });
        let publishes = record
            .ports
            .iter()
            .any(|bound| bound.host_port == port && bound.protocol == protocol && covers(bound.host_ip, ip));
        (up && publishes).then_some(Holder::Container { name: record.name, project: record.project })
    })
}

fn covers(held: IpAddr, wanted: Ipv4Addr) -> bool {
    held.is_unspecified() || wanted.is_unspecified() || held == IpAddr::V4(wanted)
}

fn process(ip: Ipv4Addr, port: u16, protocol: Protocol) -> Option<Holder> {
    let inodes: Vec<u64> = ["", "6"]
        .iter()
        .filter_map(|suffix| fs::read_to_string(format!("/proc/thread-self/net/{protocol}{suffix}")).ok())
        .flat_map(|table| inodes(&table, ip, port, protocol))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    let links: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
        let holds = fs::read_dir(entry.path().join("fd")).ok()?.flatten().any(|fd| {
            fs::read_link(fd.path()).is_ok_and(|target| links.iter().any(|link| target.as_os_str() == link.as_str()))
        });
        holds.then(|| Holder::Process { pid, command: command(pid) })
    })
}

fn command(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map_or_else(|_| "a process".into(), |name| name.trim().to_owned())
}

/// Sockets of a table of proc_net(5) that stand in the way of a bind.
fn inodes(table: &str, ip: Ipv4Addr, port: u16, protocol: Protocol) -> Vec<u64> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state) = (fields.get(1)?, fields.get(3)?);
            // 0A is LISTEN; UDP sockets have no such state.
            if protocol == Protocol::Tcp && *state != "0A" {
                return None;
            }
            let (address, local_port) = local.split_once(':')?;
            if u16::from_str_radix(local_port, 16).ok()? != port || !stands_in_the_way(address, ip) {
                return None;
            }
            fields.get(9)?.parse().ok()
        })
        .collect()
}

/// The kernel prints the address as numbers of the host's byte order, in hexadecimal.
fn stands_in_the_way(printed: &str, ip: Ipv4Addr) -> bool {
    if printed.chars().all(|digit| digit == '0') {
        return true;
    }
    let last = printed.get(printed.len().saturating_sub(8)..).unwrap_or(printed);
    let held = u32::from_str_radix(last, 16).ok().map(|number| Ipv4Addr::from(number.to_ne_bytes()));
    // An IPv6 address other than the unspecified one only matters where an IPv4 one is mapped into it.
    let is_ipv4 = printed.len() == 8 || printed.starts_with("0000000000000000FFFF0000");
    is_ipv4 && (ip.is_unspecified() || held == Some(ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_in_the_way_is_found_in_the_table() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0 100 0 0 10 0\n\
            1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4712 1 0 100 0 0 10 0\n\
            2: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 0 100 0 0 10 0\n";
        let at = |ip: &str, port| inodes(table, ip.parse().unwrap(), port, Protocol::Tcp);
        assert_eq!(at("127.0.0.1", 8080), [4711]);
        assert_eq!(at("0.0.0.0", 8080), [4711]);
        assert_eq!(at("192.0.2.1", 8080), [0; 0]);
        assert_eq!(at("192.0.2.1", 22), [4712]);
    }
}
