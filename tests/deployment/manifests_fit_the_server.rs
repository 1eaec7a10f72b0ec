//! The manifests for Kubernetes.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use clap::Parser;
use serde_json::{Value, json};
use synctv_stream::config::Config;
use synctv_testkit::{http::request, server::TestServer};

use crate::manifest_files::{
    at, by_name, check_strictly, container, documents, file, list, manifest, manifest_names, manifests, port,
    settings, text,
};

/// The settings of the nodes' container. Values that Kubernetes fills in are `None`.
fn env() -> BTreeMap<String, Option<String>> {
    let value = |variable: &Value| variable.get("value").map(|value| value.as_str().unwrap().to_owned());
    list(&container(), "/env").iter().map(|variable| (text(variable, "/name"), value(variable))).collect()
}

/// Port numbers by name.
fn container_ports(container: &Value) -> BTreeMap<String, u64> {
    let ports = list(container, "/ports");
    ports.iter().map(|port| (text(port, "/name"), at(port, "/containerPort").as_u64().unwrap())).collect()
}

#[test]
fn no_manifest_has_a_field_that_kubernetes_does_not_know() {
    for (name, document) in manifests() {
        check_strictly(&document).unwrap_or_else(|error| panic!("{name:?} {error}"));
    }
}

#[test]
fn a_field_that_kubernetes_does_not_know_is_noticed() {
    let right = manifest("StatefulSet", "synctv-stream");
    for (pointer, field) in [
        ("", "replicas"),
        ("/spec", "podManagmentPolicy"),
        ("/spec/template/spec/containers/0", "livelinessProbe"),
        ("/spec/template/spec/containers/0/securityContext/capabilities", "Drop"),
    ] {
        let mut wrong = right.clone();
        wrong.pointer_mut(pointer).unwrap()[field] = json!("x");
        assert!(check_strictly(&wrong).is_err(), "{pointer}/{field}");
    }
}

#[test]
fn kustomize_lists_every_manifest_and_renders_them_as_they_are() {
    let kustomization = documents(&file("k8s/kustomization.yaml")).remove(0);
    let keys: Vec<_> = kustomization.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["apiVersion", "kind", "resources"]);
    let mut resources: Vec<_> =
        list(&kustomization, "/resources").iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    resources.sort();
    assert_eq!(resources, manifest_names());
    let rendered = Command::new("kubectl")
        .args(["kustomize", "k8s"])
        .current_dir(crate::manifest_files::root())
        .output();
    let rendered = rendered.expect("kubectl is needed: scripts/install-test-tools");
    assert!(rendered.status.success(), "{}", String::from_utf8_lossy(&rendered.stderr));
    let rendered = documents(std::str::from_utf8(&rendered.stdout).unwrap());
    assert_eq!(by_name(rendered.into_iter()), manifests());
}

#[test]
fn what_is_set_is_a_setting_with_a_good_value() {
    let (settings, env) = (settings(), env());
    let mut args = vec!["synctv-stream".to_owned()];
    for (name, value) in &env {
        assert!(settings.contains_key(name), "{name} is no setting");
        let flag = format!("--{}", name.to_lowercase().replace('_', "-"));
        args.extend(value.iter().flat_map(|value| [flag.clone(), value.clone()]));
    }
    let config = Config::try_parse_from(args).unwrap();
    assert!(config.hls.hls_storage.is_absolute());
    assert_eq!(env["NODE_ID"], None, "it is the pod's");
}

#[test]
fn ports_are_those_that_the_server_listens_on() {
    let (env, defaults, ports) = (env(), settings(), container_ports(&container()));
    for (setting, name) in [
        ("RTMP_ADDR", "rtmp"),
        ("HTTPFLV_ADDR", "http-flv"),
        ("HLS_ADDR", "hls"),
        ("METRICS_ADDR", "metrics"),
    ] {
        let address = env.get(setting).unwrap_or(&defaults[setting]).as_ref().unwrap();
        assert_eq!(port(address), ports[name], "{setting}");
        assert!(address.starts_with("0.0.0.0:") || address.starts_with("[::]:"), "others reach it");
    }
    assert_eq!(ports.len(), 4);
}

#[test]
fn probes_are_answered_by_a_server_that_runs() {
    let server = TestServer::start(&[]);
    for name in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let probe = at(&container(), &format!("/{name}/httpGet"));
        let (port, path) = (text(&probe, "/port"), text(&probe, "/path"));
        assert_eq!(port, "http-flv", "{name}: this port is the one that is there without HLS");
        assert_eq!(request(server.http, "GET", &path).status, 200, "{name}: {path}");
    }
}

#[test]
fn services_lead_to_ports_of_the_pods_that_they_select() {
    let manifests = manifests();
    let workloads: Vec<_> = manifests.values().filter(|it| it.pointer("/spec/template").is_some()).collect();
    for service in manifests.values().filter(|it| text(it, "/kind") == "Service") {
        let selector = at(service, "/spec/selector");
        let selected: Vec<_> =
            workloads.iter().filter(|it| at(it, "/spec/template/metadata/labels") == selector).collect();
        let [workload] = selected[..] else { panic!("{selector} selects {}", selected.len()) };
        let ports = container_ports(&at(workload, "/spec/template/spec/containers/0"));
        for port in list(service, "/spec/ports") {
            let target = text(&port, "/targetPort");
            assert_eq!(at(&port, "/port").as_u64(), ports.get(&target).copied(), "{target}");
        }
    }
}

