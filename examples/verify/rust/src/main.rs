// Protects GET /orders with access tokens of ISSUER for AUDIENCE that have the scope "profile".
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use std::{
    env,
    time::{Duration, Instant},
};
use tiny_http::{Header, Response, Server};

#[derive(serde::Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    scope: String,
}

struct Verifier {
    jwks_uri: String,
    keys: JwkSet,
    fetched_at: Instant,
    expected: Validation,
}

impl Verifier {
    fn new(issuer: &str, audience: &str, alg: Algorithm) -> Self {
        let mut expected = Validation::new(alg); // never trust the alg of the token
        expected.set_issuer(&[issuer]);
        expected.set_audience(&[audience]);
        expected.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        expected.leeway = 5;
        expected.validate_nbf = true;
        let jwks_uri = format!("{issuer}/.well-known/jwks.json");
        let keys = fetch(&jwks_uri).expect("the keys of the issuer are unavailable");
        Verifier { jwks_uri, keys, fetched_at: Instant::now(), expected }
    }

    fn verify(&mut self, token: &str) -> Option<Claims> {
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some("at+jwt") || header.crit.is_some() {
            return None;
        }
        let kid = header.kid?;
        let age = self.fetched_at.elapsed();
        // Fetches the keys again for an unknown kid, at most once every 10 seconds.
        let unknown = self.keys.find(&kid).is_none() && age > Duration::from_secs(10);
        if unknown || age > Duration::from_secs(300) {
            self.fetched_at = Instant::now();
            if let Some(keys) = fetch(&self.jwks_uri) {
                self.keys = keys
            }
        }
        let key = DecodingKey::from_jwk(self.keys.find(&kid)?).ok()?;
        decode::<Claims>(token, &key, &self.expected).ok().map(|token| token.claims)
    }
}

fn fetch(uri: &str) -> Option<JwkSet> {
    ureq::get(uri).call().ok()?.body_mut().read_json().ok()
}

fn main() {
    let env_var = |name: &str| env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let alg = env::var("JWT_ALG").map_or(Algorithm::ES256, |alg| alg.parse().expect("JWT_ALG is not supported"));
    let mut verifier = Verifier::new(&env_var("ISSUER"), &env_var("AUDIENCE"), alg);
    let server = Server::http(format!("127.0.0.1:{}", env_var("PORT"))).expect("the port is in use");
    for request in server.incoming_requests() {
        let authorization = request.headers().iter().find(|header| header.field.equiv("Authorization"));
        let token = authorization.and_then(|header| header.value.as_str().strip_prefix("Bearer "));
        let (status, body, challenge) = match token.and_then(|token| verifier.verify(token)) {
            None => (401, "unauthorized".into(), "Bearer error=\"invalid_token\""),
            Some(claims) if !claims.scope.split(' ').any(|scope| scope == "profile") => {
                (403, "forbidden".into(), "Bearer error=\"insufficient_scope\", scope=\"profile\"")
            }
            Some(claims) => (200, format!("orders of {}", claims.sub), ""),
        };
        let challenge = Header::from_bytes("WWW-Authenticate", challenge).expect("the header is valid");
        let response = Response::from_string(body).with_status_code(status);
        request.respond(if status == 200 { response } else { response.with_header(challenge) }).ok();
    }
}
