//! Members of a oneof with a number or name that its message has already.

use msip_runtime::Message;

#[derive(Message)]
#[msip(reserved(9))]
pub enum Choice {
    #[msip(tag = 2)]
    Text(String),
    #[msip(tag = 3)]
    LongNumber(i64),
}

#[derive(Message)]
pub struct Number {
    #[msip(tag = 3)]
    pub number: u32,
    #[msip(oneof)]
    pub choice: Option<Choice>,
}

#[derive(Message)]
pub struct Name {
    #[msip(tag = 1)]
    pub text: u32,
    #[msip(oneof)]
    pub choice: Option<Choice>,
}

#[derive(Message)]
pub struct Json {
    #[msip(tag = 1, name = "longNumber")]
    pub number: u32,
    #[msip(oneof)]
    pub choice: Option<Choice>,
}

#[derive(Message)]
pub struct Twice {
    #[msip(oneof)]
    pub first: Option<Choice>,
    #[msip(oneof)]
    pub second: Option<Choice>,
}

#[derive(Message)]
#[msip(reserved(1, 3))]
pub struct Reserved {
    #[msip(oneof)]
    pub choice: Option<Choice>,
}

#[derive(Message)]
pub struct ReservedThere {
    #[msip(tag = 9)]
    pub old: u32,
    #[msip(oneof)]
    pub choice: Option<Choice>,
}

fn main() {}
