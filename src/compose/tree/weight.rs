//! How many values a walk over a tree would see. Nodes that are shared count every time, and are weighed once.

use super::{Kind, Node};
use std::{collections::HashMap, rc::Rc};

/// Weighs trees that share nodes with each other.
#[derive(Default)]
pub struct Scale(HashMap<*const Node, usize>);

impl Scale {
    pub fn weight(&mut self, node: &Rc<Node>) -> usize {
        let shared = Rc::strong_count(node) > 1;
        if shared && let Some(known) = self.0.get(&Rc::as_ptr(node)) {
            return *known;
        }
        let weight = match &node.kind {
            Kind::Scalar { .. } => return 1,
            Kind::Sequence(items) => items.iter().fold(1usize, |sum, item| sum.saturating_add(self.weight(item))),
            Kind::Mapping(entries) => {
                entries.values().fold(1usize, |sum, entry| sum.saturating_add(self.weight(&entry.value)))
            }
        };
        if shared {
            self.0.insert(Rc::as_ptr(node), weight);
        }
        weight
    }
}
