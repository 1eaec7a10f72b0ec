//! The image's recipe, as far as it can be checked where no image can be built.

use std::{
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::manifest_files::{at, container, file, list, manifest, port, root, settings, text};

/// Instructions and their arguments, with continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let recipe = file("Dockerfile").replace("\\\n", " ");
    let lines = recipe.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (instruction, arguments) = line.split_once(' ').unwrap();
            (instruction.to_owned(), arguments.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

fn arguments(instruction: &str) -> Vec<String> {
    let of_kind = instructions().into_iter().filter(|(name, _)| name == instruction);
    of_kind.map(|(_, arguments)| arguments).collect()
}

/// Packages that a step installs.
fn packages(step: &str) -> BTreeSet<String> {
    let (_, installed) = step.split_once("--no-install-recommends ").unwrap();
    let installed = installed.split(" && ").next().unwrap();
    installed.split_whitespace().map(ToOwned::to_owned).collect()
}

/// The first part of a path below the root.
fn top(path: &Path) -> String {
    let path = path.strip_prefix(root()).unwrap_or_else(|_| panic!("{} is somewhere else", path.display()));
    path.iter().next().unwrap().to_str().unwrap().to_owned()
}

/// The roots of all that Cargo compiles here: the libraries, the program, and what it would miss if it were not there.
fn target_sources() -> Vec<PathBuf> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]).current_dir(root());
    let metadata: Value = serde_json::from_slice(&cargo.output().unwrap().stdout).unwrap();
    let packages = list(&metadata, "/packages");
    let targets = packages.iter().flat_map(|package| list(package, "/targets"));
    targets.map(|target| text(&target, "/src_path").into()).collect()
}

/// The files of Rust in a directory and those below it.
fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => rust_files(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The files that a file includes, as far as its text names them.
fn included(file: &Path) -> Vec<PathBuf> {
    let source = std::fs::read_to_string(file).unwrap();
    let calls = source.split("include_").skip(1);
    let calls = calls.filter(|rest| rest.starts_with("bytes!(") || rest.starts_with("str!("));
    let names = calls.filter_map(|call| call.split('"').nth(1));
    names.map(|name| normal(&file.parent().unwrap().join(name))).collect()
}

/// Without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::ParentDir => assert!(whole.pop()),
            part => whole.push(part),
        }
        whole
    })
}

/// The names beside the Dockerfile that the build reads.
fn needed() -> BTreeSet<String> {
    let mut needed: BTreeSet<_> = target_sources().iter().map(|path| top(path)).collect();
    let directories: Vec<_> = needed.iter().map(|name| root().join(name)).collect();
    let files = directories.iter().flat_map(|directory| rust_files(directory));
    needed.extend(files.flat_map(|file| included(&file)).map(|path| top(&path)));
    needed.extend(["Cargo.toml", "Cargo.lock"].map(ToOwned::to_owned));
    needed
}

#[test]
fn what_the_build_needs_is_copied() {
    let copied: Vec<_> = arguments("COPY").into_iter().filter(|it| !it.starts_with("--from=")).collect();
    assert_eq!(copied, [". ."]);
    let needed = needed();
    for known in ["actors", "assets", "examples", "media", "src", "tests"] {
        assert!(needed.contains(known), "{known} is not found in {needed:?}");
    }
    for ignored in file(".dockerignore").lines().filter(|line| !line.starts_with('#')) {
        assert!(!ignored.contains(['*', '!', '/']), "{ignored}: this test reads names only");
        assert!(!needed.contains(ignored), "{ignored}");
    }
    assert!(root().join("Cargo.lock").exists(), "the build is --locked");
}

#[test]
fn the_builder_has_what_the_build_needs() {
    let manifest = file("Cargo.toml");
    let version = manifest.split("rust-version = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(arguments("FROM")[0].starts_with(&format!("rust:{version}-")), "it is Cargo.toml's rust-version");
    let built_with = packages(&arguments("RUN")[0]);
    let tools = file("scripts/install-test-tools");
    for package in ["build-essential", "make", "perl", "pkg-config"] {
        assert!(
            tools.contains(&format!(" {package}\"")),
            "{package} is not what the tests' machine is given"
        );
        assert!(built_with.contains(package), "{package}");
    }
}

#[test]
fn both_stages_are_of_one_debian() {
    let release =
        |image: &str| image.split([' ', '-', ':']).find(|part| *part == "bookworm").map(ToOwned::to_owned);
    let images = arguments("FROM");
    assert_eq!(images.len(), 2);
    assert!(
        images.iter().all(|image| release(image).is_some()),
        "{images:?}: or glibc is too old for the program"
    );
}

#[test]
fn the_program_is_not_root_and_is_who_the_manifests_say() {
    let [user] = &arguments("USER")[..] else { panic!("one user") };
    let pod = at(&manifest("StatefulSet", "synctv-stream"), "/spec/template/spec/securityContext");
    assert_eq!(*user, format!("{}:{}", at(&pod, "/runAsUser"), at(&pod, "/runAsGroup")));
}

#[test]
fn the_ports_are_the_defaults_and_those_of_the_manifests() {
    let exposed: Vec<u64> = arguments("EXPOSE")[0].split(' ').map(|port| port.parse().unwrap()).collect();
    let settings = settings();
    let defaults =
        ["RTMP_ADDR", "HTTPFLV_ADDR", "HLS_ADDR"].map(|setting| port(settings[setting].as_ref().unwrap()));
    // Metrics are off unless their address is set, as the manifests do.
    assert_eq!(exposed[..defaults.len()], defaults);
    let of_container = list(&container(), "/ports");
    let of_container: Vec<_> =
        of_container.iter().map(|port| at(port, "/containerPort").as_u64().unwrap()).collect();
    assert_eq!(exposed, of_container);
}

#[test]
fn what_the_image_sets_is_a_setting_and_a_directory_that_its_user_owns() {
    let set = arguments("ENV");
    let (name, value) = set[0].split_once('=').unwrap();
    assert!(set.len() == 1 && settings().contains_key(name), "{name}");
    let mount = &list(&container(), "/volumeMounts")[0];
    assert_eq!(text(mount, "/mountPath"), value);
    assert!(arguments("RUN").contains(&format!("install -d -o 10001 -g 10001 {value}")));
}
