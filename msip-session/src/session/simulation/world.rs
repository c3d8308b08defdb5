//! The world: two sides, the connections between them, and failures.

mod checks;

use std::time::Duration;

use super::{
    super::Event,
    config,
    lane::Lane,
    node::{Attached, Node},
    pipe::Pipe,
    random::Random,
    rules::Rules,
};
use crate::{session::Session, wire::Side};

/// How long failures are injected.
const FAILURE_TIME: Duration = Duration::from_secs(20);

/// How long everything may take to settle after that.
const SETTLE_TIME: Duration = Duration::from_secs(60);

/// A connection: both directions, each by its writer.
#[derive(Debug)]
struct Connection {
    up: Pipe,
    down: Pipe,
    up_lane: Lane,
    down_lane: Lane,
}

impl Connection {
    fn new(random: &mut Random) -> Self {
        Self {
            up: Pipe::default(),
            down: Pipe::default(),
            up_lane: Lane::new(random),
            down_lane: Lane::new(random),
        }
    }

    fn lane_to(&mut self, side: Side) -> &mut Lane {
        match side {
            Side::Accepting => &mut self.up_lane,
            Side::Connecting => &mut self.down_lane,
        }
    }

    fn is_quiet(&self) -> bool {
        let pipes = self.up.is_quiet() && self.down.is_quiet();
        pipes && self.up_lane.is_quiet() && self.down_lane.is_quiet()
    }

    fn to(&mut self, side: Side) -> &mut Pipe {
        match side {
            Side::Accepting => &mut self.up,
            Side::Connecting => &mut self.down,
        }
    }
}

/// The state of the simulation.
#[derive(Debug)]
pub(super) struct World {
    now: Duration,
    random: Random,
    rules: Rules,
    client: Node,
    server: Node,
    connections: Vec<Connection>,
    buffer_disconnected: usize,
    pub(super) is_verbose: bool,
}

impl World {
    pub(super) fn new(mut random: Random) -> Self {
        Self {
            now: Duration::ZERO,
            buffer_disconnected: if random.once_in(2) { 4096 } else { 0 },
            random,
            rules: Rules::default(),
            client: Node::new(Side::Connecting),
            server: Node::new(Side::Accepting),
            connections: Vec::new(),
            is_verbose: false,
        }
    }

    pub(super) fn run(mut self) -> Result<Vec<(u8, u64)>, String> {
        while self.now < FAILURE_TIME {
            self.now += Duration::from_millis(1 + self.random.below(100));
            self.inject_failure()?;
            self.send_some();
            self.step()?;
        }
        let limit = self.now + SETTLE_TIME;
        while !self.is_settled() {
            if self.now >= limit {
                return Err(format!(
                    "not settled after {SETTLE_TIME:?}: {:?} and {:?}",
                    self.client.waiters, self.server.waiters
                ));
            }
            self.now += Duration::from_millis(25);
            self.step()?;
        }
        self.check_tables()?;
        self.check_balance()?;
        Ok(self.rules.trace)
    }

    fn log(&mut self, what: u8, number: u64) {
        self.rules.note(what, number);
        if self.is_verbose {
            eprintln!(
                "{:>8.3} {} {number}",
                self.now.as_secs_f64(),
                char::from(what)
            );
        }
    }

    fn send_some(&mut self) {
        let times = if self.random.once_in(10) {
            30
        } else {
            self.random.below(3)
        };
        for _ in 0..times {
            let node = if self.random.once_in(2) {
                &mut self.client
            } else {
                &mut self.server
            };
            if self.random.once_in(15) {
                node.give_up(&mut self.random, &mut self.rules);
            }
            node.send_random(self.now, &mut self.random, &mut self.rules);
        }
        if self.random.once_in(30) {
            let node = if self.random.once_in(2) {
                &mut self.client
            } else {
                &mut self.server
            };
            node.send_readings(self.now, &mut self.random, &mut self.rules);
        }
    }

