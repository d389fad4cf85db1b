// Protects GET /orders with access tokens of ISSUER for AUDIENCE that have the scope "profile".
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.source.JWKSourceBuilder;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Executors;

public class Orders {
    static final DefaultJWTProcessor<SecurityContext> tokens = new DefaultJWTProcessor<>();

    public static void main(String[] args) throws IOException {
        var issuer = System.getenv("ISSUER");
        var keys = JWKSourceBuilder.create(URI.create(issuer + "/.well-known/jwks.json").toURL())
            .rateLimited(10_000) // fetches the keys again for an unknown kid, but limits how often
            .outageTolerant(3_600_000) // uses the old keys for an hour while the issuer is down
            .build();
        var alg = JWSAlgorithm.parse(System.getenv().getOrDefault("JWT_ALG", "ES256")); // never trust the alg of the token
        tokens.setJWSKeySelector(new JWSVerificationKeySelector<>(alg, keys));
        tokens.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(new JOSEObjectType("at+jwt")));
        var claims = new DefaultJWTClaimsVerifier<SecurityContext>(System.getenv("AUDIENCE"),
            new JWTClaimsSet.Builder().issuer(issuer).build(), Set.of("sub", "exp"));
        claims.setMaxClockSkew(5);
        tokens.setJWTClaimsSetVerifier(claims);

        var server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
        server.createContext("/orders", Orders::handle);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.start();
    }

    static void handle(HttpExchange exchange) throws IOException {
        var header = exchange.getRequestHeaders().getFirst("Authorization");
        try {
            if (header == null || !header.startsWith("Bearer ")) throw new SecurityException("no token");
            var claims = tokens.process(header.substring(7), null);
            var scope = claims.getStringClaim("scope");
            if (scope != null && List.of(scope.split(" ")).contains("profile")) send(exchange, 200, null);
            else send(exchange, 403, "Bearer error=\"insufficient_scope\", scope=\"profile\"");
        } catch (Exception invalidToken) {
            send(exchange, 401, "Bearer error=\"invalid_token\"");
        }
    }

    static void send(HttpExchange exchange, int status, String challenge) throws IOException {
        if (challenge != null) exchange.getResponseHeaders().set("WWW-Authenticate", challenge);
        exchange.sendResponseHeaders(status, -1);
        exchange.close();
    }
}
