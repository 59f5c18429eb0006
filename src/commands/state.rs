//! `megarun state`.

use super::{CommandError, print_json};
use crate::container::{ContainerId, Status, Store};
use crate::lifecycle::LifecycleError;
use crate::lifecycle::start::load;

/// Prints the OCI state document.
pub fn run(id: &ContainerId, store: &Store) -> Result<(), CommandError> {
    match load(&store.open(id)?)? {
        (Some(record), status) => Ok(print_json(&record.document(status))?),
        (None, Status::Creating) => {
            let status = Status::Creating;
            Err(LifecycleError::State {
                step: "show",
                id: id.clone(),
                status,
                hint: "",
            }
            .into())
        }
        // What a dead create left is no container; delete --force or another create removes it.
        (None, _) => Err(crate::container::StoreError::NotFound(id.clone()).into()),
    }
}
