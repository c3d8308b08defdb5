//! Calls on their way to a service.

use std::sync::Arc;

use super::{
    super::{
        Assigned, OpenCall, OutboxItem, Refused, Request, SessionKey, Target,
        outbox::Rejected,
        route::{Route, sticky},
        session::Session,
    },
    Sending,
};

impl Sending<'_> {
    /// Gives a call to the service with the fewest open ones of those that have not had it. `known` is the way of its topic, if that
    /// was just seen to be up to date.
    pub(in crate::router) fn assign(
        &mut self,
        mut request: Request,
        known: Option<&Arc<Route>>,
    ) -> Result<SessionKey, (Refused, Request)> {
        let mut known = known;
        loop {
            let found;
            let route = match known.take() {
                Some(route) => route,
                None => {
                    found = self.router.route(&request.topic);
                    &found
                }
            };
            let may = |one: &Session| one.is_connected() && !request.tried.contains(&one.key);
            let chosen = match request.exchange.sticky_key() {
                Some(key) => {
                    let members = route.callees.members.iter();
                    sticky(members.filter(|one| may(one)), key.as_bytes())
                }
                None => route.callees.choose(|one| one.call_load(self.now), may),
            };
            #[cfg(test)]
            super::super::choices::note_call(&request, chosen.as_ref().map(|one| one.key));
            let Some(chosen) = chosen else {
                let refused = match self.is_crowded {
                    true => Refused::crowded(),
                    false => Refused::no_service(),
                };
                return Err((refused, request));
            };
            let caller = request.exchange.caller();
            let Ok(client) = self.client_at(chosen, route, &Target::Service, caller) else {
                return Err((Refused::no_service(), request));
            };
            let is_heard_apart = client.is_some();
            let of_other = self.of_other(client.as_ref());
            let assigned = Assigned {
                request,
                instance: chosen.key,
                open: OpenCall::new(&chosen.open_calls),
                client,
            };
            let item = OutboxItem::Exchange(Box::new(assigned));
            let (rejected, item) = match chosen.push(item, route.generation, self.now, self.wakes) {
                Ok(is_congested) => {
                    if let Some(client) = of_other {
                        self.router.check_client(chosen, &client, self.wakes);
                    } else if is_congested && is_heard_apart {
                        self.held_up.push((chosen.clone(), route.about.clone()));
                    }
                    return Ok(chosen.key);
                }
                Err(rejected) => rejected,
            };
            // What was pushed comes back.
            let OutboxItem::Exchange(assigned) = item else {
                return Ok(chosen.key);
            };
            let instance = assigned.instance;
            request = assigned.into_parts().0;
            match rejected {
                // The route has changed: this one may still have it.
                Rejected::Stale => continue,
                Rejected::Overflow(reason) => self.over.push((chosen.clone(), reason)),
                Rejected::TopicOverflow(topic) => {
                    self.over_topics.push((chosen.clone(), *topic));
                }
                Rejected::Crowded => self.is_crowded = true,
                Rejected::Gone | Rejected::Dropped => {}
            }
            request.tried.push(instance);
        }
    }
}
