//! Writing and signing manifests.

use super::{AgentTool, Binary, ExecPolicy, Manifest, Overrides, Signature};
use crate::capability::SyscallSet;
use crate::json::{self, Value};
use crate::names::KeyId;
use crate::signing::{self, SigningKey};

impl Manifest {
    /// The text of `manifest.json`: fields in the order of the specification, maps in the order of
    /// the digests. The same manifest gives the same bytes.
    pub fn to_json_pretty(&self) -> Vec<u8> {
        json::pretty(&self.to_value(self.signature.as_ref().map(signature)))
    }

    /// The bytes a signature by `key_id` covers: what [`super::UnverifiedManifest::payload`] of the
    /// written text gives.
    pub fn payload(&self, key_id: Option<&KeyId>) -> Vec<u8> {
        let signatures =
            key_id.map(|id| Value::Object(vec![("key_id".into(), id.as_str().into())]));
        signing::pae(&json::jcs::canonical(&self.to_value(signatures)))
    }

    /// The manifest signed with `key`, in place of any signature it had.
    #[must_use]
    pub fn signed(mut self, key_id: KeyId, key: &SigningKey) -> Self {
        let signature_b64 = key.sign(&self.payload(Some(&key_id)));
        self.signature = Some(Signature {
            key_id,
            signature_b64,
        });
        self
    }

    fn to_value(&self, signatures: Option<Value>) -> Value {
        let policies = &self.policies;
        let mut global = Object::new()
            .with("default_syscalls", syscalls(&policies.default_syscalls))
            .with("networking", policies.networking.as_str().into());
        if policies.exec != ExecPolicy::Any {
            global = global.with("exec", policies.exec.as_str().into());
        }
        let binaries = self
            .binaries
            .iter()
            .map(|(id, entry)| (id.to_string(), binary(entry)));
        let tools = self
            .agent_tools
            .iter()
            .map(|(id, entry)| (id.to_string(), tool(entry)));
        let critical =
            (!self.critical.is_empty()).then(|| strings(self.critical.iter().map(String::as_str)));
        Object::new()
            .with("container_id", text(self.container_id))
            .with_some("name", self.name.as_ref().map(text))
            .with("version", text(&self.version))
            .with("megabinary", text(&self.megabinary))
            .with("vkernel_version", text(&self.vkernel_version))
            .with("global_policies", global.value())
            .with("binaries", Value::Object(binaries.collect()))
            .with("agent_tools", Value::Object(tools.collect()))
            .with_some("critical", critical)
            .with_some("signatures", signatures)
            .value()
    }
}

/// An object as it is put together.
struct Object(Vec<(String, Value)>);

impl Object {
    fn new() -> Self {
        Self(Vec::new())
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.0.push((key.to_owned(), value));
        self
    }

    fn with_some(self, key: &str, value: Option<Value>) -> Self {
        match value {
            None => self,
            Some(value) => self.with(key, value),
        }
    }

    fn value(self) -> Value {
        Value::Object(self.0)
    }
}

fn text(value: impl std::fmt::Display) -> Value {
    Value::String(value.to_string())
}

fn strings<'a>(items: impl Iterator<Item = &'a str>) -> Value {
    Value::Array(items.map(Value::from).collect())
}

fn syscalls(set: &SyscallSet) -> Value {
    strings(set.iter().map(|syscall| syscall.name()))
}

fn signature(signature: &Signature) -> Value {
    Object::new()
        .with("key_id", text(&signature.key_id))
        .with("signature", signature.signature_b64.as_str().into())
        .value()
}

fn binary(binary: &Binary) -> Value {
    Object::new()
        .with("path", text(&binary.path))
        .with("entry_point", text(&binary.entry))
        .with_some("args", args(&binary.args))
        .with_some("overrides", overrides(&binary.overrides))
        .value()
}

fn tool(tool: &AgentTool) -> Value {
    Object::new()
        .with("name", text(&tool.name))
        .with("entry_point", text(&tool.entry))
        .with_some("args", args(&tool.args))
        .with_some("overrides", overrides(&tool.overrides))
        .with_some("description", tool.description.as_ref().map(text))
        .with_some("input_schema", tool.input_schema.clone())
        .value()
}

fn args(args: &[String]) -> Option<Value> {
    (!args.is_empty()).then(|| strings(args.iter().map(String::as_str)))
}

fn overrides(overrides: &Overrides) -> Option<Value> {
    let exec = strings(overrides.exec.iter().map(|path| path.as_str()));
    let exec = (!overrides.exec.is_empty()).then_some(exec);
    if overrides.syscalls.is_empty() && exec.is_none() {
        return None;
    }
    let object = Object::new().with("syscalls", syscalls(&overrides.syscalls));
    Some(object.with_some("exec", exec).value())
}
