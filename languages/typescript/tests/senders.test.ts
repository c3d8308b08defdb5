/** Who waits to send. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Senders, type Waiter } from "../src/connection/senders.js";
import type { Status } from "../src/errors.js";

const MEMBER = { name: "note_ind", number: 1, message: undefined, kind: 1, shape: 1 } as const;
const CALL = { name: "unary_req", number: 2, message: undefined, kind: 2, shape: 3 } as const;

function waiter(log: string[], name: string, deadline = Infinity, member: Waiter["member"] = MEMBER): Waiter {
  return {
    member,
    size: 1,
    deadline,
    isDone: false,
    start: () => log.push(`${name} starts`),
    fail: (status: Status) => log.push(`${name} fails: ${status.code}`),
  };
}

test("senders go on in order, as far as there is capacity", () => {
  const log: string[] = [];
  const senders = new Senders();
  for (const name of ["a", "b", "c"]) senders.add(waiter(log, name));
  let capacity = 2;
  senders.proceed(() => capacity-- > 0);
  assert.deepEqual(log, ["a starts", "b starts"]);
  assert.equal(senders.isWaitedFor(MEMBER), true);
  senders.proceed(() => true);
  assert.equal(log.at(-1), "c starts");
  assert.equal(senders.isWaitedFor(MEMBER), false);
});

test("calls overtake messages that wait for credit, and nothing else", () => {
  const log: string[] = [];
  const senders = new Senders();
  for (const [name, member] of [["a", MEMBER], ["x", CALL], ["b", MEMBER], ["y", CALL]] as const) {
    assert.equal(senders.isWaitedFor(member), name === "b" || name === "y");
    senders.add(waiter(log, name, Infinity, member));
  }
  let capacity = 2;
  senders.proceed(() => capacity-- > 0);
  assert.deepEqual(log, ["a starts", "x starts"]);
  senders.proceed(({ member }) => member === CALL);
  assert.equal(log.at(-1), "y starts");
  senders.proceed(() => true);
  assert.equal(log.at(-1), "b starts");
});

test("one that nobody waits for any more takes no capacity", () => {
  const log: string[] = [];
  const senders = new Senders();
  const first = waiter(log, "a");
  senders.add(first);
  senders.add(waiter(log, "b"));
  first.isDone = true;
  let asked = 0;
  senders.proceed(() => {
    asked += 1;
    return true;
  });
  assert.deepEqual([log, asked], [["b starts"], 1]);
});

test("one whose time is over fails, and the next time is told", () => {
  const log: string[] = [];
  const senders = new Senders();
  senders.add(waiter(log, "a", 30));
  senders.add(waiter(log, "b", 10));
  assert.equal(senders.expire(9), 10);
  assert.equal(senders.expire(10), 30);
  assert.deepEqual(log, ["b fails: DEADLINE_EXCEEDED"]);
  senders.proceed(() => true);
  assert.deepEqual(log, ["b fails: DEADLINE_EXCEEDED", "a starts"]);
});

test("no more wait than there is room for", () => {
  const log: string[] = [];
  const senders = new Senders();
  for (let count = 0; count < 16_384; count++) senders.add(waiter(log, "one"));
  assert.deepEqual(log, []);
  senders.add(waiter(log, "one more"));
  assert.deepEqual(log, ["one more fails: RESOURCE_EXHAUSTED"]);
});
