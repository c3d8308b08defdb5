//! Names that become one name in the schema or in JSON.

use msip_runtime::Message;

#[derive(Message)]
pub struct Body {
    #[msip(tag = 1)]
    pub foo_bar: u32,
    #[msip(tag = 2)]
    #[allow(non_snake_case)]
    pub fooBar: u32,
}

#[derive(Message)]
#[allow(non_camel_case_types)]
pub enum Mood {
    #[msip(other)]
    FooBar = 0,
    Foo_bar = 1,
}

#[derive(Message)]
#[msip(reserved(-3..=-2))]
pub struct Negative {
    #[msip(tag = 1)]
    pub a: u32,
}

fn main() {}
