//! What crun and runc overlook in a document: capabilities that nobody knows. Engines name those of
//! kernels to come, and a container is to start without them.

use oci_spec::runtime::Capability;
use serde_json::Value;

/// The sets of `capabilities`.
const SETS: [&str; 5] = [
    "bounding",
    "effective",
    "permitted",
    "inheritable",
    "ambient",
];

/// Whether this is the name of a capability.
pub fn is_capability(name: &str) -> bool {
    serde_json::from_value::<Capability>(name.into()).is_ok()
}

/// Takes unknown capabilities out of a config.json or of a process document. Returns their names:
/// none where the document has none, or is none.
pub fn take_unknown_capabilities(document: &mut Value) -> Vec<String> {
    let process = match document.get("process") {
        Some(_) => &mut document["process"],
        None => document,
    };
    let mut taken = Vec::new();
    for set in SETS {
        let set = process
            .get_mut("capabilities")
            .and_then(|all| all.get_mut(set));
        let Some(Value::Array(names)) = set else {
            continue;
        };
        names.retain(|name| match name.as_str() {
            Some(name) if !is_capability(name) => {
                taken.push(name.to_owned());
                false
            }
            _ => true,
        });
    }
    taken.sort();
    taken.dedup();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unknown_names_are_taken() {
        let sets = serde_json::json!({
            "bounding": ["CAP_CHOWN", "CAP_NEW"],
            "effective": ["CAP_NEW", "OTHER", "CAP_KILL"],
            "ambient": [7],
            "else": ["CAP_NEW"],
        });
        let process = serde_json::json!({ "capabilities": sets });
        let kept = serde_json::json!({
            "bounding": ["CAP_CHOWN"],
            "effective": ["CAP_KILL"],
            "ambient": [7],
            "else": ["CAP_NEW"],
        });
        for wrap in [false, true] {
            let mut document = match wrap {
                true => serde_json::json!({ "process": process }),
                false => process.clone(),
            };
            assert_eq!(
                take_unknown_capabilities(&mut document),
                ["CAP_NEW", "OTHER"]
            );
            let process = if wrap {
                &document["process"]
            } else {
                &document
            };
            assert_eq!(process["capabilities"], kept);
        }
        let mut none = serde_json::json!([1]);
        assert!(take_unknown_capabilities(&mut none).is_empty());
    }
}
