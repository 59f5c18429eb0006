//! `megabin image`, through the real binary: what is in the archives, byte for byte.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

struct Bench {
    dir: TempDir,
}

impl Bench {
    /// A container in `out`, built with data of a fixed time.
    fn new() -> Self {
        let bench = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        let exit = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;
        fs::write(bench.path("true.wasm"), wat::parse_str(exit).unwrap()).unwrap();
        fs::create_dir_all(bench.path("root/etc")).unwrap();
        let data = bench.path("root/etc/motd");
        fs::write(&data, "hello\n").unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        let file = fs::File::options().write(true).open(&data).unwrap();
        file.set_modified(time).unwrap();
        symlink("etc/motd", bench.path("root/link")).unwrap();
        let long = "n".repeat(120);
        fs::write(bench.path(&format!("root/{long}")), "long").unwrap();
        fs::write(
            bench.path("recipe.toml"),
            "name = \"box\"\nversion = \"1.2\"\n[rootfs]\ncopy = [\"root\"]\n\
             [[binary]]\npath = \"/bin/true\"\nmodule = \"true.wasm\"\n",
        )
        .unwrap();
        bench.ok("build recipe.toml -o out");
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn run(&self, line: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_megabin"))
            .args(line.split_whitespace())
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    #[track_caller]
    fn ok(&self, line: &str) -> String {
        let output = self.run(line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{line}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, line: &str, part: &str) {
        let output = self.run(line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{line} succeeded");
        assert!(stderr.contains(part), "{line}: no `{part}` in: {stderr}");
    }

    fn archive(&self, name: &str) -> BTreeMap<String, Entry> {
        entries(&fs::read(self.path(name)).unwrap())
    }
}

#[derive(Debug, Clone)]
struct Entry {
    kind: u8,
    mode: u32,
    time: u64,
    link: String,
    bytes: Vec<u8>,
}

/// Reads a tar archive by the letter of POSIX, with pax records for long names.
fn entries(mut archive: &[u8]) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut long = None;
    let text = |field: &[u8]| {
        let end = field.iter().position(|b| *b == 0).unwrap_or(field.len());
        String::from_utf8(field[..end].to_vec()).unwrap()
    };
    while archive[0] != 0 {
        let (block, rest) = archive.split_at(512);
        let octal = |at: usize, length: usize| {
            u64::from_str_radix(text(&block[at..at + length]).trim(), 8).unwrap()
        };
        let size = octal(124, 12) as usize;
        let bytes = rest[..size].to_vec();
        archive = &rest[size.next_multiple_of(512)..];
        assert_eq!((octal(108, 8), octal(116, 8)), (0, 0), "owners are root");
        if block[156] == b'x' {
            let record = String::from_utf8(bytes).unwrap();
            long = Some(record.split_once("path=").unwrap().1.trim_end().to_owned());
            continue;
        }
        let name = long.take().unwrap_or_else(|| text(&block[..100]));
        let entry = Entry {
            kind: block[156],
            mode: octal(100, 8) as u32,
            time: octal(136, 12),
            link: text(&block[157..257]),
            bytes,
        };
        assert!(found.insert(name.clone(), entry).is_none(), "{name} twice");
    }
    assert!(archive.iter().all(|byte| *byte == 0) && archive.len() == 1024);
    found
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// The blob that a descriptor names, checked.
fn blob<'a>(archive: &'a BTreeMap<String, Entry>, descriptor: &Value) -> &'a [u8] {
    let hex = descriptor["digest"]
        .as_str()
        .unwrap()
        .strip_prefix("sha256:")
        .unwrap();
    let bytes = &archive[&format!("blobs/sha256/{hex}")].bytes;
    assert_eq!(sha256(bytes), hex);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

#[test]
fn an_oci_archive_holds_together_and_says_what_it_is() {
    let bench = Bench::new();
    let said = bench.ok("image out -t box:1 -o box.tar --env A=b --user 5:6 --cwd /etc -- true -x");
    let archive = bench.archive("box.tar");
    let json = |bytes: &[u8]| -> Value { serde_json::from_slice(bytes).unwrap() };
    assert_eq!(
        json(&archive["oci-layout"].bytes)["imageLayoutVersion"],
        "1.0.0"
    );
    let index = json(&archive["index.json"].bytes);
    let image = &index["manifests"][0];
    assert_eq!(
        image["annotations"]["org.opencontainers.image.ref.name"],
        "localhost/box:1"
    );
    assert_eq!(image["platform"]["architecture"], "amd64");
    let manifest = json(blob(&archive, image));
    let config = json(blob(&archive, &manifest["config"]));
    assert!(
        said.contains(manifest["config"]["digest"].as_str().unwrap()),
        "{said}"
    );
    let process = &config["config"];
    assert_eq!(process["Cmd"], serde_json::json!(["true", "-x"]));
    assert_eq!(
        (&process["User"], &process["WorkingDir"]),
        (&"5:6".into(), &"/etc".into())
    );
    assert_eq!(process["Env"][1], "A=b");
    assert_eq!(process["Labels"]["org.opencontainers.image.version"], "1.2");

    let layers: Vec<_> = manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| entries(blob(&archive, layer)))
        .collect();
    let names: Vec<Vec<&str>> = layers
        .iter()
        .map(|layer| layer.keys().map(String::as_str).collect())
        .collect();
    assert_eq!(names[0], [".megabinary/", ".megabinary/container.wasm"]);
    assert_eq!(names[2], [".megabinary/", ".megabinary/manifest.json"]);
    let root = &layers[1];
    let long = "n".repeat(120);
    for name in [
        "bin/true", "dev/", "etc/motd", "link", "proc/", "sys/", &long,
    ] {
        assert!(root.contains_key(name), "no {name} in {:?}", names[1]);
    }
    assert_eq!(
        (root["link"].kind, root["link"].link.as_str()),
        (b'2', "etc/motd")
    );
    // Data keeps its time; what a build laid has none.
    assert_eq!(
        (root["etc/motd"].time, root["bin/true"].time),
        (1_000_000, 0)
    );
    assert_eq!(root["bin/true"].mode, 0o755);
    let ids = config["rootfs"]["diff_ids"].as_array().unwrap();
    for (layer, id) in manifest["layers"].as_array().unwrap().iter().zip(ids) {
        assert_eq!(&layer["digest"], id);
    }
}

#[test]
fn a_docker_archive_names_its_parts() {
    let bench = Bench::new();
    bench.ok("image out -t example.com/box:1 -o box.tar --format docker --architecture arm64");
    let archive = bench.archive("box.tar");
    let manifest: Value = serde_json::from_slice(&archive["manifest.json"].bytes).unwrap();
    assert_eq!(manifest[0]["RepoTags"][0], "example.com/box:1");
    let config = &archive[manifest[0]["Config"].as_str().unwrap()].bytes;
    let config: Value = serde_json::from_slice(config).unwrap();
    assert_eq!(config["architecture"], "arm64");
    assert_eq!(config["config"].get("Cmd"), None);
    let layers = manifest[0]["Layers"].as_array().unwrap();
    for (layer, id) in layers
        .iter()
        .zip(config["rootfs"]["diff_ids"].as_array().unwrap())
    {
        let bytes = &archive[layer.as_str().unwrap()].bytes;
        assert_eq!(id, &format!("sha256:{}", sha256(bytes)));
    }
}

#[test]
fn the_same_container_gives_the_same_bytes_whenever_it_is_built() {
    let bench = Bench::new();
    bench.ok("image out -t box:1 -o one.tar");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    bench.ok("build recipe.toml -o again");
    bench.ok("image again -t box:1 -o two.tar");
    assert_eq!(
        fs::read(bench.path("one.tar")).unwrap(),
        fs::read(bench.path("two.tar")).unwrap()
    );
}

#[test]
fn data_and_signature_change_their_own_layer_only() {
    let bench = Bench::new();
    let layers = |name: &str| -> Vec<Value> {
        bench.ok(&format!("image out -t box:1 -o {name} --format docker"));
        let manifest = bench.archive(name)["manifest.json"].bytes.clone();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        manifest[0]["Layers"].as_array().unwrap().clone()
    };
    let before = layers("a.tar");
    bench.ok("keygen --key-id demo --out keys");
    bench.ok("sign out --key keys/demo.key");
    let signed = layers("b.tar");
    assert_eq!(before[..2], signed[..2]);
    assert_ne!(before[2], signed[2]);
    fs::write(bench.path("out/rootfs/etc/motd"), "other\n").unwrap();
    let other = layers("c.tar");
    assert_eq!((&signed[0], &signed[2]), (&other[0], &other[2]));
    assert_ne!(signed[1], other[1]);
}

#[test]
fn what_an_image_cannot_have_is_refused_and_leaves_nothing() {
    let bench = Bench::new();
    let rootfs = bench.path("out/rootfs");
    for name in [".megabinary", "etc/.wh.motd", ".wh..wh..opq"] {
        fs::write(rootfs.join(name), "").unwrap();
        bench.fails("image out -t box:1 -o bad.tar", name);
        fs::remove_file(rootfs.join(name)).unwrap();
    }
    let _socket = std::os::unix::net::UnixListener::bind(rootfs.join("socket")).unwrap();
    bench.fails("image out -t box:1 -o bad.tar", "socket");
    fs::remove_file(rootfs.join("socket")).unwrap();
    for tag in ["box", "BOX:1", "box:", "../x:1"] {
        bench.fails(&format!("image out -t {tag} -o bad.tar"), "NAME:TAG");
    }
    bench.fails("image none -t box:1 -o bad.tar", "none");
    bench.fails("image out -t box:1 -o nowhere/bad.tar", "nowhere");
    let left: Vec<_> = fs::read_dir(bench.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("bad"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    // One that is there is replaced whole.
    fs::write(bench.path("box.tar"), "old").unwrap();
    fs::set_permissions(bench.path("box.tar"), PermissionsExt::from_mode(0o600)).unwrap();
    bench.ok("image out -t box:1 -o box.tar");
    assert!(bench.archive("box.tar").contains_key("index.json"));
}

#[test]
fn programs_kept_whole_tickets_scripts_and_folders_are_in_the_image_as_they_were_laid() {
    let bench = Bench::new();
    let kept = wat::parse_str(r#"(module (memory (export "memory") 2) (func (export "_start")))"#);
    let kept = kept.unwrap();
    fs::write(bench.path("kept.wasm"), &kept).unwrap();
    fs::write(bench.path("report"), "#!/bin/true\n").unwrap();
    // A root file system that was there: a sticky folder, a private one, a linked one, a mode.
    for (folder, mode) in [
        ("root/tmp", 0o1777),
        ("root/private", 0o700),
        ("root/usr/bin", 0o755),
    ] {
        fs::create_dir_all(bench.path(folder)).unwrap();
        fs::set_permissions(bench.path(folder), PermissionsExt::from_mode(mode)).unwrap();
    }
    symlink("usr/bin", bench.path("root/bin")).unwrap();
    fs::write(bench.path("root/private/key"), "secret").unwrap();
    fs::set_permissions(
        bench.path("root/private/key"),
        PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    fs::write(
        bench.path("recipe.toml"),
        "name = \"box\"\nversion = \"1.2\"\n[rootfs]\ncopy = [\"root\"]\n\
         [[binary]]\npath = \"/bin/true\"\nmodule = \"true.wasm\"\nlinks = [\"/usr/bin/yes\"]\n\
         [[binary]]\npath = \"/usr/bin/kept\"\nmodule = \"kept.wasm\"\nkeep = \"original\"\n\
         [[binary]]\npath = \"/usr/bin/report\"\nfile = \"report\"\ninterpreter = \"/bin/true\"\n",
    )
    .unwrap();
    bench.ok("build recipe.toml -o out");
    bench.ok("image out -t box:1 -o box.tar --format docker");
    let archive = bench.archive("box.tar");
    let manifest: Value = serde_json::from_slice(&archive["manifest.json"].bytes).unwrap();
    let layer = manifest[0]["Layers"][1].as_str().unwrap();
    let root = entries(&archive[layer].bytes);
    // Through the linked folder the files lie where it leads.
    assert_eq!(
        (root["bin"].kind, root["bin"].link.as_str()),
        (b'2', "usr/bin")
    );
    assert!(
        root["usr/bin/true"]
            .bytes
            .starts_with(b"#!megabinary /bin/true sha256:")
    );
    assert_eq!(root["usr/bin/kept"].bytes, kept);
    assert_eq!(root["usr/bin/report"].bytes, b"#!/bin/true\n");
    assert_eq!(root["usr/bin/yes"].kind, b'2');
    let modes = ["tmp/", "private/", "private/key", "usr/bin/kept"].map(|name| root[name].mode);
    assert_eq!(modes, [0o1777, 0o700, 0o600, 0o755]);
    // What each program runs as is what the manifest of the last layer says of its digest.
    let last = manifest[0]["Layers"][2].as_str().unwrap();
    let signed = &entries(&archive[last].bytes)[".megabinary/manifest.json"].bytes;
    let signed: Value = serde_json::from_slice(signed).unwrap();
    for name in ["usr/bin/true", "usr/bin/kept", "usr/bin/report"] {
        let digest = format!("sha256:{}", sha256(&root[name].bytes));
        assert!(signed["binaries"].get(&digest).is_some(), "{name}");
    }
}