#[test]
fn selectors_are_labels_of_the_pods() {
    for (name, workload) in manifests().iter().filter(|(_, it)| it.pointer("/spec/template").is_some()) {
        let labels = at(workload, "/spec/template/metadata/labels");
        assert_eq!(at(workload, "/spec/selector/matchLabels"), labels, "{name:?}");
    }
    let nodes = manifest("StatefulSet", "synctv-stream");
    let labels = at(&nodes, "/spec/template/metadata/labels");
    let spread = at(&nodes, "/spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels");
    let budget = manifest("PodDisruptionBudget", "synctv-stream");
    assert_eq!((&spread, &at(&budget, "/spec/selector/matchLabels")), (&labels, &labels));
    let policy = manifest("NetworkPolicy", "synctv-stream-redis");
    assert_eq!(at(&policy, "/spec/ingress/0/from/0/podSelector/matchLabels"), labels);
    let headless = manifest("Service", &text(&nodes, "/spec/serviceName"));
    assert_eq!(
        (text(&headless, "/spec/clusterIP"), at(&headless, "/spec/selector")),
        ("None".to_owned(), labels)
    );
}

#[test]
fn every_port_is_open_to_everyone_but_that_of_metrics() {
    let policy = manifest("NetworkPolicy", "synctv-stream");
    assert_eq!(
        at(&policy, "/spec/podSelector/matchLabels"),
        at(&manifest("Service", "synctv-stream"), "/spec/selector")
    );
    let names = |rule: &str| {
        let ports = list(&policy, &format!("/spec/ingress/{rule}/ports"));
        ports.iter().map(|port| text(port, "/port")).collect::<BTreeSet<_>>()
    };
    assert!(
        policy.pointer("/spec/ingress/0/from").is_none() && policy.pointer("/spec/ingress/1/from").is_some()
    );
    assert_eq!(names("1"), BTreeSet::from(["metrics".to_owned()]));
    let all: BTreeSet<_> = container_ports(&container()).into_keys().collect();
    assert_eq!(&names("0") | &names("1"), all);
}

#[test]
fn prometheus_looks_for_the_pods_and_port_that_there_are() {
    let scrape = documents(&file("k8s/monitoring/scrape.yaml")).remove(0);
    let job = at(&scrape, "/scrape_configs/0");
    let pods = text(
        &at(&manifest("StatefulSet", "synctv-stream"), "/spec/template/metadata/labels"),
        "/app.kubernetes.io~1name",
    );
    assert_eq!(text(&job, "/relabel_configs/0/regex"), format!("{pods};metrics"));
    assert!(container_ports(&container()).contains_key("metrics"));
    assert!(file("k8s/monitoring/alerts.yaml").contains(&format!("job=\"{}\"", text(&job, "/job_name"))));
}

#[test]
fn the_redis_that_is_named_is_the_one_that_is_there() {
    let url = env()["REDIS_URL"].clone().unwrap();
    let (host, port) = url.strip_prefix("redis://").unwrap().rsplit_once(':').unwrap();
    let service = manifest("Service", host);
    assert_eq!(at(&service, "/spec/ports/0/port").to_string(), port);
    let policy = manifest("NetworkPolicy", "synctv-stream-redis");
    assert_eq!(at(&policy, "/spec/podSelector/matchLabels"), at(&service, "/spec/selector"));
}

#[test]
fn no_container_may_more_than_it_must() {
    for (name, workload) in manifests().iter().filter(|(_, it)| it.pointer("/spec/template").is_some()) {
        let pod = at(workload, "/spec/template/spec");
        assert_eq!(at(&pod, "/securityContext/runAsNonRoot"), true, "{name:?}");
        assert!(at(&pod, "/securityContext/runAsUser").as_u64() > Some(0), "{name:?}");
        assert_eq!(at(&pod, "/securityContext/seccompProfile/type"), "RuntimeDefault", "{name:?}");
        assert_eq!(at(&pod, "/automountServiceAccountToken"), false, "{name:?}");
        for container in list(&pod, "/containers") {
            let expected = json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            });
            assert_eq!(at(&container, "/securityContext"), expected, "{name:?}");
            at(&container, "/resources/requests");
            at(&container, "/resources/limits/memory");
        }
    }
}

#[test]
fn segments_are_written_to_a_volume() {
    let storage = env()["HLS_STORAGE"].clone().unwrap();
    let mounts = list(&container(), "/volumeMounts");
    let mount = mounts.iter().find(|mount| text(mount, "/mountPath") == storage).unwrap();
    let volumes = list(&manifest("StatefulSet", "synctv-stream"), "/spec/template/spec/volumes");
    let volume = volumes.iter().find(|volume| text(volume, "/name") == text(mount, "/name")).unwrap();
    assert!(volume.get("emptyDir").is_some());
}

#[test]
fn a_pod_has_time_to_stop() {
    let pod = at(&manifest("StatefulSet", "synctv-stream"), "/spec/template/spec");
    let env = env();
    let set = env.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let flags = set.filter(|(name, _)| name.starts_with("DRAIN_"));
    let flags = flags.map(|(name, value)| format!("--{}={value}", name.to_lowercase().replace('_', "-")));
    let drain = Config::parse_from(["synctv-stream".to_owned()].into_iter().chain(flags)).drain;
    assert!(drain.drain_delay_s > 0, "balancers learn late that a pod is being deleted");
    let drain_s = drain.drain_delay_s + drain.drain_publishers_s + drain.drain_timeout_s;
    let grace_s = at(&pod, "/terminationGracePeriodSeconds").as_u64().unwrap();
    assert!(grace_s >= u64::from(drain_s) + 30, "{grace_s}");
}
