//! nftables without the `nft` program: rules as values, their text, their netlink form, and one transaction.

pub mod conntrack;
pub mod encode;
pub mod foreign;
pub mod legacy;
pub mod rule;
pub mod transaction;
pub mod watch;
