// npm socketio-sticky-session in proxy mode, as in the verification: seed 1.
// Needs Node 8. Environment: PORT (3000), WORKERS (2).
'use strict';

const cluster = require('cluster');
const crypto = require('crypto');
const http = require('http');
const sticky = require('socketio-sticky-session');

const port = Number(process.env.PORT || 3000);
const workers = Number(process.env.WORKERS || 2);

function page(request, response) {
  const client = request.headers['x-forwarded-for'] || '-';
  response.setHeader('Content-Type', 'text/plain');
  response.write(
    `Hello World! From worker ${cluster.worker.id} x-forwarded-for=${client}` +
      ` with pid: ${process.pid} \n`
  );
  response.end();
}

// The library draws its seed while it is set up, and offers no option for it.
const randomBytes = crypto.randomBytes;
if (cluster.isMaster) crypto.randomBytes = () => Buffer.from([0, 0, 0, 1]);
const server = sticky({ num: workers, proxy: true }, () => http.createServer(page));
crypto.randomBytes = randomBytes;

// A worker is handed its connections; if it listened too, that would be on every interface.
if (cluster.isMaster) server.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
