//! Pods and their containers, asked for as a kubelet does.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use k8s_cri::v1 as cri;
use tonic::Status;

use crate::cgroups;
use crate::kubelet::{Kubelet, MEGARUN};
use crate::stream::Stream;

/// How a pod is to be.
pub struct PodOptions {
    /// The runtime handler that its RuntimeClass names.
    pub handler: &'static str,
    /// Whether it has the node's network instead of one of its own.
    pub host_network: bool,
}

impl Default for PodOptions {
    fn default() -> Self {
        Self {
            handler: MEGARUN,
            host_network: false,
        }
    }
}

/// A pod that runs; removed when dropped.
pub struct Pod {
    kubelet: &'static Kubelet,
    /// The sandbox's id.
    pub id: String,
    config: cri::PodSandboxConfig,
    attempts: AtomicU32,
}

impl Pod {
    /// One with a network of its own under the handler `megarun`.
    #[track_caller]
    pub fn new() -> Self {
        Self::with(PodOptions::default())
    }

    /// One with options.
    #[track_caller]
    pub fn with(options: PodOptions) -> Self {
        Self::run(options).expect("a pod")
    }

    /// Asks for one.
    ///
    /// # Errors
    ///
    /// containerd's.
    pub fn run(options: PodOptions) -> Result<Self, Status> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let kubelet = Kubelet::shared();
        let uid = format!(
            "{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let logs = kubelet.room().path("pods").join(&uid);
        std::fs::create_dir_all(&logs).expect("a directory of our own");
        let network = match options.host_network {
            true => cri::NamespaceMode::Node,
            false => cri::NamespaceMode::Pod,
        };
        let namespaces = cri::NamespaceOption {
            network: network.into(),
            pid: cri::NamespaceMode::Container.into(),
            ..Default::default()
        };
        let config = cri::PodSandboxConfig {
            metadata: Some(cri::PodSandboxMetadata {
                name: format!("pod-{uid}"),
                uid: uid.clone(),
                namespace: "default".to_owned(),
                attempt: 0,
            }),
            // The kubelet gives none to a pod with the node's network.
            hostname: if options.host_network { "" } else { "pod" }.to_owned(),
            log_directory: logs.display().to_string(),
            linux: Some(cri::LinuxPodSandboxConfig {
                cgroup_parent: format!("/megarun-pods-{}/pod{uid}", std::process::id()),
                security_context: Some(cri::LinuxSandboxSecurityContext {
                    namespace_options: Some(namespaces),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        let request = cri::RunPodSandboxRequest {
            config: Some(config.clone()),
            runtime_handler: options.handler.to_owned(),
        };
        let answer = kubelet.wait(kubelet.client().run_pod_sandbox(request))?;
        Ok(Self {
            kubelet,
            id: answer.pod_sandbox_id,
            config,
            attempts: AtomicU32::new(0),
        })
    }

    /// What containerd says of it, with details as `info`.
    #[track_caller]
    pub fn status(&self) -> cri::PodSandboxStatusResponse {
        let request = cri::PodSandboxStatusRequest {
            pod_sandbox_id: self.id.clone(),
            verbose: true,
        };
        self.kubelet
            .wait(self.kubelet.client().pod_sandbox_status(request))
            .expect("the sandbox's status")
    }

    /// The process that holds its namespaces, in the room.
    #[track_caller]
    pub fn pid(&self) -> u64 {
        let info = &self.status().info["info"];
        let info: serde_json::Value = serde_json::from_str(info).expect("details in JSON");
        info["pid"].as_u64().expect("a sandbox has a process")
    }

    /// The cgroup that its containers' are in.
    pub fn cgroup(&self) -> &str {
        let linux = self.config.linux.as_ref();
        &linux.expect("every pod here has it").cgroup_parent
    }

    /// A container of `image` with a command, made and not started.
    ///
    /// # Errors
    ///
    /// containerd's, in which are the runtime's words.
    pub fn create(
        &self,
        image: &str,
        command: &[&str],
        change: impl FnOnce(&mut cri::ContainerConfig),
    ) -> Result<Container<'_>, Status> {
        let attempt = self.attempts.fetch_add(1, Ordering::Relaxed);
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut config = cri::ContainerConfig {
            metadata: Some(cri::ContainerMetadata {
                name: "app".to_owned(),
                attempt,
            }),
            image: Some(cri::ImageSpec {
                image: image.to_owned(),
                ..Default::default()
            }),
            command: words(command),
            log_path: format!("app-{attempt}.log"),
            linux: Some(cri::LinuxContainerConfig {
                security_context: Some(cri::LinuxContainerSecurityContext {
                    namespace_options: self.namespaces(),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            ..Default::default()
        };
        change(&mut config);
        let log = PathBuf::from(&self.config.log_directory).join(&config.log_path);
        let request = cri::CreateContainerRequest {
            pod_sandbox_id: self.id.clone(),
            config: Some(config),
            sandbox_config: Some(self.config.clone()),
        };
        let answer = self
            .kubelet
            .wait(self.kubelet.client().create_container(request))?;
        Ok(Container {
            pod: self,
            id: answer.container_id,
            log,
        })
    }

    fn namespaces(&self) -> Option<cri::NamespaceOption> {
        let linux = self.config.linux.as_ref()?;
        linux.security_context.as_ref()?.namespace_options.clone()
    }

    /// A container that runs.
    #[track_caller]
    pub fn start(&self, image: &str, command: &[&str]) -> Container<'_> {
        self.start_with(image, command, |_| ())
    }

    /// The same with changes to its configuration.
    #[track_caller]
    pub fn start_with(
        &self,
        image: &str,
        command: &[&str],
        change: impl FnOnce(&mut cri::ContainerConfig),
    ) -> Container<'_> {
        let container = self.create(image, command, change).expect("a container");
        container.start().expect("it starts");
        container
    }

    /// A stream to a port of the pod.
    #[track_caller]
    pub fn forward(&self, port: i32) -> Stream {
        let request = cri::PortForwardRequest {
            pod_sandbox_id: self.id.clone(),
            port: vec![port],
        };
        let answer = self
            .kubelet
            .wait(self.kubelet.client().port_forward(request))
            .expect("an address to stream to");
        // The kubelet adds what it was asked for.
        let url = format!("{}?port={port}", answer.url);
        Stream::open(self.kubelet.room(), &url)
    }

    /// Stops it with all its containers.
    #[track_caller]
    pub fn stop(&self) {
        let request = cri::StopPodSandboxRequest {
            pod_sandbox_id: self.id.clone(),
        };
        self.kubelet
            .wait(self.kubelet.client().stop_pod_sandbox(request))
            .expect("stopping a pod");
    }

    /// Removes it.
    #[track_caller]
    pub fn remove(&self) {
        let request = cri::RemovePodSandboxRequest {
            pod_sandbox_id: self.id.clone(),
        };
        self.kubelet
            .wait(self.kubelet.client().remove_pod_sandbox(request))
            .expect("removing a pod");
    }
}

impl Default for Pod {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
            self.remove();
        }
        cgroups::remove(self.cgroup());
        let parent = self.cgroup().rsplit_once('/').map(|(parent, _)| parent);
        if let Some(parent) = parent
            && cgroups::below(parent).is_empty()
        {
            cgroups::remove(parent);
        }
    }
}

/// A container of a pod.
pub struct Container<'p> {
    pod: &'p Pod,
    /// Its id.
    pub id: String,
    log: PathBuf,
}

impl Container<'_> {
    fn kubelet(&self) -> &'static Kubelet {
        self.pod.kubelet
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// containerd's, in which are the runtime's words.
    pub fn start(&self) -> Result<(), Status> {
        let request = cri::StartContainerRequest {
            container_id: self.id.clone(),
        };
        let answer = self
            .kubelet()
            .wait(self.kubelet().client().start_container(request));
        answer.map(drop)
    }

    /// What containerd says of it.
    #[track_caller]
    pub fn status(&self) -> cri::ContainerStatus {
        let request = cri::ContainerStatusRequest {
            container_id: self.id.clone(),
            verbose: false,
        };
        let answer = self
            .kubelet()
            .wait(self.kubelet().client().container_status(request))
            .expect("the container's status");
        answer.status.expect("an answer has one")
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// When it does not end.
    #[track_caller]
    pub fn ended(&self) -> cri::ContainerStatus {
        let started = Instant::now();
        loop {
            let status = self.status();
            if status.state() == cri::ContainerState::ContainerExited {
                return status;
            }
            let waited = started.elapsed();
            assert!(
                waited < Duration::from_secs(60),
                "it still runs: {status:?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it, with so many seconds of grace.
    #[track_caller]
    pub fn stop(&self, grace: i64) {
        let request = cri::StopContainerRequest {
            container_id: self.id.clone(),
            timeout: grace,
        };
        self.kubelet()
            .wait(self.kubelet().client().stop_container(request))
            .expect("stopping a container");
    }

    /// Removes it.
    #[track_caller]
    pub fn remove(&self) {
        let request = cri::RemoveContainerRequest {
            container_id: self.id.clone(),
        };
        self.kubelet()
            .wait(self.kubelet().client().remove_container(request))
            .expect("removing a container");
    }

    /// Runs a command in it to its end, as an exec probe does.
    ///
    /// # Errors
    ///
    /// containerd's.
    pub fn exec(&self, command: &[&str], seconds: i64) -> Result<cri::ExecSyncResponse, Status> {
        let request = cri::ExecSyncRequest {
            container_id: self.id.clone(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            timeout: seconds,
        };
        self.kubelet()
            .wait(self.kubelet().client().exec_sync(request))
    }

    /// Runs a command with streams.
    #[track_caller]
    pub fn exec_stream(&self, command: &[&str], tty: bool) -> Stream {
        let request = cri::ExecRequest {
            container_id: self.id.clone(),
            cmd: command.iter().map(|word| (*word).to_owned()).collect(),
            tty,
            stdin: true,
            stdout: true,
            stderr: !tty,
        };
        let answer = self
            .kubelet()
            .wait(self.kubelet().client().exec(request))
            .expect("an address to stream to");
        Stream::open(self.kubelet().room(), &answer.url)
    }

    /// Joins its streams.
    #[track_caller]
    pub fn attach(&self, tty: bool) -> Stream {
        let request = cri::AttachRequest {
            container_id: self.id.clone(),
            tty,
            stdin: true,
            stdout: true,
            stderr: !tty,
        };
        let answer = self
            .kubelet()
            .wait(self.kubelet().client().attach(request))
            .expect("an address to stream to");
        Stream::open(self.kubelet().room(), &answer.url)
    }

    /// What it uses.
    #[track_caller]
    pub fn stats(&self) -> cri::ContainerStats {
        let request = cri::ContainerStatsRequest {
            container_id: self.id.clone(),
        };
        let answer = self
            .kubelet()
            .wait(self.kubelet().client().container_stats(request))
            .expect("the container's use");
        answer.stats.expect("an answer has them")
    }

    /// Changes its limits.
    ///
    /// # Errors
    ///
    /// containerd's.
    pub fn update(&self, limits: cri::LinuxContainerResources) -> Result<(), Status> {
        let request = cri::UpdateContainerResourcesRequest {
            container_id: self.id.clone(),
            linux: Some(limits),
            ..Default::default()
        };
        let answer = self
            .kubelet()
            .wait(self.kubelet().client().update_container_resources(request));
        answer.map(drop)
    }

    /// A file of its cgroup.
    #[track_caller]
    pub fn cgroup(&self, controller: &str, file: &str) -> String {
        let path = format!("{}/{}", self.pod.cgroup(), self.id);
        cgroups::read(controller, &path, file)
    }

    /// Its log's lines without their times: `stdout F moon`.
    pub fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let line = |line: &str| line.split_once(' ').map(|(_, rest)| rest.to_owned());
        text.lines().filter_map(line).collect()
    }
}
