// npm @socket.io/sticky 2 with socket.io 4: sticky by the sid of a Socket.IO session.
// Environment: PORT (3000), WORKERS (2), METHOD (least-connection, random or round-robin).
'use strict';

const cluster = require('cluster');
const http = require('http');
const { setupPrimary, setupWorker } = require('@socket.io/sticky');
const { Server } = require('socket.io');

const port = Number(process.env.PORT || 3000);
const workers = Number(process.env.WORKERS || 2);

if (cluster.isPrimary) {
  // Request heads travel to workers as buffers, which JSON would not keep.
  cluster.setupPrimary({ serialization: 'advanced' });
  const server = http.createServer();
  setupPrimary(server, { loadBalancingMethod: process.env.METHOD || 'least-connection' });
  for (let n = 0; n < workers; n += 1) cluster.fork();
  server.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
} else {
  const server = http.createServer((request, response) => {
    response.setHeader('Content-Type', 'text/plain');
    response.end(`Hello World! From worker ${cluster.worker.id} with pid: ${process.pid} \n`);
  });
  setupWorker(new Server(server));
}
