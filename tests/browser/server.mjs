// A server that speaks as the program's does, for the live page alone: pages, symbols, a stream.
import { createServer } from 'node:http';
import { makeDetail } from './details.mjs';
import { asset, script, uplotScript, uplotStyle } from './fixture.mjs';

const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:";

/** Starts the server. `pages` maps a run's name to its page; the first one is the newest. */
export async function serve(pages) {
  const streams = new Set();
  const asked = [];
  const newest = () => [...pages.values()][0];
  const files = {
    '/': ['text/html; charset=utf-8', () => asset('live.html')],
    '/app.js': ['text/javascript', script],
    '/app.css': ['text/css', () => asset('app.css')],
    '/uplot.js': ['text/javascript', uplotScript],
    '/uplot.css': ['text/css', uplotStyle],
  };
  const answer = (request, response) => {
    const url = new URL(request.url, 'http://localhost');
    asked.push(url.pathname + url.search);
    const run = url.searchParams.get('run');
    const page = run ? pages.get(run) : newest();
    const send = (status, kind, body) =>
      response
        .writeHead(status, {
          'content-type': kind,
          'content-security-policy': POLICY,
          'cache-control': 'no-store',
        })
        .end(body);
    if (files[url.pathname]) return send(200, files[url.pathname][0], files[url.pathname][1]());
    if (run && !/^[\w.-]+$/.test(run)) return send(400, 'text/plain', '400: this is no run id\n');
    if (!page) return send(404, 'application/json', '{"error":"no such run"}');
    if (url.pathname === '/api/page') return send(200, 'application/json', JSON.stringify(page));
    if (url.pathname === '/api/symbol') {
      const at = page.symbols.findIndex((row) => row.s === url.searchParams.get('symbol'));
      return at < 0
        ? send(404, 'application/json', '{}')
        : send(200, 'application/json', JSON.stringify(makeDetail(page, at)));
    }
    if (url.pathname !== '/api/stream') return send(404, 'text/plain', 'not found');
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.write('retry: 200\n: keep\n\n');
    streams.add(response);
    return response.on('close', () => streams.delete(response));
  };
  const server = createServer(answer);
  await new Promise((ready) => {
    server.listen(0, '127.0.0.1', ready);
  });
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    asked,
    streams,
    tell: (event, data) => streams.forEach((one) => one.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)),
    hangUp: () => streams.forEach((one) => one.destroy()),
    close: () => {
      server.closeAllConnections();
      return new Promise((ended) => {
        server.close(ended);
      });
    },
  };
}
