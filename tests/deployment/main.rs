//! The manifests that an operator applies fit the server, and each other.

mod image_fits_the_manifests;
mod manifest_files;
mod manifests_fit_the_server;
