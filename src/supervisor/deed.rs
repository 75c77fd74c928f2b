//! What the owner of the state wants done, as values.

use crate::{model::ContainerId, state::records::ContainerRecord};
use serde_json::{Map, Value};

/// Carried out in order by the supervisor's loop; none of them may fail the loop.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Write the container's record.
    Persist { id: ContainerId },
    /// Bring its shim up and start it: a restart, or a container of an earlier supervisor.
    Launch { id: ContainerId },
    /// Run its health probe once.
    Probe { id: ContainerId, run: u32 },
    /// Answer names on its resolver sockets.
    Serve { id: ContainerId },
    /// Clear away what is left of a container whose shim was killed.
    Bury { id: ContainerId },
    /// Who has which address has changed.
    Names,
    /// A line in the journal about a container.
    Note { id: ContainerId, action: String, attributes: Map<String, Value> },
    /// The container is no part of the project any more.
    Forgotten { record: Box<ContainerRecord> },
}

impl Deed {
    pub fn note(id: &ContainerId, action: &str) -> Self {
        Self::Note { id: id.clone(), action: action.to_owned(), attributes: Map::new() }
    }

    /// One more attribute of a note.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Self::Note { attributes, .. } = &mut self {
            attributes.insert(key.to_owned(), value.into());
        }
        self
    }
}
