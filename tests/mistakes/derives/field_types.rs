//! Types that no message carries, and what to use instead.

use msip_runtime::Message;

#[derive(Message)]
pub struct Everything<'a> {
    #[msip(tag = 1)]
    pub lent: &'a str,
}

#[derive(Message)]
pub struct Numbers {
    #[msip(tag = 1)]
    pub byte: u8,
    #[msip(tag = 2)]
    pub short: i16,
    #[msip(tag = 3)]
    pub size: usize,
    #[msip(tag = 4)]
    pub huge: u128,
    #[msip(tag = 5)]
    pub letter: char,
    #[msip(tag = 6)]
    pub list: Vec<u16>,
    #[msip(tag = 7)]
    pub maybe: Option<isize>,
}

#[derive(Message)]
pub struct Shapes {
    #[msip(tag = 1)]
    pub pair: (i32, String),
    #[msip(tag = 2)]
    pub nothing: (),
    #[msip(tag = 3)]
    pub digest: [u8; 32],
    #[msip(tag = 4)]
    pub corners: [f64; 4],
    #[msip(tag = 5)]
    pub text: &'static str,
    #[msip(tag = 6)]
    pub code: fn(i32) -> i32,
    #[msip(tag = 7)]
    pub any: Box<dyn std::any::Any>,
    #[msip(tag = 8)]
    pub at: *const i32,
}

fn main() {}
