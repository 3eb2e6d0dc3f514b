// The servers that the tests of the page ask: `peridot serve` with the model in the box, and one that stands before
// it and says what a model cannot be made to say, as slowly as is wanted.
// SPDX-License-Identifier: MIT
import { spawn } from "node:child_process";
import http from "node:http";

const sleep = (ms) =>
  new Promise((done) => {
    setTimeout(done, ms);
  });

/** {url, port, stop()} of a `peridot serve` that can be asked. */
export async function startPeridot(program, ...options) {
  const child = spawn(program, ["serve", "--device", "cpu", "--host", "127.0.0.1", ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  const ended = new Promise((done) => {
    child.on("exit", done);
  });
  const port = await new Promise((done, failed) => {
    child.stderr.on("data", (data) => {
      log += data;
      const found = /listening on http:\/\/[^:]+:(\d+)/.exec(log);
      if (found) done(Number(found[1]));
    });
    ended.then((code) => failed(new Error(`the server ended with ${code}: ${log}`)));
  });
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  return { url: `http://127.0.0.1:${port}`, port, stop };
}

const chunk = (delta, finish, more) =>
  `data: ${JSON.stringify({
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...more,
  })}\n\n`;

const timings = (n) => ({ timings: { cache_n: 0, prompt_n: 20, predicted_n: n, predicted_per_second: 12.5 } });

/** Passes everything on to `behind`, but for answers, which it writes itself.
 *
 * script: {pieces, wait (ms before each piece), breakAfter (pieces, then the connection breaks), status, error (of a
 * refusal)}; `asked` holds the bodies of the requests, and `gone` counts those whose clients went. */
export async function startScripted(behind) {
  const self = { asked: [], gone: 0, script: { pieces: [], wait: 0 } };

  async function write(response) {
    const { pieces, wait, breakAfter = Infinity, finish = "stop" } = self.script;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    let n = 0;
    for (const piece of pieces) {
      if (response.destroyed) return;
      if (n === breakAfter) {
        response.destroy();
        return;
      }
      response.write(chunk({ content: piece }, null, timings(++n)));
      if (wait) await sleep(wait);
    }
    response.end(`${chunk({}, finish, timings(n))}data: [DONE]\n\n`);
  }

  function answer(request, response) {
    let body = "";
    request.on("data", (data) => {
      body += data;
    });
    request.on("end", () => {
      self.asked.push(JSON.parse(body));
      response.on("close", () => {
        if (!response.writableEnded) self.gone++;
      });
      const { status, error } = self.script;
      if (!status) return write(response);
      response.writeHead(status, { "Content-Type": "application/json" });
      return response.end(JSON.stringify({ error }));
    });
  }

  function pass(request, response) {
    const onward = http.request(
      behind.url + request.url,
      { method: request.method, headers: request.headers },
      (found) => {
        response.writeHead(found.statusCode, found.headers);
        found.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    request.pipe(onward);
  }

  const server = http.createServer((request, response) => {
    if (request.url === "/v1/chat/completions") answer(request, response);
    else pass(request, response);
  });
  await new Promise((done) => {
    server.listen(0, "127.0.0.1", done);
  });
  self.url = `http://127.0.0.1:${server.address().port}`;
  self.stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return self;
}
