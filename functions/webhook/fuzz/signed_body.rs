//! Reads whatever the fuzzer comes up with as a body whose signature held. It begins with the bodies of `events/`.

#![no_main]

#[path = "../tests/properties/mod.rs"]
mod properties;

use std::fs;
use std::path::Path;

libfuzzer_sys::fuzz_target!(init: begin(), |body: &[u8]| properties::hold(body));

/// Puts the corpus where the fuzzer is about to look for it.
fn begin() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/signed_body");
    fs::create_dir_all(&corpus).expect("there is room for the corpus");
    for (case, body) in properties::bodies() {
        fs::write(corpus.join(case), body).expect("there is room for the corpus");
    }
}