    fn inject_failure(&mut self) -> Result<(), String> {
        if !self.random.once_in(8) {
            return Ok(());
        }
        let what = self.random.below(20);
        let now = self.now;
        if let Some(connection) = self.connections.last_mut() {
            match what {
                0..=7 => {
                    connection.up.cut(now, &mut self.random);
                    connection.down.cut(now, &mut self.random);
                    connection.up_lane.cut();
                    connection.down_lane.cut();
                    self.log(b'x', 0);
                }
                8 => {
                    connection.up.silence();
                    connection.up_lane.cut();
                    self.log(b'x', 1);
                }
                9 => {
                    connection.down.silence();
                    connection.down_lane.cut();
                    self.log(b'x', 2);
                }
                _ => {}
            }
        }
        match what {
            10..=13 => {
                let until = now + Duration::from_millis(self.random.below(3000));
                let side = if what < 12 {
                    Side::Connecting
                } else {
                    Side::Accepting
                };
                self.node(side).reads_at = until;
                if let Some(connection) = self.connections.last_mut() {
                    connection.lane_to(side).stall(until);
                }
            }
            // One side finds its connection broken, and the other does not yet.
            14 | 15 => self.drop_connection(Side::Connecting)?,
            16 | 17 => self.drop_connection(Side::Accepting)?,
            18 if self.random.once_in(6) => {
                self.log(b'c', 0);
                self.close_all(Side::Accepting);
                self.server.crash();
            }
            19 if self.random.once_in(6) => {
                self.log(b'c', 1);
                self.close_all(Side::Connecting);
                self.client.crash();
            }
            _ => {}
        }
        Ok(())
    }

    /// The system ends all connections of a process that dies.
    fn close_all(&mut self, side: Side) {
        let now = self.now;
        for connection in &mut self.connections {
            connection.to(side.reverse()).close(now);
        }
        self.node(side).attached = None;
    }

