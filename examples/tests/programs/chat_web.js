// A browser's part in the test of chat-web, by Node: loads the page as a browser does, and runs its script.
"use strict";

async function main([pageUrl, name]) {
  const page = await (await fetch(pageUrl)).text();
  const attribute = (attribute) => page.match(new RegExp(`${attribute}="([^"]*)"`))[1];
  const script = await (await fetch(new URL(attribute("src"), pageUrl))).text();
  const ChatClient = new Function(`${script}; return ChatClient;`)();
  const client = new ChatClient(attribute("data-url"), BigInt(attribute("data-fingerprint")), {
    onReady: () => client.enter(name).then(
      ({ users }) => console.log(`* in the room: ${users.join(", ")}`),
      (error) => console.log(`! ${error.message}`),
    ),
    onMessage: (user, text) => console.log(`${user}> ${text}`),
    onJoined: (user) => console.log(`* ${user} is here`),
    onLeft: (user) => console.log(`* ${user} has left`),
    onEnd: (reason) => {
      console.log(`* the end: ${reason}`);
      process.exit(0);
    },
  });
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    if (line === "/who") {
      const people = await client.who();
      console.log(`* at the keyboard: ${people.map(({ user, active }) => `${user} ${active}`).join(", ")}`);
    } else if (!client.say(line)) console.log("! not sent");
  }
  client.close();
}

main(process.argv.slice(-2)).catch((error) => {
  console.log(`! ${error.stack}`);
  process.exit(1);
});
