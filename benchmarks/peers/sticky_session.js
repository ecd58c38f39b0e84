// npm sticky-session: places a connection by the address it comes from.
// Environment: PORT (3000), WORKERS (2).
'use strict';

const cluster = require('cluster');
const http = require('http');
const sticky = require('sticky-session');

const port = Number(process.env.PORT || 3000);
const workers = Number(process.env.WORKERS || 2);

const server = http.createServer((request, response) => {
  response.setHeader('Content-Type', 'text/plain');
  response.end(`Hello World! From worker ${cluster.worker.id} with pid: ${process.pid} \n`);
});

// What stands for the port is handed to net.Server.listen, which takes an address this way too.
if (!sticky.listen(server, { port, host: '127.0.0.1' }, { workers })) {
  server.once('listening', () => console.log(`listening on ${port}`));
}
