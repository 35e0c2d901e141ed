// Uses the Space `doorway` as a program does, and prints what it got, as JSON.
// node caller.mjs MODULE PAGE, MODULE being that of @gradio/client.

import { createHash } from "node:crypto";

const [module, page] = process.argv.slice(2);
const { Client } = await import(module);
const app = await Client.connect(page);
const content = Buffer.alloc(3_000_000, "zerofarm");

const counted = [];
for await (const message of app.submit("/count", [5])) {
  if (message.type === "data") counted.push(message.data[0]);
}
const shouted = await app.predict("/shout", ["abc"]);
const uploaded = await app.predict("/digest", [new Blob([content])]);
const made = await app.predict("/make", [3_000_064]);
const download = await fetch(made.data[0].url);

const told = {
  shouted: shouted.data[0],
  counted,
  uploaded: uploaded.data[0] === createHash("sha256").update(content).digest("hex"),
  downloaded: (await download.arrayBuffer()).byteLength,
  from: new URL(made.data[0].url).pathname.split("/file=")[0],
};
process.stdout.write(JSON.stringify(told), () => process.exit(0)); // a stream of the client is still open
