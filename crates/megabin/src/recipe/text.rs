//! The recipe as it is written. Unknown keys are errors: a misspelt `syscals` must not loosen or
//! break anything in silence.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    pub name: String,
    pub version: String,
    pub vkernel_version: Option<String>,
    #[serde(default)]
    pub policies: Policies,
    #[serde(default)]
    pub base: Base,
    #[serde(default)]
    pub binary: Vec<Binary>,
    #[serde(default)]
    pub agent_tool: Vec<AgentTool>,
    #[serde(default)]
    pub rootfs: Rootfs,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policies {
    #[serde(default)]
    pub default_syscalls: Vec<String>,
    pub networking: Option<String>,
    pub exec: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Base {
    #[serde(default)]
    pub libraries: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Binary {
    pub path: String,
    pub module: Option<String>,
    pub file: Option<String>,
    pub interpreter: Option<String>,
    pub name: Option<String>,
    pub syscalls: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    #[serde(default)]
    pub exec: Vec<String>,
    pub keep: Option<String>,
    #[serde(default)]
    pub base: bool,
    #[serde(default)]
    pub links: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AgentTool {
    pub name: String,
    pub module: Option<String>,
    #[serde(default)]
    pub base: bool,
    pub binary: Option<String>,
    pub description: Option<String>,
    pub input_schema: Option<String>,
    pub syscalls: Option<Vec<String>>,
    pub args: Option<Vec<String>>,
    #[serde(default)]
    pub exec: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rootfs {
    #[serde(default)]
    pub copy: Vec<String>,
}
