//! What differs between two forms of a service, field by field.

use super::Change;
use crate::model::Service;

/// sha256 over what only a new container can take up.
pub fn config_hash(service: &Service) -> String {
    let _ = service;
    String::new()
}

/// Field by field; empty where a container of `from` serves `to` as it is.
pub fn changes(from: &Service, to: &Service) -> Vec<Change> {
    let _ = (from, to);
    Vec::new()
}
