//! A shop as a service of jesus was: its `methods.json`, and gateways at which jesus' clients get what they got. Behind them is a typed
//! service of MSIP, in the same process.
//!
//! ```text
//! cargo run -p msip-examples --bin jesus-rest
//! ```
//!
//! In another terminal, by form, by path and with meta:
//!
//! ```text
//! $ curl -d 'article=7&count=2' http://127.0.0.1:8080/order
//! {"article":7,"left":8}
//! $ curl http://127.0.0.1:8080/order/article/7/count/1
//! {"article":7,"left":7}
//! $ curl -H 'app-meta-corrid: c1' -H 'Content-Type: application/json' -d '{"article": 7, "count": 50}' http://127.0.0.1:8080/order
//! {"__RESULT_TYPE__":"error","method":"order","error":"7 of article 7 are left"}
//! $ curl -N http://127.0.0.1:8080/watch/article/7
//! data: {"left":7}
//! $ curl -d 'article=7&count=5' http://127.0.0.1:8080/restock
//! {"__RESULT_TYPE__":"error","method":"restock","error":"restock is not valid (not defined in methods config)"}
//! ```
//!
//! That gateway is jesus' `httpPublic`, and `restock` is private: services reach it by the channel `socket`, with `--socket unix:///tmp/shop.sock`:
//!
//! ```text
//! curl --unix-socket /tmp/shop.sock -d '{"method": "restock", "data": {"article": 7, "count": 5}}' http://localhost/_httpMessage
//! ```
//!
//! docs/dialects.md, "jesus", has what maps to what.

#![expect(clippy::print_stdout, reason = "it tells people what happens")]

#[expect(unreachable_pub, reason = "it is generated as for a library")]
mod schema {
    msip_runtime::include_protocol!("jesus_rest");
}
mod shop;

use std::error::Error;

use clap::Parser;
use msip_examples::stop_signal;
use msip_gateway::{
    Gateway, ProtocolModel,
    jesus::{JesusOptions, Methods},
};
use msip_runtime::Server;
use tokio::sync::watch;

use schema::JesusRest;
use shop::Shop;

/// The methods, in the file that jesus has them in.
const METHODS: &str = include_str!("methods.json");

/// Where the service is, for gateways of the same process.
const SERVICE: &str = "mem://jesus-rest";

/// A shop for clients of jesus.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen for anybody: jesus' httpPublic
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    http: String,

    /// Where to listen for services: jesus' socket, such as unix:///tmp/shop.sock
    #[arg(long, value_name = "URL")]
    socket: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let stopped = stop_signal()?;
    let server = Server::<JesusRest>::builder(SERVICE).bind().await?;
    let model = ProtocolModel::of::<JesusRest>()?;
    let methods = Methods::new(std::slice::from_ref(&model), Some(METHODS), true)?;
    let public = Gateway::builder(args.http)
        .upstream(SERVICE, [model.clone()])
        .jesus(JesusOptions::public(methods.clone()))
        .bind()
        .await?;
    println!("listening on {} (Ctrl-C stops)", public.local_url());
    let private = match args.socket {
        None => None,
        Some(url) => {
            let gateway = Gateway::builder(url)
                .upstream(SERVICE, [model])
                .jesus(JesusOptions::private(methods).envelope())
                .bind()
                .await?;
            println!("listening on {} (Ctrl-C stops)", gateway.local_url());
            Some(gateway)
        }
    };

    // The gateways first: their requests end while there is a service.
    let (stop, is_stopped) = watch::channel(false);
    let (closed, is_closed) = watch::channel(false);
    let until = |mut told: watch::Receiver<bool>| async move {
        // An error says that whoever would tell is gone.
        let _ = told.wait_for(|told| *told).await;
    };
    let serving = server.serve_until(Shop::new(), until(is_closed));
    let gateways = async {
        let private = async {
            if let Some(private) = private {
                private.serve_until(until(is_stopped.clone())).await;
            }
        };
        tokio::join!(public.serve_until(until(is_stopped.clone())), private);
        closed.send_replace(true);
    };
    let stopping = async {
        stopped.await;
        stop.send_replace(true);
    };
    tokio::join!(serving, gateways, stopping);
    println!("goodbye");
    Ok(())
}
