// Protects GET /orders with access tokens of ISSUER for AUDIENCE that have the scope "profile".
package main

import (
	"cmp"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

type claims struct {
	Scope string `json:"scope"`
	jwt.RegisteredClaims
}

func main() {
	issuer, audience, alg := os.Getenv("ISSUER"), os.Getenv("AUDIENCE"), cmp.Or(os.Getenv("JWT_ALG"), "ES256")
	keys, err := keyfunc.NewDefaultOverrideCtx(context.Background(), []string{issuer + "/.well-known/jwks.json"},
		keyfunc.Override{
			RefreshInterval: 5 * time.Minute, // keeps the old keys if the issuer is down
			// Fetches the keys again for an unknown kid, at most once every 10 seconds.
			RefreshUnknownKID: rate.NewLimiter(rate.Every(10*time.Second), 1),
			RateLimitWaitMax:  5 * time.Second, // also limits the fetch
		})
	if err != nil {
		log.Fatal(err)
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{alg}), // never trust the alg of the token
		jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired(), jwt.WithLeeway(5*time.Second),
	)

	http.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		text, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		tokenClaims := &claims{}
		token, err := parser.ParseWithClaims(text, tokenClaims, keys.Keyfunc)
		if err != nil || !isBearer || token.Header["typ"] != "at+jwt" || token.Header["crit"] != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		if !slices.Contains(strings.Fields(tokenClaims.Scope), "profile") {
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="profile"`)
			http.Error(w, "forbidden", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "orders of %s", tokenClaims.Subject)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}
