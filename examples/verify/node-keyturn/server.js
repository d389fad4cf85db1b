// GET /orders, for access tokens of ISSUER that are meant for AUDIENCE and hold the scope "profile".
import express from 'express';
import { createVerifier, requireAuth, requireOwner, requireScope } from 'keyturn/verify';

const { ISSUER: issuer, AUDIENCE: audience, PORT: port } = process.env;

const app = express();
app.use(requireAuth(createVerifier({ issuer, audience })));

app.get('/orders', requireScope('profile'), (req, res) => {
  res.send(`orders of ${req.auth.sub}`);
});
// Someone else's orders are answered like orders that are not there: 404.
app.get(
  '/users/:id/orders',
  requireScope('profile'),
  requireOwner((req) => req.params.id),
  (req, res) => {
    res.send(`orders of ${req.params.id}`);
  },
);
app.listen(Number(port), '127.0.0.1');
