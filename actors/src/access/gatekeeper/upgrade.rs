//! Access over an upgrade in place: sessions, orders and reports.

use super::Gatekeeper;
use crate::{
    access::{events::Event, orders::Order, sessions::Session},
    upgrade::states::{AccessState, EventsState},
};

impl Gatekeeper {
    /// Resumes the access of a connection after an upgrade. `None` if nothing can cut connections any more.
    pub(crate) fn resume(&self, state: AccessState) -> Option<Session> {
        Some(self.0.sessions.as_ref()?.resume(state))
    }

    /// Keeps reports for the next program, and returns them. `None` if none are wanted.
    pub(crate) async fn park_events(&self) -> Option<EventsState> {
        self.0.agent.as_ref()?.park_events().await
    }

    /// Resumes the reports from before an upgrade, if there are any. They are dropped if reports are switched off now.
    pub(crate) fn resume_events(&self, state: Option<EventsState>) {
        if let Some(state) = &state {
            Event::resume_numbers(state.next_number);
        }
        if let Some(agent) = &self.0.agent {
            agent.resume_events(state);
        }
    }

    /// Takes the orders of the last program of this process. Those of another version are left out.
    pub(crate) fn resume_orders(&self, orders: &[(String, u64)]) {
        for (text, ends_unix_ms) in orders {
            if let Some(order) = Order::parse(text) {
                self.obey(&order, *ends_unix_ms);
            }
        }
    }

    /// The orders in force.
    pub(crate) fn orders(&self) -> Vec<(String, u64)> {
        let mut orders = self.0.judge.orders();
        orders.sweep(self.0.nodes.unix_ms());
        orders.all()
    }
}
