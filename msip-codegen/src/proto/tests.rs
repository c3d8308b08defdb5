use super::*;

#[test]
fn chat() {
    let inputs = [PathBuf::from("../examples/proto/chat.proto")];
    let outcome = compile(Request {
        inputs: &inputs,
        includes: &["../examples/proto".into()],
        messages_only: false,
    });
    match outcome.result {
        Ok(compiled) => {
            let files =
                crate::rust::generate(&compiled, &crate::rust::Settings::default()).unwrap();
            println!("{}", String::from_utf8_lossy(&files[0].bytes));
        }
        Err((map, diagnostics)) => panic!("{}", map.render_all(&diagnostics)),
    }
}
