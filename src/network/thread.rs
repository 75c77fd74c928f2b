//! Kernel work off the event loop: each piece on a thread of its own, which may change its network namespace and ends.

use super::{error::NetworkError, netlink::Channel};
use tokio::sync::oneshot;

/// Name of the threads that write nftables. The kernel puts it into the notice of each change (NFTA_GEN_PROC_NAME),
/// which is how the watch knows muster's own changes, this process's and others', from foreign ones.
pub const NFT_THREAD: &str = "muster-nft";

/// Sockets that are closed after the answer is given. Closing one of nftables waits until what its transactions
/// replaced is freed, an RCU grace period of some milliseconds, and nobody has to wait for that.
pub type CloseLater = Vec<Channel>;

/// Runs `work` and returns its answer. A thread of the pool would do for most of it, but one that unshares can never
/// go back to the pool.
pub async fn run<T: Send + 'static>(
    name: &'static str,
    what: &'static str,
    work: impl FnOnce(&mut CloseLater) -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, NetworkError> {
    let (done, answer) = oneshot::channel();
    std::thread::Builder::new()
        .name(name.into())
        .stack_size(512 * 1024)
        .spawn(move || {
            let mut close_later = CloseLater::new();
            // The asker may be gone; the work is done all the same.
            let _ = done.send(work(&mut close_later));
        })
        .map_err(NetworkError::kernel(format!("start a thread to {what}")))?;
    answer.await.unwrap_or(Err(NetworkError::ThreadLost(what)))
}
