pub mod greet {
    msip_runtime::include_protocol!("greet");
}
