/** Sessions under a simulation: nothing is lost or handled twice where that is promised, and all ends. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { World } from "./world.js";

const SEEDS = Number(process.env["MSIP_SEEDS"] ?? 5);
const FIRST = Number(process.env["MSIP_SEED"] ?? 1);

function seeds(name: string, run: (world: World) => void, settings = {}): void {
  test(name, () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      const world = new World(seed, settings);
      try {
        run(world);
      } catch (error) {
        throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
      }
    }
  });
}

seeds("a connection that lasts", (world) => {
  world.connect();
  for (let step = 0; step < 600; step++) world.step();
  world.finish();
});

seeds("connections that are lost", (world) => {
  world.connect();
  for (let step = 0; step < 800; step++) {
    if (world.isConnected ? world.random.oneIn(60) : world.random.oneIn(5)) {
      if (world.isConnected) world.cut();
      else world.connect();
    }
    world.step();
  }
  world.finish();
  assert(world.resumed > 0);
});

seeds("connections that are lost, with a buffer meanwhile", (world) => {
  world.connect();
  for (let step = 0; step < 800; step++) {
    if (world.isConnected ? world.random.oneIn(60) : world.random.oneIn(20)) {
      if (world.isConnected) world.cut();
      else world.connect();
    }
    world.step();
  }
  world.finish();
}, { bufferDisconnected: 100_000 });

seeds("sessions that are lost", (world) => {
  world.connect();
  for (let step = 0; step < 800; step++) {
    if (world.isConnected && world.random.oneIn(150)) world.forget();
    else if (world.isConnected ? world.random.oneIn(100) : world.random.oneIn(5)) {
      if (world.isConnected) world.cut();
      else world.connect();
    }
    world.step();
  }
  world.finish();
});

seeds("small limits", (world) => {
  world.connect();
  for (let step = 0; step < 800; step++) {
    if (world.isConnected ? world.random.oneIn(100) : world.random.oneIn(5)) {
      if (world.isConnected) world.cut();
      else world.connect();
    }
    world.step();
    for (const { session } of [world.client, world.server]) {
      // One frame may exceed what was left, of each kind.
      if (session) assert(session.s.outgoing.cost < 700_000, `${session.s.outgoing.cost} bytes are queued`);
    }
  }
  world.finish();
}, { maxCalls: 4, outgoingQueue: 20_000, maxCallBytes: 200_000, sessionBuffer: 300_000, sessionDeliveries: 20, bufferDisconnected: 5000 });
