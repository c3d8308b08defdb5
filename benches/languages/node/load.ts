/** The loads of a client, the same for every contender: who answers, and how fast, is the contender's alone. */

/** What a contender can do. */
export interface Caller {
  /** Makes a call, and returns the number of its answer. */
  call(number: bigint): Promise<bigint>;
  /** Sends so many messages that nothing answers, and returns what the receiver has counted and added up. */
  tell(count: number): Promise<{ count: bigint; sum: bigint }>;
}

/**
 * Plays one load, and prints how much of it there was in a second; how much there was, and this process's time for it. The arguments are
 * `LOAD AMOUNT WARM_UP`, the last being how many calls come first: an interpreter compiles what it has run often enough.
 */
export async function play(caller: Caller, [kind = "", ...numbers]: string[]): Promise<void> {
  const [amount = 0, warmUp = 0] = numbers.map(Number);
  const begun = process.cpuUsage();
  let figure: number;
  let total: number;
  if (kind === "one-way") {
    const [few, many] = [Math.floor(amount / 5), Math.floor(amount)];
    await tell(caller, few);
    figure = many / (await tell(caller, many));
    total = few + many;
  } else if (kind === "start") {
    const { count, seconds } = await calls(caller, 1, 0);
    figure = count / seconds;
    total = count;
  } else {
    const warm = await calls(caller, Number(kind), 0, warmUp);
    const { count, seconds } = await calls(caller, Number(kind), amount);
    figure = count / seconds;
    total = warm.count + count;
  }
  const { user, system } = process.cpuUsage(begun);
  console.log(JSON.stringify([figure, total, (user + system) / 1e6]));
}

/** Calls for some time, so many at once, until there were so many at least; each caller once. */
async function calls(caller: Caller, atOnce: number, forSeconds: number, least = 0): Promise<{ count: number; seconds: number }> {
  const start = performance.now();
  const end = start + 1000 * forSeconds;
  let count = 0;
  const one = async (first: number): Promise<void> => {
    let number = BigInt(first);
    do {
      if ((await caller.call(number)) !== number) throw new Error("the answer is that of another call");
      number += BigInt(atOnce);
      count += 1;
    } while (count < least || performance.now() < end);
  };
  await Promise.all(Array.from({ length: atOnce }, (_, index) => one(index)));
  return { count, seconds: (performance.now() - start) / 1000 };
}

async function tell(caller: Caller, count: number): Promise<number> {
  const start = performance.now();
  const tally = await caller.tell(count);
  const seconds = (performance.now() - start) / 1000;
  const sum = (BigInt(count) * BigInt(count - 1)) / 2n;
  if (tally.count !== BigInt(count) || tally.sum !== sum) throw new Error(`${tally.count} of ${count} notes came`);
  return seconds;
}