    fn node(&mut self, side: Side) -> &mut Node {
        match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        }
    }

    /// A side considers its connection lost.
    fn drop_connection(&mut self, side: Side) -> Result<(), String> {
        let node = match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        };
        let Some(index) = node.attached.as_ref().map(|attached| attached.index) else {
            return Ok(());
        };
        node.detach(&mut self.rules)?;
        let (now, wait) = (self.now, self.random.below(1000));
        self.client.connects_at = self
            .client
            .connects_at
            .max(now + Duration::from_millis(wait));
        if let Some(connection) = self.connections.get_mut(index) {
            connection.to(side.reverse()).close(now);
        }
        self.log(b'l', u64::from(side == Side::Accepting));
        Ok(())
    }

    fn step(&mut self) -> Result<(), String> {
        self.connect()?;
        self.handshake()?;
        for side in [Side::Connecting, Side::Accepting] {
            self.read(side)?;
            self.read_lane(side)?;
            let (now, random, rules) = (self.now, &mut self.random, &mut self.rules);
            let node = match side {
                Side::Connecting => &mut self.client,
                Side::Accepting => &mut self.server,
            };
            node.handle_messages(now, random, rules)?;
            node.stream(now, random, rules)?;
            // In a driver, those are the senders that wait for capacity.
            let others = if now < FAILURE_TIME {
                random.below(4)
            } else {
                0
            };
            node.progress(others as usize, rules)?;
            if node.handle_time(now, rules)? {
                self.drop_connection(side)?;
            }
            self.park(side);
            // At some steps: to rest takes longer than a step.
            if self.now.as_millis().is_multiple_of(4) {
                self.node(side).rest()?;
            }
            self.write(side);
            self.write_lane(side)?;
            self.check_limits(side)?;
            self.check_withheld(side)?;
        }
        Ok(())
    }

    /// A session without a connection is kept in little memory as soon as it can be.
    fn park(&mut self, side: Side) {
        let (now, config) = (self.now, config(side, self.buffer_disconnected));
        if self.node(side).park(config, now) {
            self.rules.note(b'p', u64::from(side == Side::Accepting));
        }
    }

    /// The client connects, where it has no connection.
    fn connect(&mut self) -> Result<(), String> {
        let now = self.now;
        if self.client.attached.is_some()
            || self.client.handshake.is_some()
            || now < self.client.connects_at
        {
            return Ok(());
        }
        let index = self.connections.len();
        self.connections.push(Connection::new(&mut self.random));
        self.log(b'n', index as u64);
        let config_of = |side| config(side, self.buffer_disconnected);
        // A newer attempt replaces one that hangs.
        self.server.handshake = Some((
            Session::accepting(config_of(Side::Accepting), now),
            Attached::new(index),
        ));
        let (random, rules) = (&mut self.random, &mut self.rules);
        self.client
            .begin_handshake(config_of(Side::Connecting), index, now, random, rules)
    }

    /// Continues the handshakes of both sides.
    fn handshake(&mut self) -> Result<(), String> {
        for side in [Side::Connecting, Side::Accepting] {
            let now = self.now;
            let node = match side {
                Side::Connecting => &mut self.client,
                Side::Accepting => &mut self.server,
            };
            let Some((session, attached)) = &mut node.handshake else {
                continue;
            };
            let Some(connection) = self.connections.get_mut(attached.index) else {
                continue;
            };
            if session.handle_timeout(now, &mut Vec::new()).is_err()
                || connection.to(side).has_ended(now)
            {
                connection.to(side.reverse()).close(now);
                node.handshake = None;
                let wait = self.random.below(1000);
                self.client.connects_at = self
                    .client
                    .connects_at
                    .max(now + Duration::from_millis(wait));
                continue;
            }
            while let Some(transmit) = session.poll_transmit() {
                // A HELLO is small, and fits.
                connection
                    .to(side.reverse())
                    .write(&transmit.bytes, now, &mut Random::new(1));
                session.transmitted(transmit);
            }
            while let Some(bytes) = connection.to(side).read(now) {
                attached.decoder.buffer().extend_from_slice(&bytes);
            }
            let Some(frame) = attached
                .decoder
                .decode()
                .map_err(|error| error.to_string())?
            else {
                continue;
            };
            match session
                .handle_frame(frame, now)
                .map_err(|fault| fault.to_string())?
            {
                Some(Event::Hello(hello)) => {
                    self.rules.note(b'H', hello.hello.awaited.len() as u64);
                    let (random, rules) = (&mut self.random, &mut self.rules);
                    self.server
                        .handle_hello(hello.session_id, &hello.hello, now, random, rules)?;
                }
                Some(Event::Welcome(welcome)) => {
                    self.rules.note(b'W', u64::from(welcome.welcome.resumed));
                    if self.is_verbose {
                        eprintln!(
                            "{:>8.3} welcome, resumed {}",
                            now.as_secs_f64(),
                            welcome.welcome.resumed
                        );
                    }
                    self.client
                        .handle_welcome(&welcome.welcome, now, &mut self.rules)?;
                }
                event => return Err(format!("a handshake ended with {event:?}")),
            }
        }
        Ok(())
    }

    fn read(&mut self, side: Side) -> Result<(), String> {
        loop {
            let now = self.now;
            let node = match side {
                Side::Connecting => &mut self.client,
                Side::Accepting => &mut self.server,
            };
            let Some(index) = node.attached.as_ref().map(|attached| attached.index) else {
                return Ok(());
            };
            if !node.may_read(now)? {
                return Ok(());
            }
            let Some(connection) = self.connections.get_mut(index) else {
                return Ok(());
            };
            match connection.to(side).read(now) {
                Some(bytes) => node.handle_read(&bytes, now, &mut self.rules)?,
                None if connection.to(side).has_ended(now) => return self.drop_connection(side),
                None => return Ok(()),
            }
        }
    }

    fn read_lane(&mut self, side: Side) -> Result<(), String> {
        let node = match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        };
        let index = node.attached.as_ref().map(|attached| attached.index);
        match index.and_then(|index| self.connections.get_mut(index)) {
            Some(connection) => node.read_lane(connection.lane_to(side), self.now, &mut self.rules),
            None => Ok(()),
        }
    }

    fn write_lane(&mut self, side: Side) -> Result<(), String> {
        let node = match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        };
        let index = node.attached.as_ref().map(|attached| attached.index);
        match index.and_then(|index| self.connections.get_mut(index)) {
            Some(connection) => {
                let lane = connection.lane_to(side.reverse());
                node.write_lane(lane, self.now, &mut self.random, &mut self.rules)
            }
            None => Ok(()),
        }
    }

    fn write(&mut self, side: Side) {
        let now = self.now;
        let node = match side {
            Side::Connecting => &mut self.client,
            Side::Accepting => &mut self.server,
        };
        let (Some(session), Some(attached)) = (node.session.as_mut(), node.attached.as_mut())
        else {
            return;
        };
        let Some(connection) = self.connections.get_mut(attached.index) else {
            return;
        };
        let pipe = connection.to(side.reverse());
        loop {
            if attached.writing.is_none() {
                attached.writing = session.poll_transmit().map(|chunk| (chunk, 0));
            }
            let Some((chunk, written)) = &mut attached.writing else {
                return;
            };
            let len = pipe.write(&chunk.bytes[*written..], now, &mut self.random);
            if len == 0 {
                attached.stalled_since.get_or_insert(now);
                return;
            }
            attached.stalled_since = None;
            *written += len;
            if *written == chunk.bytes.len()
                && let Some((chunk, _)) = attached.writing.take()
            {
                session.transmitted(chunk);
            }
        }
    }

    fn is_settled(&mut self) -> bool {
        let index = self.client.attached.as_ref().map(|attached| attached.index);
        let is_same = index == self.server.attached.as_ref().map(|attached| attached.index);
        let connection = index.and_then(|index| self.connections.get(index));
        is_same
            && self.client.is_settled()
            && self.server.is_settled()
            && connection.is_some_and(Connection::is_quiet)
    }
}
