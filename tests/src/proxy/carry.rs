//! Carrying the bytes of one connection, as its course says.

use std::{
    io,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    time::sleep,
};

use super::{Control, Course, End, Lane, Tally, Trouble, Way};

/// The most bytes that are held at once.
const CHUNK: usize = 16 * 1024;

/// Carries a client's connection until it ends.
pub(super) async fn carry(
    client: TcpStream,
    course: Course,
    control: Control,
    commands: watch::Receiver<Control>,
    tally: watch::Sender<Tally>,
) -> io::Result<()> {
    let has_struck = AtomicBool::new(false);
    let over = until_it_ends(client, course, control, commands, &tally, &has_struck).await;
    if course.end.is_some() && !has_struck.into_inner() {
        tally.send_modify(|tally| tally.spared += 1);
    }
    over
}

async fn until_it_ends(
    mut client: TcpStream,
    course: Course,
    control: Control,
    mut commands: watch::Receiver<Control>,
    tally: &watch::Sender<Tally>,
    has_struck: &AtomicBool,
) -> io::Result<()> {
    let mut server = match TcpStream::connect(control.target).await {
        Ok(server) => server,
        Err(error) => {
            tally.send_modify(|tally| tally.unreachable += 1);
            return Err(error);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    tally.send_modify(|tally| tally.connections += 1);
    let is_reset = {
        let silence = Silence::default();
        let direction = |way, lane| Direction {
            lane,
            end: course.end.filter(|end| end.way == way),
            is_silent: silence.of(way),
            silence: &silence,
            has_struck,
            tally,
        };
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let (up, down) = (
            direction(Way::Up, course.up),
            direction(Way::Down, course.down),
        );
        let both = async {
            tokio::try_join!(
                up.relay(from_client, to_server),
                down.relay(from_server, to_client)
            )
        };
        tokio::select! {
            over = both => match over {
                Ok(_) => return Ok(()),
                Err(Broken::Reset) => true,
                Err(Broken::Truncated) => false,
            },
            _ = commands.wait_for(|now| now.cuts != control.cuts) => {
                tally.send_modify(|tally| tally.cuts += 1);
                true
            }
        }
    };
    if is_reset {
        client.set_zero_linger()?;
        server.set_zero_linger()?;
        return Ok(());
    }
    client.shutdown().await?;
    server.shutdown().await
}

/// How a direction ends both.
enum Broken {
    Reset,
    Truncated,
}

/// Which directions have fallen silent.
#[derive(Default)]
struct Silence {
    up: AtomicBool,
    down: AtomicBool,
}

impl Silence {
    const fn of(&self, way: Way) -> &AtomicBool {
        match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        }
    }
}

/// One direction of a connection.
struct Direction<'a> {
    lane: Lane,
    end: Option<End>,
    is_silent: &'a AtomicBool,
    silence: &'a Silence,
    has_struck: &'a AtomicBool,
    tally: &'a watch::Sender<Tally>,
}

impl Direction<'_> {
    /// Carries until the source has ended, or either end is lost; an error ends the other direction too.
    async fn relay(
        &self,
        mut source: ReadHalf<'_>,
        mut target: WriteHalf<'_>,
    ) -> Result<(), Broken> {
        let mut buffer = vec![0; CHUNK];
        let mut left = self.end.map_or(u64::MAX, |end| end.after);
        loop {
            let Some(chunk) = read(&mut source, &mut buffer).await else {
                if !self.is_silent.load(Ordering::Relaxed) {
                    // Whether the target is there still shows in the other direction.
                    let _ = target.shutdown().await;
                }
                return Ok(());
            };
            if self.is_silent.load(Ordering::Relaxed) {
                continue;
            }
            let fits = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            if self.pass(&mut target, &chunk[..fits]).await.is_err() {
                return Ok(());
            }
            left -= u64::try_from(fits).unwrap_or(u64::MAX);
            if left == 0
                && let Some(end) = self.end
            {
                self.strike(end)?;
            }
        }
    }

    /// Writes a chunk, as fast as the lane allows.
    async fn pass(&self, target: &mut WriteHalf<'_>, chunk: &[u8]) -> io::Result<()> {
        if !self.lane.delay.is_zero() {
            sleep(self.lane.delay).await;
        }
        for piece in chunk.chunks(self.lane.max_chunk.unwrap_or(CHUNK)) {
            if let Some(rate) = self.lane.bytes_per_second {
                sleep(Duration::from_secs_f64(
                    piece.len() as f64 / f64::from(rate),
                ))
                .await;
            }
            target.write_all(piece).await?;
        }
        let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        self.tally.send_modify(|tally| tally.bytes += len);
        Ok(())
    }

    /// The connection has ended.
    fn strike(&self, end: End) -> Result<(), Broken> {
        self.has_struck.store(true, Ordering::Relaxed);
        match end.trouble {
            Trouble::Reset => {
                self.tally.send_modify(|tally| tally.resets += 1);
                Err(Broken::Reset)
            }
            Trouble::Truncate => {
                self.tally.send_modify(|tally| tally.truncations += 1);
                Err(Broken::Truncated)
            }
            Trouble::Blackhole { both_ways } => {
                self.is_silent.store(true, Ordering::Relaxed);
                if both_ways {
                    self.silence.up.store(true, Ordering::Relaxed);
                    self.silence.down.store(true, Ordering::Relaxed);
                }
                self.tally.send_modify(|tally| tally.blackholes += 1);
                Ok(())
            }
        }
    }
}

/// What the source says next; `None` when it has ended, or broken.
async fn read<'b>(source: &mut ReadHalf<'_>, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    match source.read(buffer).await {
        Ok(0) | Err(_) => None,
        Ok(len) => buffer.get(..len),
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::AsyncReadExt as _,
        net::{TcpListener, TcpStream},
    };

    use super::super::{Plan, Proxy};
    use crate::soon;

    /// A plan is over when its connections are, whatever ended them: tests wait for it.
    #[tokio::test]
    async fn a_connection_that_ends_before_its_trouble_is_counted_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let target = listener.local_addr().expect("an address");
        let proxy = Proxy::with_plan(target, Plan::seeded(1, 2, 1000)).await;
        let mut tally = proxy.tally();

        let client = TcpStream::connect(proxy.address()).await.expect("connects");
        let (mut server, _) = soon("a connection", listener.accept())
            .await
            .expect("comes");
        drop(client);
        let end = soon("the end", server.read(&mut [0])).await;
        assert_eq!(end.ok(), Some(0));
        drop(server);
        soon("its end", tally.wait_for(|tally| tally.spared == 1))
            .await
            .expect("runs");

        drop(listener);
        let _client = TcpStream::connect(proxy.address()).await.expect("connects");
        let over = soon("its end", tally.wait_for(|tally| tally.troubles() == 2)).await;
        assert_eq!(over.expect("runs").unreachable, 1);
    }
}
