//! The service: it knows nothing of HTTP, nor of jesus.

use std::collections::BTreeMap;

use msip_runtime::{Peer, Status, Stream};
use tokio::sync::watch;

use crate::schema::{
    HandleClientToServer, JesusRest, NoteInd, OrderReq, OrderRsp, RestockInd, WatchReq, WatchRsp,
};

/// How many articles there are, by their numbers.
pub(super) struct Shop {
    stock: watch::Sender<BTreeMap<i32, i32>>,
}

impl Shop {
    pub(super) fn new() -> Self {
        Self {
            stock: watch::Sender::new(BTreeMap::from([(7, 10), (8, 3)])),
        }
    }
}

impl HandleClientToServer for Shop {
    async fn on_order_req(&self, _: &Peer<JesusRest>, order: OrderReq) -> Result<OrderRsp, Status> {
        let OrderReq { article, count } = order;
        let mut left = 0;
        let is_taken = self.stock.send_if_modified(|stock| {
            let Some(there) = stock.get_mut(&article) else {
                return false;
            };
            left = *there;
            let is_enough = (1..=left).contains(&count);
            if is_enough {
                left -= count;
                *there = left;
            }
            is_enough
        });
        match is_taken {
            true => Ok(OrderRsp { article, left }),
            false => Err(Status::failed_precondition(format!(
                "{left} of article {article} are left"
            ))),
        }
    }

    async fn on_watch_req(
        &self,
        _: &Peer<JesusRest>,
        WatchReq { article }: WatchReq,
    ) -> Result<impl Stream<Item = Result<WatchRsp, Status>> + Send + 'static, Status> {
        let mut stock = self.stock.subscribe();
        stock.mark_changed();
        Ok(futures_util::stream::unfold(
            stock,
            move |mut stock| async move {
                stock.changed().await.ok()?;
                let left = stock.borrow_and_update().get(&article).copied();
                let left = left.unwrap_or_default();
                Some((Ok(WatchRsp { left }), stock))
            },
        ))
    }

    async fn on_restock_ind(&self, _: &Peer<JesusRest>, more: RestockInd) -> Result<(), Status> {
        self.stock.send_modify(|stock| {
            let there = stock.entry(more.article).or_default();
            *there = there.saturating_add(more.count.max(0));
        });
        Ok(())
    }

    async fn on_note_ind(&self, peer: &Peer<JesusRest>, note: NoteInd) {
        // jesus' meta are headers. What a caller says of itself is a claim.
        let call = peer.call();
        let from = call.metadata().header("app-meta-claimed-userid");
        println!("{} tells: {:?}", from.unwrap_or("somebody"), note.text);
    }
}
