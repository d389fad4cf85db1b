// The walk by the client that oapi-codegen made of openapi.yaml: `walk BASE_URL EMAIL PASSWORD`.
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

type seen map[string]any

func say(step string, status int, more seen) {
	line := seen{"step": step, "status": status}
	for name, value := range more {
		line[name] = value
	}
	if err := json.NewEncoder(os.Stdout).Encode(line); err != nil {
		log.Fatal(err)
	}
}

// must ends the walk where no answer came at all.
func must[Answer any](answer Answer, err error) Answer {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

// granted ends it where the answer is another one.
func granted[Body any](body *Body, status int) Body {
	if body == nil {
		log.Fatalf("answered %d", status)
	}
	return *body
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
	registered := granted(registration.JSON201, registration.StatusCode())
	say("register", registration.StatusCode(), seen{
		"email":        registered.User.Email,
		"display_name": registered.User.DisplayName,
		"roles":        registered.User.Roles,
		"token_type":   registered.TokenType,
		"expires_in":   registered.ExpiresIn,
	})

	login := must(client.LoginWithResponse(ctx, keyturn.LoginRequest{Email: email, Password: password}))
	tokens := granted(login.JSON200, login.StatusCode())
	say("login", login.StatusCode(), seen{"session_is_new": tokens.SessionId != registered.SessionId})

	refresh := must(client.RefreshWithResponse(ctx, keyturn.RefreshTokenRequest{RefreshToken: tokens.RefreshToken}))
	refreshed := granted(refresh.JSON200, refresh.StatusCode())
	// Left out of an answer only where it travels in a cookie.
	newest := granted(refreshed.RefreshToken, refresh.StatusCode())
	say("refresh", refresh.StatusCode(), seen{
		"refresh_token_is_new": newest != *tokens.RefreshToken,
		"session_is_same":      refreshed.SessionId == tokens.SessionId,
	})

	authorized := bearer(refreshed.AccessToken)
	me := must(client.GetMeWithResponse(ctx, authorized))
	user := granted(me.JSON200, me.StatusCode())
	say("me", me.StatusCode(), seen{"email": user.Email, "mfa_enabled": user.MfaEnabled})

	one := 1
	first := must(client.ListSessionsWithResponse(ctx, &keyturn.ListSessionsParams{Limit: &one}, authorized))
	page := granted(first.JSON200, first.StatusCode())
	next := keyturn.ListSessionsParams{Limit: &one, Cursor: page.NextCursor}
	second := must(client.ListSessionsWithResponse(ctx, &next, authorized))
	last := granted(second.JSON200, second.StatusCode())
	current := []bool{}
	for _, session := range append(page.Sessions, last.Sessions...) {
		current = append(current, session.Current)
	}
	say("sessions", first.StatusCode(), seen{"current": current, "is_last_page": last.NextCursor == nil})

	request.Password = "short"
	registrationAgain := must(client.RegisterWithResponse(ctx, request))
	invalid := granted(registrationAgain.ApplicationproblemJSON400, registrationAgain.StatusCode())
	if invalid.Code == keyturn.Register400ApplicationProblemPlusJSONResponseBodyCodeValidationFailed {
		paths := []string{}
		for _, fault := range granted(invalid.Errors, invalid.Status) {
			paths = append(paths, fault.Path)
		}
		say("invalid", registrationAgain.StatusCode(), seen{"code": invalid.Code, "paths": paths})
	}

	logout := must(client.LogoutWithResponse(ctx, keyturn.RefreshTokenRequest{RefreshToken: &newest}))
	say("logout", logout.StatusCode(), nil)

	ended := must(client.RefreshWithResponse(ctx, keyturn.RefreshTokenRequest{RefreshToken: &newest}))
	refused := granted(ended.ApplicationproblemJSON401, ended.StatusCode())
	if refused.Code == keyturn.Refresh401ApplicationProblemPlusJSONResponseBodyCodeInvalidRefreshToken {
		say("refresh after logout", ended.StatusCode(), seen{"code": refused.Code, "reason": refused.Reason})
	}

	stranger := must(client.GetMeWithResponse(ctx, authorized))
	unknown := granted(stranger.ApplicationproblemJSON401, stranger.StatusCode())
	if unknown.Code == keyturn.GetMe401ApplicationProblemPlusJSONResponseBodyCodeInvalidAccessToken {
		say("me after logout", stranger.StatusCode(), seen{"code": unknown.Code})
	}
}
