//! The front end for `.proto` files, asked for one fingerprint.

/// Compiles the text of a `.proto` file and returns its fingerprint, as the generated code has it.
pub(crate) fn fingerprint_of(text: &str) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("schema.proto");
    std::fs::write(&file, text).expect("written");
    let package = text
        .lines()
        .find_map(|line| line.strip_prefix("package ")?.strip_suffix(';'))
        .expect("a package");
    let out = folder.path().join("out");
    std::fs::create_dir(&out).expect("made");
    msip_codegen::Builder::new()
        .include(folder.path())
        .out_dir(&out)
        .emit_rerun_if_changed(false)
        .compile(&[&file])
        .unwrap_or_else(|error| panic!("{error:?}\n{text}"));
    let generated = std::fs::read_to_string(out.join(format!("{package}.rs"))).expect("generated");
    let (_, body) = generated
        .split_once("fn fingerprint() -> u64 {")
        .expect("the function");
    let (number, _) = body.split_once('}').expect("its end");
    let digits = number.trim().trim_start_matches("0x").replace('_', "");
    u64::from_str_radix(&digits, 16).expect("a number")
}
