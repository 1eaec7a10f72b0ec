//! What an operator applies fits the server, and itself.

mod image_fits_the_manifests;
mod manifest_files;
mod manifests_fit_the_server;
