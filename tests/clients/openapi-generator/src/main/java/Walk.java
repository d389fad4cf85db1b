import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.AccountsApi;
import org.openapitools.client.api.SessionsApi;
import org.openapitools.client.model.LoginRequest;
import org.openapitools.client.model.Problem;
import org.openapitools.client.model.ProblemErrorsInner;
import org.openapitools.client.model.RefreshTokenRequest;
import org.openapitools.client.model.RegisterRequest;
import org.openapitools.client.model.Session;

/** Calls the API with the client that OpenAPI Generator generates from openapi.yaml: `java Walk BASE_URL EMAIL PASSWORD`. */
class Walk {
    private static final ObjectMapper json = ApiClient.createDefaultObjectMapper();

    interface Call {
        void run() throws ApiException;
    }

    record ErrorResponse(int status, Problem problem) {}

    /** Returns the problem document that the client throws as the body of an ApiException. */
    static ErrorResponse errorOf(Call call) throws JsonProcessingException {
        try {
            call.run();
        } catch (ApiException exception) {
            return new ErrorResponse(exception.getCode(), json.readValue(exception.getResponseBody(), Problem.class));
        }
        throw new IllegalStateException("The call did not fail.");
    }

    static void print(String step, int status, Map<String, Object> details) throws JsonProcessingException {
        var line = new LinkedHashMap<String, Object>(Map.of("step", step, "status", status));
        line.putAll(details);
        System.out.println(json.writeValueAsString(line));
    }

    public static void main(String[] args) throws ApiException, JsonProcessingException {
        String baseUrl = args[0], email = args[1], password = args[2];
        var client = new ApiClient();
        client.updateBaseUri(baseUrl);
        var accounts = new AccountsApi(client);
        var sessions = new SessionsApi(client);

        var request = new RegisterRequest().email(email).password(password).displayName("Ada Lovelace");
        var registration = accounts.registerWithHttpInfo(request);
        var registered = registration.getData();
        print("register", registration.getStatusCode(), Map.of(
                "email", registered.getUser().getEmail(),
                "display_name", registered.getUser().getDisplayName(),
                "roles", registered.getUser().getRoles(),
                "token_type", registered.getTokenType(),
                "expires_in", registered.getExpiresIn()));

        var login = sessions.loginWithHttpInfo(new LoginRequest().email(email).password(password));
        var tokens = login.getData();
        print("login", login.getStatusCode(), Map.of(
                "session_is_new", !tokens.getSessionId().equals(registered.getSessionId())));

        var refresh = sessions.refreshWithHttpInfo(new RefreshTokenRequest().refreshToken(tokens.getRefreshToken()));
        var refreshed = refresh.getData();
        print("refresh", refresh.getStatusCode(), Map.of(
                "refresh_token_is_new", !refreshed.getRefreshToken().equals(tokens.getRefreshToken()),
                "session_is_same", refreshed.getSessionId().equals(tokens.getSessionId())));

        // An API object uses the interceptor that its client has at the time of its construction.
        client.setRequestInterceptor(
                builder -> builder.header("Authorization", "Bearer " + refreshed.getAccessToken()));
        var myAccount = new AccountsApi(client);
        var mySessions = new SessionsApi(client);
        var me = myAccount.getMeWithHttpInfo();
        print("me", me.getStatusCode(), Map.of(
                "email", me.getData().getEmail(), "mfa_enabled", me.getData().getMfaEnabled()));

        var newest = mySessions.listSessionsWithHttpInfo(1, null);
        var older = mySessions.listSessions(1, newest.getData().getNextCursor());
        print("sessions", newest.getStatusCode(), Map.of(
                "current", Stream.of(newest.getData(), older)
                        .flatMap(page -> page.getSessions().stream())
                        .map(Session::getCurrent)
                        .toList(),
                "is_last_page", older.getNextCursor() == null));

        var invalid = errorOf(() -> accounts.register(request.password("short")));
        List<String> paths = invalid.problem().getErrors().stream().map(ProblemErrorsInner::getPath).toList();
        print("invalid", invalid.status(), Map.of("code", invalid.problem().getCode(), "paths", paths));

        var refreshRequest = new RefreshTokenRequest().refreshToken(refreshed.getRefreshToken());
        print("logout", sessions.logoutWithHttpInfo(refreshRequest).getStatusCode(), Map.of());

        var rejectedRefresh = errorOf(() -> sessions.refresh(refreshRequest));
        print("refresh after logout", rejectedRefresh.status(), Map.of(
                "code", rejectedRefresh.problem().getCode(), "reason", rejectedRefresh.problem().getReason()));

        var rejectedMe = errorOf(myAccount::getMe);
        print("me after logout", rejectedMe.status(), Map.of("code", rejectedMe.problem().getCode()));
    }
}
