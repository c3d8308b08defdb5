//! Mistakes in oneofs beside fields.

use msip_runtime::Message;

#[derive(Message)]
pub enum Choice {
    #[msip(tag = 2)]
    Text(String),
    #[msip(tag = 3)]
    Number(i64),
}

#[derive(Message)]
pub struct Options {
    #[msip(oneof, tag = 1)]
    pub tagged: Option<Choice>,
}

#[derive(Message)]
pub struct Encoded {
    #[msip(oneof, as = "sint64")]
    pub encoded: Option<Choice>,
}

#[derive(Message)]
pub struct AsProst {
    #[msip(oneof = "Choice", tags = "2, 3")]
    pub choice: Option<Choice>,
}

#[derive(Message)]
pub struct NoOneof {
    #[msip(oneof)]
    pub text: String,
}

#[derive(Message)]
pub struct Many {
    #[msip(oneof)]
    pub choices: Vec<Choice>,
}

fn main() {}
