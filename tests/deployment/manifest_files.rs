//! The manifests, read strictly.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::CommandFactory;
use k8s_openapi::api::{
    apps::v1::{Deployment, StatefulSet},
    core::v1::Service,
    networking::v1::NetworkPolicy,
    policy::v1::PodDisruptionBudget,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use synctv_stream::config::Config;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn file(name: &str) -> String {
    let path = root().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of a file of YAML.
pub fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

/// The names of the files that hold manifests.
pub fn manifest_names() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("k8s")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_manifest = |path: &PathBuf| {
        path.extension().is_some_and(|it| it == "yaml")
            && path.file_stem().is_some_and(|it| it != "kustomization")
    };
    let mut names: Vec<_> = paths
        .filter(is_manifest)
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// The applied documents, by kind and name.
pub fn manifests() -> BTreeMap<(String, String), Value> {
    let texts = manifest_names().into_iter().map(|name| file(&format!("k8s/{name}")));
    by_name(texts.flat_map(|text| documents(&text)))
}

pub fn by_name(documents: impl Iterator<Item = Value>) -> BTreeMap<(String, String), Value> {
    let mut named = BTreeMap::new();
    for document in documents {
        let key = (text(&document, "/kind"), text(&document, "/metadata/name"));
        assert!(named.insert(key.clone(), document).is_none(), "{key:?} is there twice");
    }
    named
}

pub fn manifest(kind: &str, name: &str) -> Value {
    manifests().remove(&(kind.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// The nodes' container.
pub fn container() -> Value {
    at(&manifest("StatefulSet", "synctv-stream"), "/spec/template/spec/containers/0")
}

pub fn at(value: &Value, pointer: &str) -> Value {
    value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}")).clone()
}

pub fn text(value: &Value, pointer: &str) -> String {
    at(value, pointer).as_str().unwrap_or_else(|| panic!("{pointer} is no text")).to_owned()
}

pub fn list(value: &Value, pointer: &str) -> Vec<Value> {
    at(value, pointer).as_array().unwrap_or_else(|| panic!("{pointer} is no list")).clone()
}

/// Checks that a document is one of its kind, with no field that the kind does not have: unknown fields are missing
/// when it is written again.
pub fn check_strictly(document: &Value) -> Result<(), String> {
    let kind = (text(document, "/apiVersion"), text(document, "/kind"));
    let read_again = match (&*kind.0, &*kind.1) {
        ("apps/v1", "StatefulSet") => reread::<StatefulSet>,
        ("apps/v1", "Deployment") => reread::<Deployment>,
        ("v1", "Service") => reread::<Service>,
        ("policy/v1", "PodDisruptionBudget") => reread::<PodDisruptionBudget>,
        ("networking.k8s.io/v1", "NetworkPolicy") => reread::<NetworkPolicy>,
        _ => return Err(format!("{kind:?} is of no kind that is known here")),
    };
    match read_again(document) {
        Ok(read) if read == *document => Ok(()),
        Ok(read) => Err(format!("is written as\n{document:#}\nand read as\n{read:#}")),
        Err(error) => Err(error.to_string()),
    }
}

fn reread<T: Serialize + DeserializeOwned>(document: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(document.clone())?)
}

/// Settings and their defaults.
pub fn settings() -> BTreeMap<String, Option<String>> {
    let command = Config::command();
    let settings = command.get_arguments().filter_map(|arg| {
        let default = arg.get_default_values().first().map(|value| value.to_str().unwrap().to_owned());
        Some((arg.get_env()?.to_str().unwrap().to_owned(), default))
    });
    settings.collect()
}

/// The port of an address such as `0.0.0.0:1935`.
pub fn port(address: &str) -> u64 {
    address.rsplit_once(':').unwrap().1.parse().unwrap()
}
