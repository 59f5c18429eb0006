//! From the JSON tree to the typed manifest.

use std::collections::BTreeMap;

use super::fields::At;
use super::{
    AgentTool, Binary, ExecPolicy, GlobalPolicies, Manifest, ManifestError, ManifestReason,
    Networking, Overrides, Signature,
};
use crate::capability::{SYSCALL_NAMES, Syscall, SyscallSet};
use crate::digest::Digest;
use crate::json::Value;
use crate::limits;
use crate::names::BinaryPath;

/// Reads `body`, the document without `signatures.signature`.
pub(super) fn manifest(
    body: &Value,
    signature: Option<Signature>,
) -> Result<Manifest, ManifestError> {
    let root = At::root(body);
    // First, so that a manifest of a later version says what it needs rather than which field is new.
    let critical = critical(&root)?;
    root.only(&[
        "container_id",
        "name",
        "version",
        "megabinary",
        "vkernel_version",
        "global_policies",
        "binaries",
        "agent_tools",
        "critical",
        "signatures",
    ])?;
    let manifest = Manifest {
        container_id: root.required("container_id")?.parsed()?,
        name: root
            .optional("name")
            .map(|name| name.parsed())
            .transpose()?,
        version: root.required("version")?.parsed()?,
        megabinary: root.required("megabinary")?.parsed()?,
        vkernel_version: requirement(&root.required("vkernel_version")?)?,
        policies: policies(&root.required("global_policies")?)?,
        binaries: map(&root.required("binaries")?, binary)?,
        agent_tools: match root.optional("agent_tools") {
            None => BTreeMap::new(),
            Some(tools) => map(&tools, tool)?,
        },
        critical,
        signature,
    };
    manifest.check()?;
    Ok(manifest)
}

fn critical(root: &At<'_>) -> Result<Vec<String>, ManifestError> {
    root.object()?;
    let Some(list) = root.optional("critical") else {
        return Ok(Vec::new());
    };
    match list.items(limits::ARGS)?.next() {
        None => Ok(Vec::new()),
        Some(extension) => {
            let name = crate::names::excerpt(extension.text()?);
            Err(extension.error(ManifestReason::UnknownCritical { name }))
        }
    }
}

fn requirement(at: &At<'_>) -> Result<semver::VersionReq, ManifestError> {
    let text = at.text()?;
    crate::names::requirement(text).map_err(|reason| {
        let found = crate::names::excerpt(text);
        at.error(ManifestReason::Requirement { found, reason })
    })
}

fn policies(at: &At<'_>) -> Result<GlobalPolicies, ManifestError> {
    at.only(&["default_syscalls", "networking", "exec"])?;
    Ok(GlobalPolicies {
        default_syscalls: syscalls(&at.required("default_syscalls")?)?,
        networking: at.required("networking")?.word(&Networking::NAMES)?,
        exec: match at.optional("exec") {
            None => ExecPolicy::default(),
            Some(exec) => exec.word(&ExecPolicy::NAMES)?,
        },
    })
}

fn syscalls(at: &At<'_>) -> Result<SyscallSet, ManifestError> {
    let mut set = SyscallSet::EMPTY;
    for item in at.items(SYSCALL_NAMES.len())? {
        let name = item.text()?;
        let syscall = Syscall::from_name(name).map_err(|error| item.error(error))?;
        if !set.insert(syscall) {
            return Err(item.error(ManifestReason::DuplicateItem {
                item: name.to_owned(),
            }));
        }
    }
    Ok(set)
}

/// An object whose keys are digests.
fn map<T>(
    at: &At<'_>,
    read: fn(&At<'_>) -> Result<T, ManifestError>,
) -> Result<BTreeMap<Digest, T>, ManifestError> {
    let found = at.object()?.len();
    if found > limits::TARGETS {
        return Err(at.error(ManifestReason::TooMany {
            found,
            limit: limits::TARGETS,
        }));
    }
    let entry = |(key, value): (&str, At<'_>)| {
        let digest: Digest = key
            .parse()
            .map_err(|error| value.error(ManifestReason::Digest(error)))?;
        Ok((digest, read(&value)?))
    };
    at.members()?.map(entry).collect()
}

fn binary(at: &At<'_>) -> Result<Binary, ManifestError> {
    at.only(&["path", "entry_point", "args", "overrides"])?;
    Ok(Binary {
        path: at.required("path")?.parsed()?,
        entry: at.required("entry_point")?.parsed()?,
        args: args(at)?,
        overrides: overrides(at)?,
    })
}

fn tool(at: &At<'_>) -> Result<AgentTool, ManifestError> {
    at.only(&[
        "name",
        "entry_point",
        "args",
        "overrides",
        "description",
        "input_schema",
    ])?;
    Ok(AgentTool {
        name: at.required("name")?.parsed()?,
        entry: at.required("entry_point")?.parsed()?,
        args: args(at)?,
        overrides: overrides(at)?,
        description: at
            .optional("description")
            .map(|text| bounded(&text, limits::DESCRIPTION_BYTES).map(str::to_owned))
            .transpose()?,
        input_schema: at
            .optional("input_schema")
            .map(|schema| schema.object().map(|_| schema.value.clone()))
            .transpose()?,
    })
}

fn bounded<'a>(at: &At<'a>, limit: usize) -> Result<&'a str, ManifestError> {
    let text = at.text()?;
    if text.len() > limit {
        return Err(at.error(ManifestReason::TooLong {
            found: text.len(),
            limit,
        }));
    }
    Ok(text)
}

fn args(at: &At<'_>) -> Result<Vec<String>, ManifestError> {
    let Some(list) = at.optional("args") else {
        return Ok(Vec::new());
    };
    let arg = |item: At<'_>| {
        let text = bounded(&item, limits::ARG_BYTES)?;
        if text.contains('\0') {
            return Err(item.error(ManifestReason::NulInArgument));
        }
        Ok(text.to_owned())
    };
    list.items(limits::ARGS)?.map(arg).collect()
}

fn overrides(at: &At<'_>) -> Result<Overrides, ManifestError> {
    let Some(at) = at.optional("overrides") else {
        return Ok(Overrides::default());
    };
    at.only(&["syscalls", "exec"])?;
    let syscalls = match at.optional("syscalls") {
        None => SyscallSet::EMPTY,
        Some(list) => syscalls(&list)?,
    };
    let exec = match at.optional("exec") {
        None => Vec::new(),
        Some(list) => paths(&list)?,
    };
    Ok(Overrides { syscalls, exec })
}

fn paths(at: &At<'_>) -> Result<Vec<BinaryPath>, ManifestError> {
    let mut seen = std::collections::HashSet::new();
    let path = |item: At<'_>| {
        let path: BinaryPath = item.parsed()?;
        if !seen.insert(path.clone()) {
            return Err(item.error(ManifestReason::DuplicateItem {
                item: path.to_string(),
            }));
        }
        Ok(path)
    };
    at.items(limits::EXEC_PATHS)?.map(path).collect()
}
