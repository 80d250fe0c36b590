//! Reads random bytes as a body with a good signature. The fuzzer starts from the bodies of `events/`.

#![no_main]

#[path = "../tests/properties/mod.rs"]
mod properties;

use std::fs;
use std::path::Path;

libfuzzer_sys::fuzz_target!(init: begin(), |body: &[u8]| properties::hold(body));

/// Writes the corpus to the folder where the fuzzer reads it.
fn begin() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/signed_body");
    fs::create_dir_all(&corpus).expect("there is room for the corpus");
    for (case, body) in properties::bodies() {
        fs::write(corpus.join(case), body).expect("there is room for the corpus");
    }
}
