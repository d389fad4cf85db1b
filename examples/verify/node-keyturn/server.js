// Protects GET /orders with access tokens of ISSUER for AUDIENCE that have the scope "profile".
import express from 'express';
import { createVerifier, requireAuth, requireOwner, requireScope } from 'keyturn/verify';

const { ISSUER: issuer, AUDIENCE: audience, PORT: port } = process.env;

const app = express();
app.use(requireAuth(createVerifier({ issuer, audience })));

app.get('/orders', requireScope('profile'), (req, res) => {
  res.send(`orders of ${req.auth.sub}`);
});
// Returns 404 for the orders of another user, as for orders that do not exist.
app.get(
  '/users/:id/orders',
  requireScope('profile'),
  requireOwner((req) => req.params.id),
  (req, res) => {
    res.send(`orders of ${req.params.id}`);
  },
);
app.listen(Number(port), '127.0.0.1');
