// Calls the API with the client that oapi-codegen generates from openapi.yaml: `walk BASE_URL EMAIL PASSWORD`.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"walk/keyturn"
)

type details map[string]any

func printStep(step string, status int, more details) {
	line := details{"step": step, "status": status}
	for name, value := range more {
		line[name] = value
	}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}

// must exits if the request failed.
func must[Response any](response Response, err error) Response {
	if err != nil {
		log.Fatal(err)
	}
	return response
}

// required exits if a value is missing, which means that the response has an unexpected status.
func required[Value any](value *Value, status int) Value {
	if value == nil {
		log.Fatalf("unexpected status %d", status)
	}
	return *value
}

func bearer(token string) keyturn.RequestEditorFn {
	return func(_ context.Context, request *http.Request) error {
		request.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("BASE_URL EMAIL PASSWORD")
	}
	baseURL, email, password := os.Args[1], openapi_types.Email(os.Args[2]), os.Args[3]
	ctx := context.Background()
	client := must(keyturn.NewClientWithResponses(baseURL))

	request := keyturn.RegisterRequest{Email: email, Password: password, DisplayName: "Ada Lovelace"}
	registration := must(client.RegisterWithResponse(ctx, request))
	registered := required(registration.JSON201, registration.StatusCode())
	printStep("register", registration.StatusCode(), details{
		"email":        registered.User.Email,
		"display_name": registered.User.DisplayName,
		"roles":        registered.User.Roles,
		"token_type":   registered.TokenType,
		"expires_in":   registered.ExpiresIn,
	})

	login := must(client.LoginWithResponse(ctx, keyturn.LoginRequest{Email: email, Password: password}))
	tokens := required(login.JSON200, login.StatusCode())
	printStep("login", login.StatusCode(), details{"session_is_new": tokens.SessionId != registered.SessionId})

	refresh := must(client.RefreshWithResponse(ctx, keyturn.RefreshTokenRequest{RefreshToken: tokens.RefreshToken}))
	refreshed := required(refresh.JSON200, refresh.StatusCode())
	// The refresh token is missing only with the cookie transport.
	newest := required(refreshed.RefreshToken, refresh.StatusCode())
	printStep("refresh", refresh.StatusCode(), details{
		"refresh_token_is_new": newest != *tokens.RefreshToken,
		"session_is_same":      refreshed.SessionId == tokens.SessionId,
	})

	authorized := bearer(refreshed.AccessToken)
	me := must(client.GetMeWithResponse(ctx, authorized))
	user := required(me.JSON200, me.StatusCode())
	printStep("me", me.StatusCode(), details{"email": user.Email, "mfa_enabled": user.MfaEnabled})

	one := 1
	first := must(client.ListSessionsWithResponse(ctx, &keyturn.ListSessionsParams{Limit: &one}, authorized))
	page := required(first.JSON200, first.StatusCode())
	next := keyturn.ListSessionsParams{Limit: &one, Cursor: page.NextCursor}
	second := must(client.ListSessionsWithResponse(ctx, &next, authorized))
	last := required(second.JSON200, second.StatusCode())
	current := []bool{}
	for _, session := range append(page.Sessions, last.Sessions...) {
		current = append(current, session.Current)
	}
	printStep("sessions", first.StatusCode(), details{"current": current, "is_last_page": last.NextCursor == nil})

	request.Password = "short"
	invalidRegistration := must(client.RegisterWithResponse(ctx, request))
	invalid := required(invalidRegistration.ApplicationproblemJSON400, invalidRegistration.StatusCode())
	if invalid.Code == keyturn.Register400ApplicationProblemPlusJSONResponseBodyCodeValidationFailed {
		paths := []string{}
		for _, fieldError := range required(invalid.Errors, invalid.Status) {
			paths = append(paths, fieldError.Path)
		}
		printStep("invalid", invalidRegistration.StatusCode(), details{"code": invalid.Code, "paths": paths})
	}

	logout := must(client.LogoutWithResponse(ctx, keyturn.RefreshTokenRequest{RefreshToken: &newest}))
	printStep("logout", logout.StatusCode(), nil)

	rejectedRefresh := must(client.RefreshWithResponse(ctx, keyturn.RefreshTokenRequest{RefreshToken: &newest}))
	refreshError := required(rejectedRefresh.ApplicationproblemJSON401, rejectedRefresh.StatusCode())
	if refreshError.Code == keyturn.Refresh401ApplicationProblemPlusJSONResponseBodyCodeInvalidRefreshToken {
		printStep("refresh after logout", rejectedRefresh.StatusCode(), details{"code": refreshError.Code, "reason": refreshError.Reason})
	}

	rejectedMe := must(client.GetMeWithResponse(ctx, authorized))
	meError := required(rejectedMe.ApplicationproblemJSON401, rejectedMe.StatusCode())
	if meError.Code == keyturn.GetMe401ApplicationProblemPlusJSONResponseBodyCodeInvalidAccessToken {
		printStep("me after logout", rejectedMe.StatusCode(), details{"code": meError.Code})
	}
}
