/**
 * Somebody in the room, at a terminal: lines that are typed are said, and `/who` asks who is there.
 *
 *     node room-client.js ada tcp://127.0.0.1:7400
 */

import { createInterface } from "node:readline";

import { Status } from "msip";
import { transport } from "msip/node";
import { ChatClient } from "./chat/chat.js";

const [user = "ada", url = "tcp://127.0.0.1:7400"] = process.argv.slice(2);

const chat = await ChatClient.connect(transport(url), {
  handler: {
    // After each connect: whoever was away has left the room.
    async onConnected(client) {
      const { motd, users } = await client.connectReq({ user });
      console.log(`* ${motd}; in the room: ${users.join(", ")}`);
    },
    onDisconnected: ({ message }) => console.log(`! ${message}; trying to come back`),
    onMessageInd: (message) => console.log(`<${message.user}> ${message.text}`),
    onJoinedInd: (joined) => console.log(`* ${joined.user} entered`),
    onLeftInd: (left) => console.log(`* ${left.user} left`),
    onPresenceReq: () => ({ active: true }),
  },
}).catch((error: unknown) => {
  console.error(error instanceof Status ? error.message : error);
  process.exit(1);
});

for await (const line of createInterface({ input: process.stdin })) {
  try {
    if (line === "/who") {
      const { people } = await chat.whoReq({});
      console.log(people.map((person) => `${person.user}${person.active ? "" : " (away)"}`).join(", "));
    } else await chat.messageInd({ text: line });
  } catch (error) {
    // Such as while the client is on its way back.
    if (!(error instanceof Status)) throw error;
    console.log(`! not said: ${error.message}`);
  }
}
await chat.close();
