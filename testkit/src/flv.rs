//! Viewers over HTTP-FLV, and FLV files.

mod file;
mod viewer;

pub use self::{
    file::{assert_arrives, coded, read_file, sequence_header},
    viewer::{FlvViewer, Next},
};
