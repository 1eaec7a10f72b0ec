//! Viewers over HTTP-FLV, and FLV files.

mod file;
mod viewer;

pub use self::{
    file::{assert_tail, coded, read_file, sequence_header},
    viewer::{FlvViewer, Next},
};
