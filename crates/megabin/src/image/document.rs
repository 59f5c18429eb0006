//! The JSON documents of an image (OCI image specification 1.1; docker's archive format 1.2).

use megabinary::manifest::Manifest;
use serde_json::{Value, json};

use super::{Blob, Layer, Settings};
use crate::bundle::PATH;

/// The file that makes a folder of blobs an image layout.
pub const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The time of everything: an image is the same whenever it is made.
const CREATED: &str = "1970-01-01T00:00:00Z";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A processor architecture by Go's name, as images have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Architecture {
    /// x86-64
    Amd64,
    /// AArch64
    Arm64,
}

impl Architecture {
    fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }
}

/// What the image runs unless told otherwise.
#[derive(Debug, Clone, Default)]
pub struct Process {
    /// Path and arguments; none for an image that is always told.
    pub args: Vec<String>,
    /// `NAME=value`, beside PATH.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// User, as engines take it; empty for root.
    pub user: String,
}

/// The image's configuration.
pub fn config(
    manifest: &Manifest,
    settings: &Settings,
    layers: &[Layer<'_>],
    blobs: &[Blob],
) -> Vec<u8> {
    let process = &settings.process;
    let mut env = process.env.clone();
    if !env.iter().any(|variable| variable.starts_with("PATH=")) {
        env.insert(0, format!("PATH={PATH}"));
    }
    let mut config = json!({
        "Env": env,
        "Labels": labels(manifest),
        "WorkingDir": process.cwd,
    });
    if !process.args.is_empty() {
        config["Cmd"] = json!(process.args);
    }
    if !process.user.is_empty() {
        config["User"] = json!(process.user);
    }
    let history: Vec<Value> = layers
        .iter()
        .map(|layer| {
            let by = format!("megabin image ({})", layer.title);
            json!({ "created": CREATED, "created_by": by })
        })
        .collect();
    let layers: Vec<String> = blobs.iter().map(|blob| blob.digest.to_string()).collect();
    bytes(&json!({
        "architecture": settings.architecture.name(),
        "config": config,
        "created": CREATED,
        "history": history,
        "os": "linux",
        // The layers are not compressed: each is its own diff.
        "rootfs": { "type": "layers", "diff_ids": layers },
    }))
}

/// The manifest of an OCI image.
pub fn oci_manifest(manifest: &Manifest, config: &[u8], layers: &[Blob]) -> Vec<u8> {
    let layers: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    bytes(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor("application/vnd.oci.image.config.v1+json", &Blob::of(config)),
        "layers": layers,
        "annotations": labels(manifest),
    }))
}

/// The index of an archive with that one image.
pub fn oci_index(manifest: &[u8], settings: &Settings) -> Vec<u8> {
    let mut image = descriptor(MANIFEST, &Blob::of(manifest));
    image["platform"] = json!({ "architecture": settings.architecture.name(), "os": "linux" });
    let reference = settings.reference.to_string();
    // Two readers of archives: podman and skopeo take the first, containerd the second.
    image["annotations"] = json!({
        "org.opencontainers.image.ref.name": reference,
        "io.containerd.image.name": reference,
    });
    bytes(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [image],
    }))
}

/// The manifest of a docker archive.
pub fn docker_manifest(settings: &Settings, config: &[u8], layers: &[Blob]) -> Vec<u8> {
    let layers: Vec<String> = layers
        .iter()
        .map(|layer| format!("{}.tar", layer.hex()))
        .collect();
    bytes(&json!([{
        "Config": format!("{}.json", Blob::of(config).hex()),
        "RepoTags": [settings.reference.to_string()],
        "Layers": layers,
    }]))
}

/// What is said about the image. Nothing decides by it: a runtime looks at what is there.
fn labels(manifest: &Manifest) -> Value {
    let mut labels = json!({
        "org.opencontainers.image.version": manifest.version.to_string(),
        "dev.megarun.container-id": manifest.container_id.to_string(),
    });
    if let Some(name) = &manifest.name {
        labels["org.opencontainers.image.title"] = json!(name.as_str());
    }
    labels
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({
        "mediaType": media_type,
        "digest": blob.digest.to_string(),
        "size": blob.size,
    })
}

fn bytes(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value has a text")
}
