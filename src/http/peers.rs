//! Who is connected, and who goes first where there are too many: whoever has kept us waiting longest. Nothing here does I/O.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// All connections.
#[derive(Debug)]
pub(super) struct Peers {
    most: usize,
    most_of_one: usize,
    open: Mutex<Open>,
    /// Somebody left, or began to keep us waiting.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    peers: BTreeMap<u64, State>,
}

#[derive(Debug)]
struct State {
    address: IpAddr,
    /// Since when we wait for the peer (or it for us, with a wrong token); `None` while its request is answered.
    waiting_since: Option<Instant>,
    cut: Arc<Notify>,
}

/// One connection, for as long as it lasts.
#[derive(Debug)]
pub(super) struct Peer {
    peers: Arc<Peers>,
    id: u64,
    cut: Arc<Notify>,
}

impl Peers {
    /// At most so many in all, and of one address.
    pub(super) fn new(most: usize, most_of_one: usize) -> Arc<Self> {
        Arc::new(Self { most, most_of_one, open: Mutex::default(), changed: Notify::new() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room, or somebody who can be sent away.
    pub(super) async fn room(&self) {
        loop {
            let changed = self.changed.notified();
            {
                let open = self.open();
                if open.peers.len() < self.most || open.longest_waiting(|_| true).is_some() {
                    return;
                }
            }
            changed.await;
        }
    }

    /// Lets somebody in, in the place of whoever has kept us waiting longest if there are too many; `None` if there are too many from
    /// this address and all of them are being answered.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Peer>> {
        let address = network(address);
        let mut open = self.open();
        if open.peers.values().filter(|state| state.address == address).count() >= self.most_of_one {
            let oldest = open.longest_waiting(|state| state.address == address)?;
            open.send_away(oldest);
        }
        if open.peers.len() >= self.most
            && let Some(oldest) = open.longest_waiting(|_| true)
        {
            open.send_away(oldest);
        }
        let (id, cut) = (open.next, Arc::new(Notify::new()));
        open.next += 1;
        open.peers.insert(id, State { address, waiting_since: Some(Instant::now()), cut: Arc::clone(&cut) });
        Some(Arc::new(Peer { peers: Arc::clone(self), id, cut }))
    }
}

impl Open {
    fn longest_waiting(&self, among: impl Fn(&State) -> bool) -> Option<u64> {
        let waiting = self.peers.iter().filter(|(_, state)| among(state));
        waiting.filter_map(|(id, state)| Some((state.waiting_since?, *id))).min().map(|(_, id)| id)
    }

    fn send_away(&mut self, id: u64) {
        if let Some(state) = self.peers.remove(&id) {
            state.cut.notify_one();
        }
    }
}

impl Peer {
    /// Done when this connection has to go.
    pub(super) async fn sent_away(&self) {
        self.cut.notified().await;
    }

    /// Its request is being answered, until what is returned is dropped.
    pub(super) fn answering(self: &Arc<Self>) -> During {
        self.during(false)
    }

    /// It keeps us waiting, until what is returned is dropped.
    pub(super) fn waiting(self: &Arc<Self>) -> During {
        self.during(true)
    }

    fn during(self: &Arc<Self>, waits: bool) -> During {
        self.set(waits);
        During { peer: Arc::clone(self), waits }
    }

    fn set(&self, waits: bool) {
        if let Some(state) = self.peers.open().peers.get_mut(&self.id) {
            state.waiting_since = waits.then(Instant::now);
        }
        if waits {
            self.peers.changed.notify_one();
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.peers.open().peers.remove(&self.id);
        self.peers.changed.notify_one();
    }
}

/// While it lasts, the connection is in one state; then in the other.
#[derive(Debug)]
pub(super) struct During {
    peer: Arc<Peer>,
    waits: bool,
}

impl Drop for During {
    fn drop(&mut self) {
        self.peer.set(!self.waits);
    }
}

/// What counts as one address: of IPv6 the network, since each client has a whole one to itself.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{advance, timeout};

    use super::*;

    const ONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    async fn is_sent_away(peer: &Peer) -> bool {
        timeout(Duration::from_millis(1), peer.sent_away()).await.is_ok()
    }

    async fn enter(peers: &Arc<Peers>, address: IpAddr) -> Arc<Peer> {
        advance(Duration::from_secs(1)).await;
        peers.enter(address).expect("let in")
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_that_waits_longest_goes_first_and_none_that_is_answered() {
        let peers = Peers::new(3, 3);
        let (first, second, third) = (enter(&peers, ONE).await, enter(&peers, OTHER).await, enter(&peers, ONE).await);
        let busy = first.answering();
        let fourth = enter(&peers, OTHER).await;
        assert!(is_sent_away(&second).await && !is_sent_away(&first).await && !is_sent_away(&third).await);
        advance(Duration::from_secs(1)).await;
        drop(busy);
        let _fifth = enter(&peers, OTHER).await;
        assert!(is_sent_away(&third).await && !is_sent_away(&first).await, "its last answer counts, not its begin");
        let wrong = first.answering();
        let _refused = first.waiting();
        let _sixth = enter(&peers, OTHER).await;
        assert!(is_sent_away(&fourth).await);
        drop(wrong);
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_does_not_take_the_room_of_the_others() {
        let peers = Peers::new(10, 2);
        let (first, second) = (enter(&peers, ONE).await, enter(&peers, ONE).await);
        let _third = enter(&peers, ONE).await;
        assert!(is_sent_away(&first).await && !is_sent_away(&second).await);
        let _busy = [second.answering(), _third.answering()];
        assert!(peers.enter(ONE).is_none(), "all of its connections are answered");
        assert!(peers.enter("::ffff:192.0.2.1".parse().expect("an address")).is_none(), "the same address");
        assert!(peers.enter(OTHER).is_some());
        let six = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(six("2001:db8::1"), six("2001:db8::ffff:1"));
        assert_ne!(six("2001:db8::1"), six("2001:db8:0:1::1"));
    }

    #[tokio::test(start_paused = true)]
    async fn where_all_are_answered_the_next_one_waits() {
        let peers = Peers::new(1, 1);
        let only = enter(&peers, ONE).await;
        let busy = only.answering();
        assert!(timeout(Duration::from_secs(9), peers.room()).await.is_err());
        drop(busy);
        assert!(timeout(Duration::from_secs(9), peers.room()).await.is_ok());
        let _busy = only.answering();
        let (room, ()) = tokio::join!(timeout(Duration::from_secs(9), peers.room()), async {
            drop(_busy);
            drop(only);
        });
        assert!(room.is_ok());
    }
}
