//! containerd with its CRI plugin in the room, and the client a kubelet is.

use std::fs::{self, File};
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use integration_tests::command::Output;
use integration_tests::engines::Room;
use integration_tests::subject;
use k8s_cri::v1::VersionRequest;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Response, Status};

use crate::images;

/// Nothing that is asked of containerd takes this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The runtime handler under test.
pub const MEGARUN: &str = "megarun";
/// The same runtime with a configuration that allows native code.
pub const NATIVE: &str = "megarun-native";
/// The runtime that the benchmarks compare with. Its sandboxes need a program: see [`crate::PAUSE`].
pub const CRUN: &str = "crun";

/// A containerd that runs, and a client of it.
pub struct Kubelet {
    room: &'static Room,
    /// Ends with the room.
    _daemon: Child,
    tasks: tokio::runtime::Runtime,
    client: RuntimeServiceClient<Channel>,
}

impl Kubelet {
    /// The one of this test program, started when it is first asked for, with the images.
    ///
    /// # Panics
    ///
    /// When it does not answer.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Kubelet> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(Room::shared()))
    }

    fn start(room: &'static Room) -> Self {
        let path = |name: &str| room.path(name).display().to_string();
        fs::create_dir_all(room.path("cni")).expect("a directory of our own");
        fs::write(room.path("cni/10-pods.conflist"), NETWORK).expect("writing the network");
        allow_native(room);
        fs::write(room.path("cri.toml"), configuration(room)).expect("writing the configuration");
        let log = File::create(room.path("cri.log")).expect("a log of our own");
        let daemon = room
            .daemon("containerd", &["--config", &path("cri.toml")])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("one more descriptor"))
            .stderr(log)
            .spawn()
            .expect("starting containerd");
        let tasks = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("starting the client's threads");
        let socket = room.path("cri.sock");
        let connect = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move {
                let stream = tokio::net::UnixStream::connect(socket).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        let channel = {
            let _entered = tasks.enter();
            Endpoint::from_static("http://containerd").connect_with_connector_lazy(connect)
        };
        let kubelet = Self {
            room,
            _daemon: daemon,
            tasks,
            client: RuntimeServiceClient::new(channel),
        };
        let started = Instant::now();
        loop {
            let mut client = kubelet.client();
            match kubelet.wait(client.version(VersionRequest::default())) {
                Ok(_) => break,
                Err(error) => {
                    let log = fs::read_to_string(room.path("cri.log")).unwrap_or_default();
                    assert!(
                        started.elapsed() < Duration::from_secs(30),
                        "containerd is silent: {error}: {log}"
                    );
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        images::import(&kubelet);
        kubelet
    }

    /// The room it runs in.
    pub fn room(&self) -> &'static Room {
        self.room
    }

    /// A client for one call: it can be copied.
    pub fn client(&self) -> RuntimeServiceClient<Channel> {
        self.client.clone()
    }

    /// The answer to a call.
    ///
    /// # Errors
    ///
    /// Those of containerd.
    pub fn wait<T>(
        &self,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Status> {
        let limited = async {
            match tokio::time::timeout(PATIENCE, call).await {
                Ok(answer) => answer.map(Response::into_inner),
                Err(_) => Err(Status::deadline_exceeded("the test's own time limit")),
            }
        };
        self.tasks.block_on(limited)
    }

    /// Runs `ctr` on Kubernetes' namespace.
    #[track_caller]
    pub fn ctr(&self, args: &[&str]) -> Output {
        let socket = self.room.path("cri.sock");
        let socket = socket.to_string_lossy();
        let args = [&["--address", &socket, "--namespace", "k8s.io"][..], args].concat();
        self.room.run("ctr", &args)
    }
}

/// Makes the other handler: a program that names another configuration.
fn allow_native(room: &Room) {
    let whole = fs::read_to_string(room.path("megarun.toml")).expect("the room's configuration");
    let (config, handler) = (room.path("native.toml"), room.path(NATIVE));
    fs::write(&config, format!("native = \"allow\"\n{whole}")).expect("writing a configuration");
    let script = format!(
        "#!/bin/sh\nexec {} --config {} \"$@\"\n",
        subject::megarun().display(),
        config.display(),
    );
    fs::write(&handler, script).expect("writing the handler");
    fs::set_permissions(&handler, fs::Permissions::from_mode(0o755)).expect("setting a mode");
}

/// Pods' network: addresses of the room's own.
const NETWORK: &str = r#"{
    "cniVersion": "0.4.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge", "bridge": "pods0", "isGateway": true, "ipMasq": false,
            "ipam": {
                "type": "host-local", "ranges": [[{"subnet": "10.99.0.0/16"}]],
                "dataDir": "/run/cni-pods"
            }
        }
    ]
}"#;

fn configuration(room: &Room) -> String {
    let path = |name: &str| room.path(name).display().to_string();
    format!(
        r#"version = 2
root = "{root}"
state = "{state}"
[grpc]
address = "{socket}"
[ttrpc]
address = "{ttrpc}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# A host without CAP_SYS_RESOURCE may not lower it.
restrict_oom_score_adj = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{cni}"
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "megarun"
{handlers}"#,
        root = path("cri.root"),
        state = path("cri.state"),
        socket = path("cri.sock"),
        ttrpc = path("cri.ttrpc"),
        pause = images::PAUSE,
        cni = path("cni"),
        handlers = handlers(room),
    )
}

/// The handlers as they are shipped, with the programs of this test.
fn handlers(room: &Room) -> String {
    let shipped = include_str!("../../../deploy/containerd/megarun-1.toml");
    let native = room.path(NATIVE).display().to_string();
    let named = |name: &str| format!("\"/usr/local/bin/{name}\"");
    shipped
        .replace(&named(NATIVE), &format!("{native:?}"))
        .replace(&named(MEGARUN), &format!("{:?}", subject::megarun()))
        + PEER
}

/// A handler as containerd's documentation writes it.
const PEER: &str = r#"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.crun.options]
BinaryName = "/usr/bin/crun"
"#;
