//! What people have switched: the kill switch, and playbooks on or off. Built from the records of
//! the control topic; the last word about each counts.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// One record of the control topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub switch: Switch,
    /// Whether calls are allowed from now on.
    pub on: bool,
    /// Who said so.
    pub by: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// What is switched.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    Everything,
    Playbook(String),
}

impl Order {
    /// Under which compaction keeps the last order only.
    pub fn key(&self) -> String {
        match &self.switch {
            Switch::Everything => String::from("everything"),
            Switch::Playbook(id) => format!("playbook/{id}"),
        }
    }
}

/// All switches as they stand.
#[derive(Clone, Debug, Default)]
pub struct Switches(HashMap<Switch, Order>);

impl Switches {
    /// Takes in the next order of the topic.
    pub fn apply(&mut self, order: Order) {
        self.0.insert(order.switch.clone(), order);
    }

    /// Whether nothing may be called at all.
    pub fn killed(&self) -> bool {
        self.0.get(&Switch::Everything).is_some_and(|order| !order.on)
    }

    /// Whether a person has switched this playbook off.
    pub fn off(&self, playbook: &str) -> bool {
        self.find(playbook).is_some_and(|order| !order.on)
    }

    /// When a person last switched this playbook on, in milliseconds since 1970; the earliest
    /// time of all if nobody has. It also tells which order that was, whatever the clock said.
    pub fn on_again_ms(&self, playbook: &str) -> i64 {
        self.find(playbook).filter(|order| order.on).map_or(i64::MIN, |order| order.at_ms)
    }

    fn find(&self, playbook: &str) -> Option<&Order> {
        self.0.get(&Switch::Playbook(playbook.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(switch: Switch, on: bool, at_ms: i64) -> Order {
        Order { switch, on, by: String::from("ops"), at_ms }
    }

    #[test]
    fn the_last_word_counts() {
        let mut switches = Switches::default();
        assert!(!switches.killed() && !switches.off("p"));
        assert_eq!(switches.on_again_ms("p"), i64::MIN);
        switches.apply(order(Switch::Everything, false, 1));
        switches.apply(order(Switch::Playbook(String::from("p")), false, 2));
        assert!(switches.killed() && switches.off("p") && !switches.off("q"));
        switches.apply(order(Switch::Everything, true, 3));
        switches.apply(order(Switch::Playbook(String::from("p")), true, 4));
        assert!(!switches.killed() && !switches.off("p"));
        assert_eq!(switches.on_again_ms("p"), 4);
    }

    #[test]
    fn orders_are_read_as_they_are_written() {
        for switch in [Switch::Everything, Switch::Playbook(String::from("p"))] {
            let order = order(switch, false, 1);
            let text = serde_json::to_string(&order).unwrap();
            assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
        }
    }
}
