// A crowd of socket.io-client's clients. The first line on standard input says who they are;
// one line of JSON is the answer when all have tried to connect. At the second they talk, and
// another line tells what each of them heard.
"use strict";
const http = require("http");
const readline = require("readline");
const { io } = require("socket.io-client");

class Client {
  constructor(order, plan) {
    this.plan = plan;
    this.heard = {};
    this.error = "";
    this.transport = "";
    this.changed = () => {};
    const agent = new http.Agent({
      keepAlive: true,
      ...(plan.address ? { localAddress: plan.address } : {}),
    });
    this.socket = io(order.url, {
      agent,
      auth: { room: plan.room },
      autoConnect: false,
      forceNew: true,
      reconnection: false,
      timeout: 30000,
      transports: order.transports,
    });
    this.socket.on("said", (text) => this.hear(text));
    this.socket.on("disconnect", (reason, details) => {
      if (reason !== "io client disconnect") this.fail(`${reason} ${words(details)}`);
    });
    this.socket.on("connect_error", (error) => this.fail(words(error)));
  }

  hear(text) {
    this.heard[text] = (this.heard[text] || 0) + 1;
    this.changed();
  }

  fail(error) {
    this.error = this.error || error;
    this.changed();
  }

  connect() {
    return new Promise((done) => {
      this.changed = done;
      this.socket.on("connect", done);
      this.socket.connect();
    });
  }

  async talk(spread, patience) {
    const { room, said } = this.plan;
    for (const text of said) {
      // People do not all speak at one time.
      await new Promise((done) => setTimeout(done, Math.random() * 2000 * spread / said.length));
      if (this.error) break;
      this.socket.emit("say", room, text, () => this.hear(`ack ${text}`));
    }
    let waited = false;
    while (!this.error && !waited && Object.keys(this.heard).length < 3 * said.length) {
      await new Promise((done) => {
        const late = setTimeout(() => { waited = true; done(); }, patience * 1000);
        this.changed = () => { clearTimeout(late); done(); };
      });
    }
    if (!this.error) this.transport = this.socket.io.engine.transport.name;
  }
}

// What the server answered stands in the cause of the cause.
function words(error) {
  if (!error) return "";
  const answer = error.context && error.context.responseText;
  return [error.message, answer, error.description && error.description.message]
    .filter(Boolean).join(" ");
}

async function main() {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const order = JSON.parse((await lines.next()).value);
  const clients = order.plans.map((plan) => new Client(order, plan));
  await Promise.all(clients.map((client) => client.connect()));
  process.stdout.write(JSON.stringify(clients.filter((client) => !client.error).length) + "\n");
  await lines.next();
  await Promise.all(clients.map((client) => client.talk(order.spread, order.patience)));
  const told = clients.map(({ heard, error, transport }) => ({ heard, error, transport }));
  clients.forEach((client) => client.socket.disconnect());
  process.stdout.write(JSON.stringify(told) + "\n", () => process.exit(0));
}

main();
