// A browser's part in the test of chat-web, by Node: loads the page as a browser does, and runs its script.
"use strict";

async function main([pageUrl, name]) {
  const page = await (await fetch(pageUrl)).text();
  const attribute = (attribute) => page.match(new RegExp(`${attribute}="([^"]*)"`))[1];
  const script = await (await fetch(new URL(attribute("src"), pageUrl))).text();
  const { ChatClient } = new Function(`${script}; return chatWeb;`)();
  const client = await ChatClient.connect(attribute("data-url"), {
    name: "script",
    handler: {
      onMessageInd: ({ user, text }) => console.log(`${user}> ${text}`),
      onJoinedInd: ({ user }) => console.log(`* ${user} is here`),
      onLeftInd: ({ user }) => console.log(`* ${user} has left`),
      onPresenceReq: () => ({ active: true }),
    },
  });
  const { users } = await client.connectReq({ user: name });
  console.log(`* in the room: ${users.join(", ")}`);
  for await (const line of require("node:readline").createInterface({ input: process.stdin })) {
    if (line === "/who") {
      const { people } = await client.whoReq({});
      console.log(`* at the keyboard: ${people.map(({ user, active }) => `${user} ${active}`).join(", ")}`);
    } else await client.messageInd({ text: line });
  }
  await client.close();
}

main(process.argv.slice(-2)).catch((error) => {
  console.log(`! ${error.stack}`);
  process.exit(1);
});
